"""Audio files: find, decode (PyAV), resample, mix to mono, write (soundfile).

Waveforms are float32 on the CPU, (C, T), full scale at 1.
"""

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.containers import open_input
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.audio.writing import check_writable as check_writable
from cyclegan_audio.audio.writing import open_writer
from cyclegan_audio.errors import UserError
from cyclegan_audio.hints import suggest_path

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
    for block in stream(path):
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


def stream(path: str | Path) -> Iterator[Block]:
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


def write(path: str | Path, waveform: Tensor, rate: int) -> None:
    """Write (C, T) or (T,) in one go; see `open_writer`."""
    samples = torch.atleast_2d(waveform)
    with open_writer(path, rate, *samples.shape) as writer:
        writer.write(samples)
