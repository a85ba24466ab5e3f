"""Fuzz test: damaged and unusual files neither crash nor hang `prepare`."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from tests.attack.mutations import DAMAGES, NAMES, make_seeds
from tests.corpus.noise_songs import write_genres

RATE = 44_100


def write_odd(folder: Path) -> int:
    """Write unusual files; return their number."""
    rng = np.random.default_rng(1)
    n_before = len(list(folder.iterdir()))
    soundfile.write(folder / "one sample.wav", np.zeros(1), RATE)
    for number, bad in enumerate((np.nan, np.inf, -np.inf)):
        wave = rng.normal(0, 0.1, round(1.2 * RATE)).astype(np.float32)
        wave[RATE // 2] = bad
        soundfile.write(folder / f"not finite {number}.wav", wave, RATE, subtype="FLOAT")
    for rate, channels in ((8_000, 1), (11_025, 3), (44_101, 2), (96_000, 6), (192_000, 8)):
        wave = rng.normal(0, 0.1, (round(1.2 * rate), channels))
        soundfile.write(folder / f"{rate} Hz {channels} ch.wav", wave, rate)
    for name in NAMES:
        soundfile.write(folder / f"{name}.flac", rng.normal(0, 0.1, round(1.2 * 8000)), 8000)
    (folder / "zero.mp3").touch()
    (folder / "text.ogg").write_text("no audio " * 999)
    soundfile.write(folder / "closed.wav", rng.normal(0, 0.1, round(1.2 * 8000)), 8000)
    os.chmod(folder / "closed.wav", 0)
    n_files = len(list(folder.iterdir())) - n_before
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    (folder / "nowhere.mp3").symlink_to(folder / "gone.mp3")
    return n_files


def write_damaged(folder: Path, seeds: dict[str, bytes], count: int) -> None:
    """Write `count` damaged files; a tenth has the suffix of another format."""
    folder.mkdir(parents=True, exist_ok=True)
    suffixes = list(seeds)
    for number in range(count):
        rng = np.random.default_rng([7, number])
        suffix = suffixes[number % len(suffixes)]
        damage = DAMAGES[number // len(suffixes) % len(DAMAGES)]
        name_suffix = suffixes[rng.integers(len(suffixes))] if number % 10 == 9 else suffix
        (folder / f"{number:04d} {damage.__name__}{name_suffix}").write_bytes(damage(seeds[suffix], rng))


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_are_rows_with_a_reason(tmp_path, settings, count):
    genres = write_genres(tmp_path, ("good",)) | {"bad": tmp_path / "bad"}
    write_damaged(genres["bad"], make_seeds(tmp_path / "seeds"), count)
    n_odd = write_odd(genres["bad"])
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings(workers=2))
    bad = [row for row in rows if row["genre"] == "bad"]
    by_file = {row["source"]: row for row in bad}
    assert len(by_file) == count + n_odd
    assert all(bool(row["reason"]) != row["kept"] for row in bad)
    reasons = Counter(row["reason"].partition(" (")[0] for row in bad)
    assert reasons["cannot be read as audio"] > count / 10
    assert all(by_file[f"{name}.flac"]["kept"] for name in NAMES)
    assert by_file["192000 Hz 8 ch.wav"]["kept"]
    assert by_file["one sample.wav"]["reason"] == "shorter than a clip"
    assert by_file["not finite 1.wav"]["reason"] == "non-finite samples"
    corpus = Corpus.open(tmp_path / "out")
    for clip in corpus.clips("bad", "train"):
        assert np.isfinite(corpus.mel_db(clip).numpy()).all()
    print(dict(reasons))
