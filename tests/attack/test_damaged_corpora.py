"""Damage a corpus in many ways: reading ends in one line or with the true data, and `prepare` mends it."""

import copy
import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import COLUMNS, SPLITS, read_manifest, write_manifest
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.screening import NearDuplicates, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.data.audio_datamodule import AudioSegmentDataModule
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.utils.checked_json import read_checked_json, write_checked_json
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
WRONG = (None, True, -1, 0, 1e9, float("nan"), "", "../x", "x" * 300, [], [None], {}, {"a": None})


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


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Original:
    """Two genres of three songs with two clips each."""
    folder = tmp_path_factory.mktemp("original")
    source = FolderSource(write_genres(folder, GENRES, tracks=3, seconds=1.1))
    prepare_corpus(source, folder / "corpus", SETTINGS)
    data = read_all(folder / "corpus")
    assert len(data) == 12
    return Original(source, folder / "corpus", folder_hashes(folder / "corpus"), data)


@pytest.fixture
def damaged(original, tmp_path) -> Path:
    """Return a copy of the corpus, to be damaged."""
    return shutil.copytree(original.folder, tmp_path / "corpus")


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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 1040), marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_read_true_and_prepare_mends_them(original, tmp_path, seeds):
    n_refused = 0
    for seed in seeds:
        folder = shutil.copytree(original.folder, tmp_path / "corpus")
        description = damage_by_seed(folder, seed)
        try:
            data, message = outcome(lambda folder=folder: read_all(folder))
            assert message or data == original.data
            n_refused += bool(message)
            original.prepare(folder)
            assert read_all(folder) == original.data
        except BaseException as error:
            error.add_note(description)
            raise
        shutil.rmtree(folder)
    assert n_refused > len(seeds) / 2  # damages of records do not concern a training


def test_fifty_flipped_bits_in_each_mel_are_named_and_mended(original, damaged, caplog):
    rng = np.random.default_rng(0)
    paths = sorted((damaged / "mels").iterdir())
    for path in paths:
        flip(path, rng, 50, first=128)
    data_module = UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4)
    with pytest.raises(
        UserError, match=r"song \d\.wav at 0(\.5)? s in .*mels.*checksum differs; run its pre"
    ):
        data_module.setup()
    original.prepare(damaged)
    for number in range(3):
        for genre in GENRES:
            assert f"{genre}: song {number}.wav is prepared again, as {damaged}/mels/{genre}-" in caplog.text
    caplog.clear()
    original.prepare(damaged)
    assert not caplog.text


@pytest.mark.slow  # PyTorch takes 5 s to end its workers
def test_a_worker_process_names_the_damaged_clip_in_one_line(damaged):
    for path in (damaged / "mels").iterdir():
        flip(path, np.random.default_rng(2), 50, first=128)
    data_module = UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4, num_workers=1, cache_mb=0)
    data_module.setup()
    _, message = outcome(lambda: next(iter(data_module.train_dataloader())))
    assert message.startswith(("lofi: song", "trap: song"))
    assert "checksum differs; run its prepare command again" in message


def test_only_the_damaged_clip_is_refused(original, damaged):
    corpus = Corpus.open(damaged)
    clips = [clip for split in SPLITS for clip in corpus.clips("lofi", split)]
    first, second = (clip for clip in clips if clip.array == clips[0].array)
    for part in ("mels", "audio"):
        path = damaged / part / f"{first.array}.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1  # in the last row
        path.write_bytes(content)
    for read in (corpus.mel_db, corpus.audio):
        assert read(first).isfinite().all()
        with pytest.raises(UserError, match=f"lofi: {second.source} at 0.5 s in .* checksum differs"):
            read(second)


def test_audio_is_checked_by_the_vocoders_data(original, damaged):
    for path in (damaged / "audio").iterdir():
        flip(path, np.random.default_rng(1), 50, first=128)
    data_module = AudioSegmentDataModule(
        damaged, segment_frames=8, batch_size=1, max_cut_db=0.0, val_clips=1, num_workers=0
    )
    with pytest.raises(UserError, match=r"at 0(\.5)? s in .*audio.*checksum differs"):
        data_module.setup()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_impossible_levels_with_valid_checksums_are_refused(original, damaged, value):
    change_row(damaged, value)
    with pytest.raises(UserError, match=r"lofi: song \d.wav at 0 s in .* has levels that are not finite"):
        read_all(damaged)
    with pytest.raises(UserError, match="has levels that are not finite, or impossible; run its prepare"):
        UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4).setup()
    original.prepare(damaged)


def change_row(folder: Path, value: float) -> None:
    """Write a value into the first mel of a track, with valid checksums everywhere, as a stranger might."""
    path = min((folder / "mels").glob("lofi-*"))
    mels = np.load(path)
    mels[0, 3, 5] = value
    np.save(path, mels)
    checksum = zlib.crc32(mels[0].tobytes())
    rows = read_manifest(folder)
    for row in rows:
        if row["array"] == path.stem and row["index"] == 0:
            row["mel_crc32"] = checksum
    write_manifest(folder, rows)
    record = read_checked_json(folder / "tracks" / f"{path.stem}.json")
    record["clips"][0]["mel_crc32"] = checksum
    write_checked_json(folder / "tracks" / f"{path.stem}.json", record)


def places(values: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of keys of each value in nested dicts, and in the first two items of lists."""
    items = values.items() if isinstance(values, dict) else enumerate(values[:2])
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def with_changes(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of nested values, each with one value replaced by a wrong one or left out."""
    for place in places(values):
        for wrong in (*WRONG, "left out"):
            changed = copy.deepcopy(values)
            parent = changed
            for key in place[:-1]:
                parent = parent[key]
            if wrong == "left out":
                del parent[place[-1]]
            else:
                parent[place[-1]] = copy.deepcopy(wrong)
            yield f"{place} = {wrong!r}", changed


def sampled(items: list, count: int | None) -> list:
    """Return `count` of the items, spread over all; None: all."""
    return items if count is None else items[:: max(1, len(items) // count)]


@pytest.mark.parametrize("count", [25, pytest.param(None, marks=pytest.mark.slow)])
def test_wrong_values_in_the_settings(original, damaged, count):
    path = damaged / "corpus.json"
    for change, values in sampled(list(with_changes(read_checked_json(path))), count):
        write_checked_json(path, values)
        data, message = outcome(lambda: read_all(damaged))
        assert message or data == original.data, change
        _, message = outcome(lambda: original.prepare(damaged))
        assert not message or "differ: " in message or "format" in message or "also has" in message, change
        if message:
            shutil.copy(original.folder / "corpus.json", path)


@pytest.mark.parametrize("seconds", [None, -1, 0, 1e9, float("nan"), float("inf"), "4", True, [4], 2**70])
def test_impossible_clip_lengths(damaged, seconds):
    path = damaged / "corpus.json"
    values = read_checked_json(path)
    values["clip"]["seconds"] = seconds
    write_checked_json(path, values)
    with pytest.raises(UserError, match=r"corpus.json cannot be read \(clip.seconds is"):
        Corpus.open(damaged)


@pytest.mark.parametrize("key", ["mel", "clip", "screening", "split", "source", "audio", "genres"])
def test_missing_settings(original, damaged, key, caplog):
    path = damaged / "corpus.json"
    write_checked_json(path, read_checked_json(path) | {key: None})
    with pytest.raises(UserError, match=rf"corpus.json cannot be read \({key} is 'None'\)"):
        Corpus.open(damaged)
    original.prepare(damaged)
    assert "corpus.json is written again, as it is damaged" in caplog.text


@pytest.mark.parametrize("count", [25, pytest.param(None, marks=pytest.mark.slow)])
def test_wrong_values_in_a_record_are_mended(original, damaged, count):
    path = min((damaged / "tracks").iterdir())
    for change, values in sampled(list(with_changes(read_checked_json(path))), count):
        write_checked_json(path, values)
        try:
            prepare_corpus(original.source, damaged, SETTINGS)
            assert len(read_all(damaged)) in (11, 12)  # a stranger's valid record may drop its clip
        except BaseException as error:
            error.add_note(change)
            raise
        shutil.copy(original.folder / "tracks" / path.name, path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("array", name) for name in ("", "../x", "/etc/passwd", "a/b", ".", "a.b", None)],
        *[("index", number) for number in (-1, 2**31 - 1, None)],
        *[("start_s", time) for time in (-1.0, float("nan"), float("inf"), None)],
        *[("duration_s", time) for time in (-1.0, float("nan"), None)],
        *[("min_db", level) for level in (float("nan"), 1e30, None)],
        *[("loudness_lufs", level) for level in (float("nan"), float("inf"), 1e30)],
        *[("genre", name) for name in ("", None)],
        *[("split", name) for name in ("", "training", None)],
        ("mel_crc32", None), ("mel_crc32", 7), ("clip_id", None), ("kept", None), ("source", None),
    ],
)  # fmt: skip
def test_wrong_values_in_the_manifest(original, damaged, column, value):
    rows = read_manifest(damaged)
    rows[0][column] = value
    write_manifest(damaged, rows)
    _, message = outcome(lambda: read_all(damaged))
    assert "manifest.parquet has" in message or ".npy is damaged" in message or ".npy" in message
    original.prepare(damaged)


def test_every_column_is_covered_by_the_checksum_of_the_rows(damaged):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = damaged / "manifest.parquet"
    table = pq.ParquetFile(path).read()
    for name in COLUMNS:
        values = table.column(name).to_pylist()
        values[0], values[-1] = values[-1], values[0]
        if values == table.column(name).to_pylist():
            continue
        changed = table.set_column(
            table.column_names.index(name), name, pa.array(values, table.schema.field(name).type)
        )
        pq.write_table(changed, path)
        with pytest.raises(UserError, match=r"manifest.parquet cannot be read \(its checksum differs\)"):
            read_manifest(damaged)
    pq.write_table(table.drop_columns(["score"]), path)
    with pytest.raises(UserError, match="it has other columns"):
        read_manifest(damaged)


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda mels: mels.astype(np.float64),
        lambda mels: mels.astype(">f4"),
        lambda mels: mels.astype(object),
        lambda mels: mels[:, :-1],
        lambda mels: mels.transpose(0, 2, 1),
        lambda mels: mels.reshape(-1),
        lambda mels: mels[:1],
    ],
)
def test_arrays_of_another_form_are_refused(original, damaged, change):
    path = min((damaged / "mels").iterdir())
    np.save(path, change(np.load(path)), allow_pickle=True)
    _, message = outcome(lambda: read_all(damaged))
    assert "is damaged: it" in message
    original.prepare(damaged)


def test_a_huge_declared_shape_is_refused(original, damaged):
    path = min((damaged / "mels").iterdir())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(2, 16,", b"(2" + b"0" * 18 + b", 16,")[:128] + content[128:])
    with pytest.raises(UserError, match="is damaged: its header differs"):
        read_all(damaged)
    os.truncate(path, 1 << 40)  # a sparse file
    with pytest.raises(UserError, match="is damaged: it"):
        read_all(damaged)


@pytest.mark.parametrize("part", ["mels", "audio", "tracks"])
def test_a_folder_that_links_outside_is_not_read_and_nothing_is_deleted_there(original, damaged, part):
    outside = damaged.parent / "outside"
    shutil.move(damaged / part, outside)
    (outside / "mine.npy").write_bytes(b"mine")
    (damaged / part).symlink_to(outside)
    before = folder_hashes(outside)
    if part != "tracks":
        with pytest.raises(UserError, match="lies outside of the corpus"):
            read_all(damaged)
    with pytest.raises(UserError, match=f"{part} is a link; replace it by a folder"):
        original.prepare(damaged)
    assert folder_hashes(outside) == before


def test_a_corpus_without_its_music_names_the_file_to_copy(damaged):
    path = min((damaged / "mels").iterdir())
    truncate(path, np.random.default_rng(0))
    with pytest.raises(UserError, match=f"{path.name} is damaged.*without its music, copy this file again"):
        Corpus.open(damaged)


def test_settings_without_a_checksum_are_refused(damaged):
    path = damaged / "corpus.json"
    values = read_checked_json(path)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="it has no checksum"):
        Corpus.open(damaged)
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="it is not valid JSON"):
        Corpus.open(damaged)


def test_a_mel_that_is_not_finite_is_not_stored(tmp_path, original, monkeypatch):
    compute = MelSpectrogram.mel_db

    def silent(self, waveform):
        mel_db = compute(self, waveform)
        mel_db[..., 0, 0] = torch.nan if float(waveform[0, 0]) > 0 else mel_db[..., 0, 0]
        return mel_db

    monkeypatch.setattr(MelSpectrogram, "mel_db", silent)
    rows = prepare_corpus(original.source, tmp_path / "out", SETTINGS)
    reasons = {row["reason"] for row in rows}
    assert {"", "non-finite levels"} <= reasons
    assert len(read_all(tmp_path / "out")) == sum(row["kept"] for row in rows)
