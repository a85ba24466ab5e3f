"""Files that are written block by block and appear whole or not at all (soundfile; PyAV for AAC)."""

import io
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan_audio.audio.containers import AacFile, UnsupportedForm
from cyclegan_audio.errors import UserError
from cyclegan_audio.utils.atomic import atomic_path, temporary_path

_SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
_COMPRESSION = {".mp3": 0.0, ".ogg": 0.3}  # libsndfile's levels, 0 the best: 250 and 190 kbit/s of stereo
_AAC = ".m4a"
OUTPUT_SUFFIXES = (*_SUBTYPES, _AAC)
_MAX_WAV_BYTES = 2**32 - 2**16  # of samples: the sizes in its header have 32 bits
_BLOCK = 1 << 16  # samples written at once: libsndfile's Vorbis encoder overflows its stack on whole songs


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


def check_form(path: Path, rate: int, channels: int) -> None:
    """Make sure, before any work, that the format that the suffix names can hold a sample rate and channels.

    Raises:
        UserError: it cannot.
    """
    import soundfile

    try:
        _open(io.BytesIO(), path.suffix.lower(), rate, channels).close()
    except (soundfile.LibsndfileError, UnsupportedForm) as error:
        raise UserError(
            f"cannot write {path}: {path.suffix} does not take {channels} channels at {rate} Hz "
            f"({_reason(error).strip()}); use .wav or .flac"
        ) from error


def _open(file: io.IOBase, suffix: str, rate: int, channels: int, kind: str | None = None) -> Any:
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


class _Disk(io.FileIO):
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
    except (OSError, soundfile.LibsndfileError, UnsupportedForm, av.FFmpegError) as error:
        raise UserError(f"cannot write {path} ({_reason(error)}); choose another folder or format") from error


def _reason(error: Exception) -> str:
    return getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
