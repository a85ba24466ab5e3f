"""Translate an audio file to an audio file: spooled on disk, at the input's loudness, with tags and cover."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.file_tags import copy_tags, tags_at_creation
from cyclegan_audio.audio.io import Writer, check_format, check_writable, is_lossy, open_writer, stream_blocks
from cyclegan_audio.translation.input_levels import check_samples
from cyclegan_audio.translation.loudness_matching import MAX_PEAK, limit_peaks, peak_of
from cyclegan_audio.utils.errors import UserError

Progress = Callable[[float], None]  # called with the share of the work that is done
NoteHandler = Callable[[str], None]
Renderer = Callable[[float], Iterator[Tensor]]  # from the highest peak allowed to the result's blocks (C, n)

LOSSY_MAX_PEAK = 0.891  # -1 dB, as decoded MP3, Vorbis and AAC have higher peaks
# A clipping file is written again, lower by its excess and the headroom: so often limited, as often quieter.
LOSSY_MAX_REWRITES, LOSSY_HEADROOM = 3, 0.98


class Spool:
    """Blocks (C, n) stored in an unnamed temporary file in `folder`, which the system deletes on exit.

    Attributes:
        n_samples: samples per channel stored so far.

    Raises:
        UserError: the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115
        self._shapes: list[tuple[int, ...]] = []
        self.n_samples = 0

    def append(self, block: Tensor) -> None:
        """Store the next block."""
        try:
            self._file.write(block.contiguous().numpy().tobytes())
        except OSError as error:
            raise UserError(
                f"cannot write into {self.folder} ({error.strerror}); free disk space there"
            ) from error
        self._shapes.append(tuple(block.shape))
        self.n_samples += block.shape[1]

    def __iter__(self) -> Iterator[Tensor]:
        self._file.seek(0)
        for shape in self._shapes:
            values = np.frombuffer(self._file.read(4 * shape[0] * shape[1]), np.float32)
            yield torch.from_numpy(values.reshape(shape).copy())

    def close(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._file.close()


def translate_file(
    translate: Callable[..., Renderer],
    source: str | Path,
    target: str | Path,
    to: str,
    *,
    on_progress: Progress | None = None,
    overwrite: bool = False,
) -> float:
    """Translate a song of any length at bounded memory by `Translator.translate`.

    The other arguments are those of `Translator.translate_file`. While it runs, it needs disk space for the
    result as 32-bit floats in the target's folder.
    """
    source, target = Path(source), Path(target)
    if target.resolve() == source.resolve():
        raise UserError(f"{source} would be written over itself; give another target")
    if target.is_file() and not overwrite:
        raise UserError(f"{target} exists already; give another target, or overwrite=True")
    rate, channels = _audio_format(source)

    def blocks() -> Iterator[Tensor]:
        return check_samples((block.samples for block in stream_blocks(source)), rate, str(source))

    check_writable(target)
    check_format(target, rate, channels)
    with _created_folder(target) as folder, closing(Spool(folder)) as spool:
        render = translate(blocks, rate, to, spool, on_progress)
        writer_arguments = rate, channels, spool.n_samples, tags_at_creation(source, target)
        with open_writer(target, *writer_arguments) as writer:
            n_samples, peak = _write(writer, render(LOSSY_MAX_PEAK if is_lossy(target) else MAX_PEAK))
            if is_lossy(target):
                _rewrite_while_clipping(writer, peak, render, writer_arguments)
            copy_tags(source, writer.path)
    return n_samples / rate


def convert_file(source: str | Path, target: str | Path) -> None:
    """Write an audio file in the format of another suffix, with its tags and with limited peaks.

    Raises:
        UserError: as `translate_file`.
    """

    def keep(blocks: Callable[[], Iterator[Tensor]], *_: object) -> Renderer:
        return lambda max_peak: limit_peaks(blocks(), max_peak=max_peak)

    translate_file(keep, source, target, "")


@contextmanager
def _created_folder(target: Path) -> Iterator[Path]:
    """Create the folder of a file if it is missing, and remove it at the end if it is still empty."""
    missing = [parent for parent in target.absolute().parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield target.parent
    finally:
        for folder in missing:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _write(writer: Writer, blocks: Iterable[Tensor]) -> tuple[int, float]:
    """Write a whole file; return its samples per channel and its peak."""
    n_samples, peak = 0, 0.0
    for block in blocks:
        writer.write(block)
        n_samples += block.shape[1]
        peak = max(peak, peak_of(block)) if block.numel() else peak
    writer.finish()
    return n_samples, peak


def _rewrite_while_clipping(
    writer: Writer, peak: float, render: Renderer, writer_arguments: tuple[int, int, int, dict[str, str]]
) -> None:
    """Write a lossy file again while its decoded samples exceed full scale: with lower peaks, then quieter.

    Args:
        writer: writes the file.
        peak: the peak of the samples in the file.
        render: renders the result with peaks up to a limit.
        writer_arguments: those of `Writer.open`.
    """
    gain = 1.0
    for number in range(2 * LOSSY_MAX_REWRITES):
        decoded_peak = _decoded_peak(writer)
        if decoded_peak <= 1:
            return
        if number < LOSSY_MAX_REWRITES:
            peak *= LOSSY_HEADROOM / decoded_peak
        else:
            gain *= LOSSY_HEADROOM / decoded_peak
        writer.open(*writer_arguments)
        _write(writer, (block * gain for block in render(peak)))


def _decoded_peak(writer: Writer) -> float:
    try:
        return max(peak_of(block.samples) for block in stream_blocks(writer.path))
    except UserError as error:  # FFmpeg leaves out the first block of Vorbis
        raise UserError(
            f"cannot write {writer.target}: {writer.path.suffix} cannot hold so short a sound; use .wav"
        ) from error


def _audio_format(source: Path) -> tuple[int, int]:
    """Return the sample rate and channel count of a file."""
    for block in stream_blocks(source):
        return block.rate, len(block.samples)
    raise UserError(f"{source} has no samples; give another file")
