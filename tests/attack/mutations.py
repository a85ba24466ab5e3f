"""Make small audio files in every input format, and damage them at random by a seed."""

import struct
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
SAME_EACH_TIME = {"fflags": "+bitexact"}  # no random numbers in the headers
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
        with av.open(str(path), "w", format=form[1], options=SAME_EACH_TIME) as container:
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


def head_flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip some bits in the first 3 %, where tags and covers are."""
    damaged = bytearray(data)
    for index in rng.integers(0, max(len(data) // 33, 1), rng.integers(1, 100)):
        damaged[index] ^= 1 << rng.integers(0, 8)
    return bytes(damaged)


def with_huge_tags(data: bytes, size: int = 1 << 20) -> bytes:
    """Add a tag of 1 MiB to a WAV or MP3 file."""
    text = b"x" * size
    if data[:4] == b"RIFF":
        tag = b"LIST" + struct.pack("<I", size + 12) + b"INFOINAM" + struct.pack("<I", size) + text
        return b"RIFF" + struct.pack("<I", len(data) + len(tag) - 8) + data[8:12] + tag + data[12:]
    frame = b"TIT2" + _syncsafe(size + 1) + b"\0\0\3" + text
    return b"ID3\4\0\0" + _syncsafe(len(frame)) + frame + data


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))


RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000, 1_000, 999, 3)
LENGTHS = (0, 1, 2, 3, 63, 441, 1_023, 5_000, 20_000, 40_000)
CONTAINERS = {".wav": "WAV", ".aif": "AIFF", ".flac": "FLAC", ".mka": "W64", ".wma": "CAF", ".ogg": "OGG"}
SUBTYPES = {"FLAC": ("PCM_16", "PCM_24"), "OGG": ("VORBIS",)}  # of other containers: _SUBTYPES
_SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def _click(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if wave.size:
        at = rng.integers(len(wave)), rng.integers(wave.shape[1])
        wave[at] = rng.choice([-1, 1]) * 10.0 ** rng.integers(0, 21)
    return wave


def _with_values(*values: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a sound that puts one of `values` into one sample, or into all."""

    def put(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        value = rng.choice(values)
        if rng.random() < 0.3 or not len(wave):
            return np.full_like(wave, value)
        wave[rng.integers(len(wave))] = value
        return wave

    return put


SOUNDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "click": _click,
    "not finite": _with_values(np.nan, np.inf, -np.inf),
    "limit": _with_values(1.0, -1.0, np.nextafter(1, 2), 32767 / 32768, 1e6, -1e6, 1.01e6, 3.4e38, 1e300),
    "denormal": lambda wave, rng: wave * 10.0 ** -rng.integers(36, 46),
    "silence": lambda wave, rng: wave * 0,
    "dc": lambda wave, rng: wave * 0 + rng.choice([1.0, -1.0, 0.02, 1e-7, 100.0]),
    "square": lambda wave, rng: np.sign(wave),
    "one sample": lambda wave, rng: wave * (np.arange(len(wave)) == len(wave) // 2)[:, None],
    "hot": lambda wave, rng: wave * 10.0 ** rng.uniform(0, 7),
    "quiet": lambda wave, rng: wave * 10.0 ** -rng.uniform(0, 7),
    "opposed": lambda wave, rng: wave[:, :1] * np.resize([1.0, -1.0], wave.shape[1]),
    "plain": lambda wave, rng: wave,
}


def write_odd_sound(folder: Path, rng: np.random.Generator, sound: str) -> Path | None:
    """Write a sound of `SOUNDS` at a random rate, length, channel count and sample format.

    Returns:
        The file; None if the container cannot hold such a sound.
    """
    suffix = str(rng.choice(list(CONTAINERS)))
    container = CONTAINERS[suffix]
    shape = int(rng.choice(LENGTHS)), int(rng.integers(1, 9))
    with np.errstate(over="ignore"):
        wave = SOUNDS[sound](rng.normal(0, 0.2, shape), rng)
    path = folder / f"{sound} {shape[0]} {shape[1]} {rng.choice(NAMES)}{suffix}"
    rate, subtype = int(rng.choice(RATES)), str(rng.choice(SUBTYPES.get(container, _SUBTYPES)))
    try:
        soundfile.write(path, wave, rate, subtype, format=container)
    except (soundfile.LibsndfileError, AssertionError):
        path.unlink(missing_ok=True)
        return None
    return path
