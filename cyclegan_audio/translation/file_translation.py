"""A song from file to file: streamed, at the level of the input, with its tags and its cover."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.file_tags import copy_tags, tags_at_creation
from cyclegan_audio.audio.io import Writer, check_format, check_writable, is_lossy, open_writer, stream_blocks
from cyclegan_audio.translation.loudness_matching import MAX_PEAK, peak_of
from cyclegan_audio.utils.errors import UserError

Progress = Callable[[float], None]  # called with the share of the work that is done
Levelled = Callable[[float], Iterator[Tensor]]  # highest peak to the result's blocks (channels, samples)

LOSSY_MAX_PEAK = 0.891  # -1 dB, as what MP3, Vorbis and AAC give back has higher peaks
LOSSY_ROUNDS, LOSSY_SPARE = 3, 0.98  # written again, so much lower than its peaks ask for, where they clip


class Spool:
    """Blocks (C, n) kept in a nameless temporary file in `folder`, which is gone when the program ends.

    Attributes:
        n_samples: kept so far.

    Raises:
        UserError: the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115
        self._shapes: list[tuple[int, ...]] = []
        self.n_samples = 0

    def append(self, block: Tensor) -> None:
        """Keep one more block."""
        try:
            self._file.write(block.contiguous().numpy().tobytes())
        except OSError as error:
            raise UserError(f"cannot write into {self.folder} ({error.strerror}); make room there") from error
        self._shapes.append(tuple(block.shape))
        self.n_samples += block.shape[1]

    def __iter__(self) -> Iterator[Tensor]:
        self._file.seek(0)
        for shape in self._shapes:
            values = np.frombuffer(self._file.read(4 * shape[0] * shape[1]), np.float32)
            yield torch.from_numpy(values.reshape(shape).copy())

    def close(self) -> None:
        """Give the disk back."""
        with suppress(OSError):
            self._file.close()


def translate_file(
    translate: Callable[..., Levelled],
    source: str | Path,
    target: str | Path,
    to: str,
    *,
    amount: float = 1.0,
    on_progress: Progress | None = None,
    overwrite: bool = False,
) -> float:
    """Translate a song of any length at bounded memory; see `Translator.translate_file`.

    Needs room for the result as 32-bit floats beside the target while it works.
    """
    source, target = Path(source), Path(target)
    if target.resolve() == source.resolve():
        raise UserError(f"{source} would be written over itself; give another target")
    if target.is_file() and not overwrite:
        raise UserError(f"{target} is there already; give another target, or overwrite=True")
    rate, channels = _form(source)

    def blocks() -> Iterator[Tensor]:
        return (block.samples for block in stream_blocks(source))

    check_writable(target)
    check_format(target, rate, channels)
    with _folder_of(target) as folder, closing(Spool(folder)) as spool:
        levelled = translate(blocks, rate, to, spool, on_progress, amount=amount)
        tags = tags_at_creation(source, target)
        form = rate, channels, spool.n_samples, tags
        with open_writer(target, *form) as writer:
            n_samples = _write(writer, levelled(LOSSY_MAX_PEAK if is_lossy(target) else MAX_PEAK))
            if is_lossy(target):
                _mend_peaks(writer, levelled, form)
            copy_tags(source, writer.path)
    return n_samples / rate


@contextmanager
def _folder_of(target: Path) -> Iterator[Path]:
    """The folder of a file, made where it is missing; taken away again where nothing came into it."""
    missing = [parent for parent in target.absolute().parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield target.parent
    finally:
        for folder in missing:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _write(writer: Writer, blocks: Iterable[Tensor]) -> int:
    """All of a file; returns its samples."""
    n_samples = 0
    for block in blocks:
        writer.write(block)
        n_samples += block.shape[1]
    writer.finish()
    return n_samples


def _mend_peaks(writer: Writer, levelled: Levelled, form: tuple[int, int, int, dict[str, str]]) -> None:
    """Write a lossy file again where what it gives back goes beyond full scale: players would clip it."""
    max_peak = LOSSY_MAX_PEAK
    for _ in range(LOSSY_ROUNDS):
        peak = max(peak_of(block.samples) for block in stream_blocks(writer.path))
        if peak <= 1:
            return
        max_peak *= LOSSY_SPARE / peak
        writer.open(*form)
        _write(writer, levelled(max_peak))


def _form(source: Path) -> tuple[int, int]:
    """Sample rate and channels of a file."""
    for block in stream_blocks(source):
        return block.rate, len(block.samples)
    raise UserError(f"{source} holds no samples; give another file")
