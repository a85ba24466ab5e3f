"""Fuzz test: damaged and unusual files neither crash nor hang `prepare`."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from tests.corpus.noise_songs import write_genres

RATE = 44_100
_SEEDS = {  # suffix: codec and container of PyAV, or None for soundfile
    ".wav": None,
    ".flac": None,
    ".mp3": None,
    ".ogg": None,
    ".m4a": ("aac", "mp4"),
    ".opus": ("libopus", "ogg"),
    ".webm": ("libopus", "webm"),
}
NAMES = (
    "песня", "曲", "أغنية", "노래", "τραγούδι", "जैज़", "emoji 🎧", "a'b \"c\" [d], {e}=f", "  spaces  ", "-rf",
)  # fmt: skip


def make_seeds(folder: Path) -> dict[str, bytes]:
    """Return 1.3 s of noise and tone in each format, as bytes by suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    time_s = np.arange(round(1.3 * 48_000)) / 48_000
    wave = np.stack([0.3 * np.sin(2 * np.pi * 300 * time_s), rng.normal(0, 0.1, time_s.shape)], 1)
    for suffix, form in _SEEDS.items():
        path = folder / f"seed{suffix}"
        if form is None:
            soundfile.write(path, wave, 48_000)
            continue
        with av.open(str(path), "w", format=form[1]) as container:
            stream = container.add_stream(form[0], rate=48_000, layout="stereo")
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32).reshape(1, -1), "flt", "stereo")
            frame.sample_rate = 48_000
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
    return {suffix: (folder / f"seed{suffix}").read_bytes() for suffix in _SEEDS}


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(0, len(data))]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip some bits, in half of the cases in the header only."""
    damaged = bytearray(data)
    reach = len(data) if rng.random() < 0.5 else min(len(data), 200)
    for index in rng.integers(0, reach, rng.integers(1, 40)):
        damaged[index] ^= 1 << rng.integers(0, 8)
    return bytes(damaged)


def overwritten(data: bytes, rng: np.random.Generator) -> bytes:
    start, length = rng.integers(0, len(data)), rng.integers(1, 5000)
    return data[:start] + rng.bytes(length) + data[start + length :]


def shuffled(data: bytes, rng: np.random.Generator) -> bytes:
    parts = np.array_split(np.frombuffer(data, np.uint8), 9)
    return b"".join(parts[index].tobytes() for index in rng.permutation(9))


DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    truncated,
    flipped,
    overwritten,
    shuffled,
)


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
