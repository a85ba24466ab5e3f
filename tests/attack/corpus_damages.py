"""A small whole corpus for attacks, what a training reads of it, and ways to damage its files by a seed."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import SPLITS
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.screening import NearDuplicates, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.utils.errors import UserError
from tests.corpus.folder_state import folder_hashes
from tests.corpus.noise_songs import load_mel, write_genres

Rng = np.random.Generator
GENRES = ("lofi", "trap")
SETTINGS = CorpusSettings(
    dataclasses.replace(
        load_mel("hifi"), sample_rate=8000, f_max_hz=4000.0, n_mels=16, n_fft=512, hop_length=128
    ),
    ClipSettings(0.5),
    ScreeningRules(near_duplicates=NearDuplicates(enabled=False)),
    workers=1,
)


@dataclasses.dataclass(frozen=True)
class Original:
    """A whole corpus: its source, its folder, the hashes of its files, and its data by clip_id."""

    source: FolderSource
    folder: Path
    hashes: dict[str, str]
    data: dict[str, bytes]

    def prepare(self, folder: Path) -> None:
        """Prepare the corpus in `folder` again, and check that it equals this one byte for byte."""
        prepare_corpus(self.source, folder, SETTINGS)
        assert folder_hashes(folder) == self.hashes


def make_original(folder: Path) -> Original:
    """Prepare two genres of three songs with two clips each."""
    source = FolderSource(write_genres(folder, GENRES, tracks=3, seconds=1.1))
    prepare_corpus(source, folder / "corpus", SETTINGS)
    data = read_all(folder / "corpus")
    assert len(data) == 12
    return Original(source, folder / "corpus", folder_hashes(folder / "corpus"), data)


def read_all(folder: Path) -> dict[str, bytes]:
    """Return what a training gets of each clip: all of its row, its mel and its audio."""
    corpus = Corpus.open(folder)
    return {
        clip.clip_id: repr((clip, corpus.mel.hash, corpus.clip_s)).encode()
        + corpus.mel_db(clip).numpy().tobytes()
        + corpus.audio(clip).numpy().tobytes()
        for genre in GENRES
        for split in SPLITS
        for clip in corpus.clips(genre, split)
    }


def outcome(action: Callable[[], Any]) -> tuple[Any, str]:
    """Return an action's result and "", or None and the message of its `UserError`, which is one line."""
    result, message = None, ""
    try:
        result = action()
    except UserError as error:
        message = str(error) or "no message\n"
    assert "\n" not in message
    return result, message


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path: Path, rng: Rng, count: int, first: int = 0) -> None:
    """Flip `count` different bits of a file, from byte `first` on."""
    content = bytearray(path.read_bytes())
    for bit in rng.choice(8 * (len(content) - first), count, replace=False):
        content[first + bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def flip_bits(path: Path, rng: Rng) -> None:
    flip(path, rng, int(rng.integers(1, 50)))


def flip_one_bit(path: Path, rng: Rng) -> None:
    flip(path, rng, 1)


def flip_in_header(path: Path, rng: Rng) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:128])
    flip(path, rng, 1)
    path.write_bytes(path.read_bytes() + content[128:])


def flip_in_footer(path: Path, rng: Rng) -> None:
    flip(path, rng, 1, first=path.stat().st_size * 3 // 4)


def truncate(path: Path, rng: Rng) -> None:
    os.truncate(path, rng.integers(0, path.stat().st_size))


def lengthen(path: Path, rng: Rng) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(rng.integers(1, 9999)))


def overwrite(path: Path, rng: Rng) -> None:
    content, start = path.read_bytes(), int(rng.integers(0, path.stat().st_size))
    noise = rng.bytes(rng.integers(1, 5000))
    path.write_bytes((content[:start] + noise + content[start + len(noise) :])[: len(content)])


def delete(path: Path, rng: Rng) -> None:
    path.unlink()


def swap(path: Path, rng: Rng) -> None:
    """Exchange the file with another one of its folder."""
    others = [other for other in files_of(path.parent) if other != path and other.suffix == path.suffix]
    other = others[rng.integers(len(others))] if others else path
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def copy_from_other(path: Path, rng: Rng) -> None:
    others = [other for other in files_of(path.parent) if other != path]
    path.write_bytes(others[rng.integers(len(others))].read_bytes() if others else b"")


def make_pipe(path: Path, rng: Rng) -> None:
    path.unlink()
    os.mkfifo(path)


def link_outside(path: Path, rng: Rng) -> None:
    """Replace the file by a link to a copy of it outside of the corpus, with one other byte."""
    outside = path.parents[2] / f"outside{path.suffix}"
    content = bytearray(path.read_bytes())
    content[-5] ^= 255
    outside.write_bytes(content)
    path.unlink()
    path.symlink_to(outside)


DAMAGES = (
    flip_bits, flip_one_bit, flip_in_header, flip_in_footer, truncate, lengthen, overwrite, delete, swap,
    copy_from_other, make_pipe, link_outside,
)  # fmt: skip


def damage_by_seed(folder: Path, seed: int) -> str:
    """Damage one to three files; describe how."""
    rng = np.random.default_rng([20, seed])
    described = []
    for _ in range(rng.integers(1, 4) if seed % 4 == 0 else 1):
        kinds = ("corpus.json", "manifest.parquet", "mels/*", "audio/*", "tracks/*")
        matching = sorted(folder.glob(kinds[rng.integers(len(kinds))]))
        paths = [path for path in matching if path.is_file() and path.stat().st_size > 200]
        if not paths:
            continue  # an earlier damage took the only one
        path, damage = paths[rng.integers(len(paths))], DAMAGES[rng.integers(len(DAMAGES))]
        damage(path, rng)
        described.append(f"{damage.__name__} {path.relative_to(folder)}")
    return f"seed {seed}: {', '.join(described)}"
