"""Make small audio files in every input format, and damage them at random by a seed."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile

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
