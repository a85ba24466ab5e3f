"""Find, decode and write audio files: PyAV reads any format, soundfile writes (PyAV for AAC), block by block.

Waveforms are float32 on the CPU, (C, T), full scale at 1.
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.containers import UnsupportedFormat, open_input
from cyclegan_audio.audio.encoder import (
    AAC,
    LOSSY_SUFFIXES,
    SUBTYPES,
    AudioFormat,
    Encoder,
    EncoderError,
    error_text,
    make_encoder,
    open_encoder,
)
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.utils.atomic import atomic_path, delete_stale, temporary_path
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

# PyAV's resampler is part of a reference cycle and, since PyAV 19, owns threads. A forked process inherits
# the object but not the threads, and would wait for them forever when it collects the cycle.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4",
    ".webm", ".mka",
)  # fmt: skip

_MAX_BAD_PACKETS = 0.02  # a file with a larger share of damaged packets is refused
# PyAV raises these beside its av.FFmpegError, which usually, but not always, is an OSError or a ValueError.
_READ_ERRORS = (OSError, ValueError, LookupError, EOFError, RuntimeError)
READ_BLOCK = 1 << 16  # samples
MIN_RATE, MAX_RATE = 1_000, 1_000_000  # Hz; other rates mean a damaged header
MAX_SAMPLE = 1e6  # full scale is 1; a larger |sample| means damage
OUTPUT_SUFFIXES = (*SUBTYPES, AAC)
_MAX_WAV_BYTES = 2**32 - 2**16  # sizes in a WAV header have 32 bits


def find_audio(folder: str | Path) -> list[Path]:
    """Return the audio files below `folder` at any depth, sorted, without hidden files and folders.

    Raises:
        UserError: `folder` is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a folder with audio files{suggest_path(folder)}")
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return sorted(path for path in paths if path.is_file() and not _is_hidden(path.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def decode(path: str | Path, *, sample_rate: int | None = None, mono: bool = False) -> tuple[Tensor, int]:
    """Decode the first audio stream of any file that FFmpeg reads.

    Args:
        path: the file.
        sample_rate: target rate in Hz; None keeps the file's rate.
        mono: whether to mix all channels to one, (1, T).

    Returns:
        The waveform (C, T) float32 and its sample rate in Hz. A few damaged packets are skipped.

    Raises:
        UserError: the file is missing, has no audio, or is damaged.
    """
    blocks, rate = [], 0
    for block in stream_blocks(path):
        rate = block.rate
        blocks.append(block.samples.mean(0, keepdim=True) if mono else block.samples)
    waveform = torch.cat(blocks, 1)
    return resample(waveform, rate, sample_rate or rate), sample_rate or rate


@dataclass(frozen=True)
class Block:
    """A block of a decoded file.

    Attributes:
        samples: (C, n) float32.
        rate: sample rate in Hz.
        codec: FFmpeg's name of the file's codec.
    """

    samples: Tensor
    rate: int
    codec: str


def stream_blocks(path: str | Path) -> Iterator[Block]:
    """Decode the first audio stream of any file that FFmpeg reads, in non-empty blocks of bounded size.

    A few damaged packets are skipped, as players do.

    Raises:
        UserError: the file is missing, has no audio, or is damaged (which may show only at its end).
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file; check the path{suggest_path(path)}")
    try:
        yield from _decode_blocks(path)
    except (*_READ_ERRORS, av.FFmpegError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = " ".join(text.split())
        raise UserError(f"{path} cannot be read as audio ({reason}); give another file") from error


def _decode_blocks(path: Path) -> Iterator[Block]:
    import av

    with open_input(path) as container:
        if not container.streams.audio:
            raise ValueError("it has no audio stream")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("its codec is unknown")
        codec = stream.codec_context.name
        queue, to_float = av.AudioFifo(), av.AudioResampler(format="flt")
        end_s = _edit_list_end_s(container, stream)
        frame_format: tuple[int, int] | None = None
        padding = 0
        for frame in _decode_frames(container, stream):
            frame_format = _check_frame_format(frame, frame_format)
            padding = _padding(frame, end_s)
            frame.pts = None  # the queue refuses the jumps in time that damaged packets leave
            queue.write(frame)
            while queue.samples - padding >= READ_BLOCK:
                yield from _to_blocks(to_float, queue.read(READ_BLOCK), codec)
        if not frame_format:
            raise ValueError("it has no samples")
        if queue.samples > padding:
            yield from _to_blocks(to_float, queue.read(queue.samples - padding), codec)


def _edit_list_end_s(container, stream) -> float | None:  # type: ignore[no-untyped-def]
    """Return when the audio of an MP4 file ends by its edit list; None for other containers."""
    if "mp4" not in container.format.name or not stream.duration or stream.start_time is None:
        return None
    return float((stream.start_time + stream.duration) * stream.time_base)


def _padding(frame, end_s: float | None) -> int:  # type: ignore[no-untyped-def]
    """Return how many samples of a frame lie beyond the end of the audio; FFmpeg before 9 decodes them."""
    if end_s is None or frame.time is None:
        return 0
    n_before_end = round((end_s - frame.time) * frame.sample_rate)
    return frame.samples - n_before_end if 0 < n_before_end < frame.samples else 0


def _to_blocks(to_float, frame, codec: str) -> Iterator[Block]:  # type: ignore[no-untyped-def]
    """Convert a frame of any sample format to blocks; planar frames of 8 or more channels crash PyAV 18."""
    for packed in to_float.resample(frame):
        samples = packed.to_ndarray().reshape(-1, packed.layout.nb_channels)
        yield Block(torch.from_numpy(np.ascontiguousarray(samples.T)), packed.sample_rate, codec)


def _check_frame_format(frame, previous: tuple[int, int] | None) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """Return the sample rate and channel count of a frame.

    Raises:
        ValueError: they differ from those of the previous frame, or the rate is out of range.
    """
    frame_format = (frame.sample_rate, frame.layout.nb_channels)
    if previous not in (None, frame_format):
        raise ValueError("its sample rate or channel count changes within the file")
    if not MIN_RATE <= frame_format[0] <= MAX_RATE:
        raise ValueError(
            f"its sample rate of {frame_format[0]} Hz is not between {MIN_RATE} and {MAX_RATE} Hz"
        )
    return frame_format


def _decode_frames(container, stream) -> Iterator:  # type: ignore[no-untyped-def]  # av has no stubs
    """Decode frames and skip damaged packets as long as they are few.

    Raises:
        ValueError: too many damaged packets.
    """
    import av

    n_packets = n_bad = 0
    for packet in container.demux(stream):
        n_packets += 1
        frames = []
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            n_bad += 1
        yield from frames
    if n_bad > max(1, n_packets * _MAX_BAD_PACKETS):
        raise ValueError(f"{n_bad} of {n_packets} packets are damaged")


def to_mono(waveform: Tensor) -> Tensor:
    """Average all channels: (C, T) to (T,)."""
    return waveform.mean(0)


def check_writable(path: str | Path) -> None:
    """Check, before any work, that `path` can be written as audio; leave no file behind.

    Raises:
        UserError: unknown suffix, `path` is a folder, or its folder cannot be created or written.
    """
    path = Path(path)
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        known = ", ".join(OUTPUT_SUFFIXES)
        raise UserError(f"cannot write {path}: unknown suffix {path.suffix!r}; use {known}")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give a file name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    probe = temporary_path(folder / path.name)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write into {folder} ({error.strerror}); choose another folder") from error


def is_lossy(path: Path) -> bool:
    """Return whether the format of this suffix is lossy: decoded peaks may then be higher than written."""
    return path.suffix.lower() in LOSSY_SUFFIXES


def check_format(path: Path, rate: int, channels: int) -> None:
    """Check, before any work, that the format of this suffix supports a sample rate and channel count.

    Raises:
        UserError: the format does not support them.
    """
    import soundfile

    try:
        open_encoder(BytesIO(), path.suffix.lower(), rate, channels).close()
    except (soundfile.LibsndfileError, UnsupportedFormat) as error:
        raise UserError(
            f"cannot write {path}: {path.suffix} does not support {channels} channels at {rate} Hz "
            f"({error_text(error).strip()}); use .wav or .flac"
        ) from error


class Writer:
    """Encode blocks to a temporary file, which `open_writer` renames when it is complete.

    Attributes:
        path: the temporary file, in the folder of the target, with its suffix.
        target: the file that it becomes.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self.target = path, target
        self._encoder: Encoder | None = None

    def open(self, rate: int, channels: int, n_samples: int, tags: Mapping[str, str]) -> None:
        """Create the file; the arguments are those of `open_writer`."""
        is_long = self.path.suffix.lower() == ".wav" and 2 * n_samples * channels > _MAX_WAV_BYTES
        container = "RF64" if is_long else None
        self._encoder = make_encoder(AudioFormat(str(self.path), rate, channels, container, dict(tags)))

    def write(self, waveform: Tensor) -> None:
        """Encode the next samples (C, n); values beyond full scale are clipped.

        Raises:
            UserError: samples are not finite.
        """
        samples = waveform.detach().cpu()
        if not torch.isfinite(samples).all():
            raise UserError(
                f"cannot write {self.target}: the sound to write has samples that are not finite numbers; "
                "check what made it"
            )
        if self._encoder is None:
            raise ValueError("the file is not open")
        self._encoder.write(samples.clamp(-1, 1).T.numpy())

    def finish(self) -> None:
        """Write what the encoder still holds; the file at `path` is then complete."""
        if self._encoder is not None:
            self._encoder.finish()
            self._encoder = None

    def close(self) -> None:
        """Close the file, complete or not."""
        if self._encoder is not None:
            self._encoder.close()


@contextmanager
def open_writer(
    path: str | Path, rate: int, channels: int, n_samples: int = 0, tags: Mapping[str, str] | None = None
) -> Iterator[Writer]:
    """Open a file to write block by block, in the format of its suffix (.wav and .flac: 16 bit).

    Creates the folder, and deletes what killed processes left there. The file appears when the `with` block
    ends without an error.

    Args:
        path: the file; its suffix is one of `OUTPUT_SUFFIXES`.
        rate: sample rate in Hz.
        channels: number of channels.
        n_samples: expected samples per channel; a WAV file beyond 4 GiB becomes RF64.
        tags: values by libsndfile's names (title, artist...).

    Raises:
        UserError: unknown suffix, folder not writable, disk full, or the format does not support this rate or
            channel count.
    """
    import av
    import soundfile

    path = Path(path)
    check_writable(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        delete_stale(path.parent, OUTPUT_SUFFIXES)
        with atomic_path(path) as temporary, closing(Writer(temporary, path)) as writer:
            writer.open(rate, channels, n_samples, tags or {})
            yield writer
            writer.finish()
    except (OSError, EncoderError, soundfile.LibsndfileError, UnsupportedFormat, av.FFmpegError) as error:
        raise UserError(
            f"cannot write {path} ({error_text(error)}); choose another folder or format"
        ) from error


def save(path: str | Path, waveform: Tensor, rate: int) -> None:
    """Write a whole waveform (C, T) or (T,) to a file; see `open_writer`."""
    samples = torch.atleast_2d(waveform)
    with open_writer(path, rate, *samples.shape) as writer:
        writer.write(samples)
