"""A song from file to file: streamed, at the level of the input, with its tags and its cover."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.files import stream
from cyclegan_audio.audio.tags import keep_tags, strings_for
from cyclegan_audio.audio.writing import Writer, check_form, check_writable, is_lossy, open_writer
from cyclegan_audio.errors import UserError
from cyclegan_audio.translation.level import MAX_PEAK
from cyclegan_audio.translation.translator import Progress, Translator

LOSSY_MAX_PEAK = 0.891  # -1 dB, as what MP3 and Vorbis give back has higher peaks


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
    translator: Translator,
    source: Path,
    target: Path,
    to: str,
    on_progress: Progress | None = None,
    *,
    amount: float = 1.0,
) -> float:
    """Translate a song of any length at bounded memory; returns its seconds.

    Needs room for the result as 32-bit floats beside the target while it works. The target appears whole or
    not at all. Tags and cover of the source are kept where the container of the target can hold them.

    Raises:
        UserError: the source cannot be read, the target not written or not hold such music, or the samples or
            the model's output are not finite.
    """
    rate, channels = _form(source)

    def blocks() -> Iterator[Tensor]:
        return (block.samples for block in stream(source))

    check_writable(target)
    check_form(target, rate, channels)
    max_peak = LOSSY_MAX_PEAK if is_lossy(target) else MAX_PEAK
    with _folder_of(target) as folder, closing(Spool(folder)) as spool:
        made = iter(
            translator.translate(blocks, rate, to, spool, on_progress, amount=amount, max_peak=max_peak)
        )
        first = next(made)  # all the work is done when it comes
        strings = strings_for(source, target)
        with open_writer(target, rate, channels, spool.n_samples, strings) as writer:
            n_samples = sum(_write(writer, block) for block in chain([first], made))
            writer.finish()
            keep_tags(source, writer.path)
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


def _write(writer: Writer, block: Tensor) -> int:
    writer.write(block)
    return block.shape[1]


def _form(source: Path) -> tuple[int, int]:
    """Sample rate and channels of a file."""
    for block in stream(source):
        return block.rate, len(block.samples)
    raise UserError(f"{source} holds no samples; give another file")
