"""Encode samples to a file: in this process, or in one that may crash without ending this one.

Lossy encoders (LAME, Vorbis, AAC) run in a process of their own: a failed assertion or a fault in them ends
the process. This module must start fast: neither it nor what it imports may import torch.
"""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from io import FileIO, IOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from cyclegan_audio.audio.containers import AacFile

AAC = ".m4a"
SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
COMPRESSION = {".mp3": 0.0, ".ogg": 0.3}  # libsndfile's levels, 0 is best: 250 and 190 kbit/s for stereo
LOSSY_SUFFIXES = (*COMPRESSION, AAC)
_BLOCK = 1 << 16  # samples; libsndfile's Vorbis encoder overflows its stack on whole songs
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from cyclegan_audio.audio.encoder import main; main()"
)
_COUNT = struct.Struct("<I")  # samples per channel that follow in the pipe
_END = 0xFFFFFFFF


class EncoderError(Exception):
    """An encoder failed or crashed; the message is the reason."""


@dataclass(frozen=True)
class AudioFormat:
    """Properties of a file to write.

    Attributes:
        path: the file.
        rate: sample rate in Hz.
        channels: number of channels.
        container: libsndfile's name of the container; None for the one of the suffix.
        tags: values by libsndfile's names (title, artist...).
    """

    path: str
    rate: int
    channels: int
    container: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class Encoder(Protocol):
    """An encoder of one file."""

    def write(self, samples: np.ndarray, /) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def make_encoder(audio_format: AudioFormat) -> Encoder:
    """Return the encoder of a file: in a process of its own for lossy formats."""
    if Path(audio_format.path).suffix.lower() in LOSSY_SUFFIXES:
        return EncoderProcess(audio_format)
    return FileEncoder(audio_format)


def open_encoder(file: IOBase, suffix: str, rate: int, channels: int, container: str | None = None) -> Any:
    """Open a `soundfile.SoundFile` for writing, or an `AacFile`."""
    import soundfile

    if suffix == AAC:
        return AacFile(file, rate, channels)  # type: ignore[arg-type]
    container = container or suffix[1:].upper()
    level = COMPRESSION.get(suffix)
    return soundfile.SoundFile(
        file, "w", rate, channels, SUBTYPES[suffix], format=container, compression_level=level
    )


def error_text(error: Exception) -> str:
    """Return the reason of an error of libsndfile, FFmpeg or the system."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__


class FileEncoder:
    """An encoder in this process.

    Raises:
        OSError: the file cannot be created or written.
        Exception: what the encoder raises.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        suffix = Path(audio_format.path).suffix.lower()
        self._file: Any = None
        self._raw = _RawFile(audio_format.path, "w+b")
        form = audio_format.rate, audio_format.channels, audio_format.container
        try:
            with self._raw.raise_write_error():
                self._file = open_encoder(self._raw, suffix, *form)
                for name, value in audio_format.tags.items():
                    setattr(self._file, name, value)
        except BaseException:
            self.close()
            raise

    def write(self, samples: np.ndarray) -> None:
        """Encode the next samples (n, C), in [-1, 1]."""
        for start in range(0, len(samples), _BLOCK):
            with self._raw.raise_write_error():
                self._file.write(samples[start : start + _BLOCK])

    def finish(self) -> None:
        """Write what the encoder still holds; the file is then complete."""
        with self._raw.raise_write_error():
            self._file.close()
        self._raw.close()

    def close(self) -> None:
        """Close the file, complete or not."""
        for file in (self._file, self._raw):
            with suppress(OSError, RuntimeError, ValueError):
                if file is not None:
                    file.close()


class _RawFile(FileIO):
    """A file that keeps its first write error, which libsndfile and FFmpeg do not report."""

    error: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        try:
            n_written = super().write(data)
            if n_written != len(data):
                n_written += super().write(
                    memoryview(data)[n_written:]
                )  # raises the reason of the short write
            return n_written
        except OSError as error:
            self.error = self.error or error
            return 0

    @contextmanager
    def raise_write_error(self) -> Iterator[None]:
        """Raise the kept write error, if any, in place of the encoder's error within the block."""
        try:
            yield
        except (RuntimeError, AssertionError):  # by soundfile; AssertionError after a short write
            if self.error is None:
                raise
        if self.error is not None:
            raise self.error


class EncoderProcess:
    """A `FileEncoder` in another process, which reads the samples from a pipe.

    The encoder ends when this process does, as the pipe closes. It has a session of its own, so that Ctrl-C
    does not reach it.

    Raises:
        EncoderError: the encoder failed or crashed.
        OSError: the process cannot be started.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps([str(folder) for folder in sys.path])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._reply = ""
        self._send(json.dumps(asdict(audio_format)).encode() + b"\n")

    def write(self, samples: np.ndarray) -> None:
        """Encode the next samples (n, C), in [-1, 1]."""
        if len(samples):
            self._send(_COUNT.pack(len(samples)), np.ascontiguousarray(samples, np.float32).data)

    def finish(self) -> None:
        """Write what the encoder still holds; the file is then complete."""
        self._send(_COUNT.pack(_END))
        if reason := self._wait():
            raise EncoderError(reason)

    def close(self) -> None:
        """End the process, if it still runs."""
        self._process.kill()
        self._wait()

    def _send(self, *parts: Any) -> None:
        try:
            for part in parts:
                self._process.stdin.write(part)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            raise EncoderError(self._wait()) from None

    def _wait(self) -> str:
        """Wait for the end of the process; return the reason of its failure, or an empty text."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        if not self._process.stdout.closed:  # type: ignore[union-attr]
            with self._process.stdout as output:  # type: ignore[union-attr]
                self._reply = output.read().decode(errors="replace")
        code = self._process.wait()
        if code < 0:
            return f"the encoder crashed: {signal.Signals(-code).name}"
        return self._reply or ("the encoder ended early" if code else "")


def main() -> None:
    """Encode what the standard input describes; print the reason of a failure to the standard output."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # this process ends when its input does
    try:
        is_complete = _encode(sys.stdin.buffer)
    except Exception as error:
        print(error_text(error).strip(), end="")
        is_complete = False
    sys.stdout.flush()
    os._exit(not is_complete)  # an encoder that failed may crash as it is destroyed


def _encode(source: BinaryIO) -> bool:
    """Encode samples until the end mark; return False if the input ends before it."""
    audio_format = AudioFormat(**json.loads(source.readline()))
    encoder = FileEncoder(audio_format)
    size = 4 * audio_format.channels
    while head := source.read(_COUNT.size):
        (n_samples,) = _COUNT.unpack(head)
        if n_samples == _END:
            encoder.finish()
            return True
        data = source.read(n_samples * size)
        if len(data) < n_samples * size:
            return False
        encoder.write(np.frombuffer(data, np.float32).reshape(n_samples, -1))
    return False
