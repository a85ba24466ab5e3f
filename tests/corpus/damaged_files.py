"""Audio files that are damaged in many ways, as a folder."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile

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
    """A second and a bit of noise and tone in each format, as bytes by suffix."""
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
    """Some bits, half of the time in the header alone."""
    damaged = bytearray(data)
    reach = len(data) if rng.random() < 0.5 else min(len(data), 200)
    for place in rng.integers(0, reach, rng.integers(1, 40)):
        damaged[place] ^= 1 << rng.integers(0, 8)
    return bytes(damaged)


def overwritten(data: bytes, rng: np.random.Generator) -> bytes:
    start, length = rng.integers(0, len(data)), rng.integers(1, 5000)
    return data[:start] + rng.bytes(length) + data[start + length :]


def shuffled(data: bytes, rng: np.random.Generator) -> bytes:
    parts = np.array_split(np.frombuffer(data, np.uint8), 9)
    return b"".join(parts[place].tobytes() for place in rng.permutation(9))


DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    truncated,
    flipped,
    overwritten,
    shuffled,
)


def write_odd(folder: Path) -> int:
    """Files that are odd rather than damaged; returns how many."""
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
    """`count` files, each a format damaged in one way; a tenth also has another format's name."""
    folder.mkdir(parents=True, exist_ok=True)
    suffixes = list(seeds)
    for number in range(count):
        rng = np.random.default_rng([7, number])
        suffix = suffixes[number % len(suffixes)]
        damage = DAMAGES[number // len(suffixes) % len(DAMAGES)]
        shown = suffixes[rng.integers(len(suffixes))] if number % 10 == 9 else suffix
        (folder / f"{number:04d} {damage.__name__}{shown}").write_bytes(damage(seeds[suffix], rng))
