"""Audio files: find, decode (PyAV), resample, mix to mono, write block by block (soundfile; PyAV for AAC).

Waveforms are float32 on the CPU, (C, T), full scale at 1.
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO, FileIO, IOBase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.containers import AacFile, UnsupportedFormat, open_input
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.utils.atomic import atomic_path, temporary_path
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

# PyAV's resampler is part of a reference cycle and, since PyAV 19, owns threads. A forked process has the
# object without the threads, and would wait for them for ever when it collects the cycle.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4",
    ".webm", ".mka",
)  # fmt: skip

_MAX_BAD_PACKETS = 0.02  # share of packets that may be damaged before the whole file counts as damaged
# What PyAV raises beside its av.FFmpegError, which is mostly, but not always, an OSError or a ValueError.
_UNREADABLE = (OSError, ValueError, LookupError, EOFError, RuntimeError)
_STREAM_BLOCK = 1 << 16  # samples
MIN_RATE, MAX_RATE = 1_000, 1_000_000  # Hz; beyond, the header is damaged
_SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
_COMPRESSION = {".mp3": 0.0, ".ogg": 0.3}  # libsndfile's levels, 0 the best: 250 and 190 kbit/s of stereo
_AAC = ".m4a"
OUTPUT_SUFFIXES = (*_SUBTYPES, _AAC)
_MAX_WAV_BYTES = 2**32 - 2**16  # of samples: the sizes in its header have 32 bits
_BLOCK = 1 << 16  # samples written at once: libsndfile's Vorbis encoder overflows its stack on whole songs


def find_audio(folder: str | Path) -> list[Path]:
    """Audio files below `folder` at any depth, sorted; hidden files and folders are left out.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a folder with audio files{suggest_path(folder)}")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return sorted(path for path in found if path.is_file() and not _hidden(path.relative_to(folder)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def decode(path: str | Path, *, sample_rate: int | None = None, mono: bool = False) -> tuple[Tensor, int]:
    """Decode the first audio stream of any file that FFmpeg reads.

    Args:
        path: the file.
        sample_rate: resample to this rate; the file's own by default.
        mono: mix all channels to one, (1, T).

    Returns:
        The waveform (C, T) float32 and its sample rate. A few damaged packets are left out, as players do.

    Raises:
        UserError: the file is missing, holds no audio, or is damaged.
    """
    blocks, rate = [], 0
    for block in stream_blocks(path):
        rate = block.rate
        blocks.append(block.samples.mean(0, keepdim=True) if mono else block.samples)
    waveform = torch.cat(blocks, 1)
    return resample(waveform, rate, sample_rate or rate), sample_rate or rate


@dataclass(frozen=True)
class Block:
    """A part of a file: `samples` (C, n) float32, its rate, and the name of its codec."""

    samples: Tensor
    rate: int
    codec: str


def stream_blocks(path: str | Path) -> Iterator[Block]:
    """Decode the first audio stream of any file that FFmpeg reads, in blocks of bounded size, never empty.

    A few damaged packets are left out, as players do.

    Raises:
        UserError: the file is missing, holds no audio, or is damaged (only then is this known at the end).
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file; check the path{suggest_path(path)}")
    try:
        yield from _blocks(path)
    except (*_UNREADABLE, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        said = " ".join(reason.split())
        raise UserError(f"{path} cannot be read as audio ({said}); give another file") from error


def _blocks(path: Path) -> Iterator[Block]:
    import av

    with open_input(path) as container:
        if not container.streams.audio:
            raise ValueError("it has no audio stream")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("its codec is unknown")
        codec = stream.codec_context.name
        queue, to_float = av.AudioFifo(), av.AudioResampler(format="flt")
        end_s = _stated_end_s(container, stream)
        form: tuple[int, int] | None = None
        padding = 0
        for frame in _frames(container, stream):
            form = _form(frame, form)
            padding = _padding(frame, end_s)
            frame.pts = None  # the queue would refuse the jumps that damaged packets leave
            queue.write(frame)
            while queue.samples - padding >= _STREAM_BLOCK:
                yield from _floats(to_float, queue.read(_STREAM_BLOCK), codec)
        if not form:
            raise ValueError("it holds no samples")
        if queue.samples > padding:
            yield from _floats(to_float, queue.read(queue.samples - padding), codec)


def _stated_end_s(container, stream) -> float | None:  # type: ignore[no-untyped-def]
    """When the music of an MP4 file ends, which its edit list says; None for other containers."""
    if "mp4" not in container.format.name or not stream.duration or stream.start_time is None:
        return None
    return float((stream.start_time + stream.duration) * stream.time_base)


def _padding(frame, end_s: float | None) -> int:  # type: ignore[no-untyped-def]
    """Samples of a frame beyond the end of the music, which FFmpeg before 9 gives too."""
    if end_s is None or frame.time is None:
        return 0
    left = round((end_s - frame.time) * frame.sample_rate)
    return frame.samples - left if 0 < left < frame.samples else 0


def _floats(to_float, frame, codec: str) -> Iterator[Block]:  # type: ignore[no-untyped-def]
    """A frame of any format as blocks; unpacked ones of 8 channels and more would crash PyAV 18."""
    for packed in to_float.resample(frame):
        samples = packed.to_ndarray().reshape(-1, packed.layout.nb_channels)
        yield Block(torch.from_numpy(np.ascontiguousarray(samples.T)), packed.sample_rate, codec)


def _form(frame, before: tuple[int, int] | None) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """Sample rate and channel count of a frame, the same in all of a file."""
    form = (frame.sample_rate, frame.layout.nb_channels)
    if before not in (None, form):
        raise ValueError("its sample rate or channel count changes on the way")
    if not MIN_RATE <= form[0] <= MAX_RATE:
        raise ValueError(f"its sample rate of {form[0]} Hz is not one of music")
    return form


def _frames(container, stream) -> Iterator:  # type: ignore[no-untyped-def]  # av has no stubs
    """Decoded frames; damaged packets are skipped as long as they are few.

    Raises:
        ValueError: too many damaged packets.
    """
    import av

    packets = bad = 0
    for packet in container.demux(stream):
        packets += 1
        frames = []
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
        yield from frames
    if bad > max(1, packets * _MAX_BAD_PACKETS):
        raise ValueError(f"{bad} of {packets} packets are damaged")


def to_mono(waveform: Tensor) -> Tensor:
    """The mean of all channels: (C, T) to (T,)."""
    return waveform.mean(0)


def check_writable(path: str | Path) -> None:
    """Make sure, before any work, that `path` can be written as audio. Leaves nothing behind.

    Raises:
        UserError: unknown suffix, or the folder cannot be made or written.
    """
    path = Path(path)
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        known = ", ".join(OUTPUT_SUFFIXES)
        raise UserError(f"cannot write {path}: unknown suffix {path.suffix!r}; use {known}")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give a file name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    trial = temporary_path(folder / path.name)
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"cannot write into {folder} ({error.strerror}); choose another folder") from error


def is_lossy(path: Path) -> bool:
    """Whether the format that the suffix names gives back other samples, whose peaks may be higher."""
    return path.suffix.lower() in (*_COMPRESSION, _AAC)


def check_format(path: Path, rate: int, channels: int) -> None:
    """Make sure, before any work, that the format that the suffix names can hold a sample rate and channels.

    Raises:
        UserError: it cannot.
    """
    import soundfile

    try:
        _open(BytesIO(), path.suffix.lower(), rate, channels).close()
    except (soundfile.LibsndfileError, UnsupportedFormat) as error:
        raise UserError(
            f"cannot write {path}: {path.suffix} does not take {channels} channels at {rate} Hz "
            f"({_reason(error).strip()}); use .wav or .flac"
        ) from error


def _open(file: IOBase, suffix: str, rate: int, channels: int, kind: str | None = None) -> Any:
    """libsndfile's file, to be written, or its like for AAC."""
    import soundfile

    if suffix == _AAC:
        return AacFile(file, rate, channels)  # type: ignore[arg-type]
    kind = kind or suffix[1:].upper()
    level = _COMPRESSION.get(suffix)
    return soundfile.SoundFile(
        file, "w", rate, channels, _SUBTYPES[suffix], format=kind, compression_level=level
    )


class Writer:
    """Writes blocks to a file that appears whole, under its own name, or not at all; see `open_writer`.

    Attributes:
        path: the temporary file, in the folder of the target, with its suffix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._suffix = path.suffix.lower()
        self._disk: Any = None
        self._file: Any = None

    def open(self, rate: int, channels: int, n_samples: int, strings: Mapping[str, str]) -> None:
        """Make the file; see `open_writer`."""
        self._disk = _Disk(self.path, "w+b")
        is_long = self._suffix == ".wav" and 2 * n_samples * channels > _MAX_WAV_BYTES
        with self._disk.first():
            self._file = _open(self._disk, self._suffix, rate, channels, "RF64" if is_long else None)
            for name, value in strings.items():
                setattr(self._file, name, value)

    def write(self, waveform: Tensor) -> None:
        """The next samples (C, n); values beyond full scale are clipped."""
        for block in waveform.detach().cpu().clamp(-1, 1).T.split(_BLOCK):
            with self._disk.first():
                self._file.write(block.numpy())

    def finish(self) -> None:
        """Write what is left in memory; the file at `path` is whole then."""
        with self._disk.first():
            self._file.close()
        self._disk.close()

    def close(self) -> None:
        """Close the file, whole or not."""
        for file in (self._file, self._disk):
            with suppress(OSError, RuntimeError, ValueError):
                if file is not None:
                    file.close()


class _Disk(FileIO):
    """A file that remembers the first error of a write, which libsndfile and FFmpeg would not tell."""

    error: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        try:
            written = super().write(data)
            if written != len(data):
                written += super().write(memoryview(data)[written:])  # says why the first was short
            return written
        except OSError as error:
            self.error = self.error or error
            return 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """What goes wrong within is told as the disk's own error, if there was one."""
        try:
            yield
        except (RuntimeError, AssertionError):  # soundfile's, the latter of a short write
            if self.error is None:
                raise
        if self.error is not None:
            raise self.error


@contextmanager
def open_writer(
    path: str | Path, rate: int, channels: int, n_samples: int = 0, strings: Mapping[str, str] | None = None
) -> Iterator[Writer]:
    """Write a file block by block, in the format of the suffix (.wav and .flac 16 bit, .mp3, .ogg, .m4a).

    Makes the folder. The file is there when the block ends without an error.

    Args:
        path: the file.
        rate: of the samples, in Hz.
        channels: of the samples.
        n_samples: how many will come, where known: a WAV file beyond 4 GiB becomes RF64.
        strings: tags by libsndfile's names (title, artist...).

    Raises:
        UserError: unknown suffix, folder not writable, disk full, or the format cannot hold this rate or
            channel count.
    """
    import av
    import soundfile

    path = Path(path)
    check_writable(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, closing(Writer(part)) as writer:
            writer.open(rate, channels, n_samples, strings or {})
            yield writer
            writer.finish()
    except (OSError, soundfile.LibsndfileError, UnsupportedFormat, av.FFmpegError) as error:
        raise UserError(f"cannot write {path} ({_reason(error)}); choose another folder or format") from error


def _reason(error: Exception) -> str:
    return getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)


def save(path: str | Path, waveform: Tensor, rate: int) -> None:
    """Write (C, T) or (T,) in one go; see `open_writer`."""
    samples = torch.atleast_2d(waveform)
    with open_writer(path, rate, *samples.shape) as writer:
        writer.write(samples)
