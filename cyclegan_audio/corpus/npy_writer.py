"""Arrays of a corpus written row by row."""

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.lib import format as npy

from cyclegan_audio.utils.atomic import AtomicFile


class NpyAppender:
    """A `.npy` file of a number of rows that is known at the end; there only after `commit`.

    Use it as a context: what was not committed is removed.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._file = AtomicFile(path)
        self._handle: IO[bytes] | None = None
        self._row = np.empty(0)

    def append(self, row: np.ndarray) -> None:
        """Write a row; all rows have one shape and type.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        if self._handle is None:
            self._handle = self._file.temporary.open("wb")
            self._row = row
            self._write_header()
        self._handle.write(np.ascontiguousarray(row).data)
        self.rows += 1

    def commit(self) -> None:
        """Let the file appear, where it has rows."""
        if self._handle is None:
            return
        self._handle.seek(0)
        self._write_header()  # numpy leaves room for the number of rows
        self._handle.close()
        self._handle = None
        self._file.commit()

    def _write_header(self) -> None:
        description = npy.dtype_to_descr(self._row.dtype)
        shape = (self.rows, *self._row.shape)
        assert self._handle is not None
        npy.write_array_header_1_0(
            self._handle, {"descr": description, "fortran_order": False, "shape": shape}
        )

    def __enter__(self) -> "NpyAppender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.close()
        self._file.discard()


def holds_rows(path: Path, n_rows: int) -> bool:
    """Whether the file is a whole array of just so many rows."""
    try:
        return len(np.load(path, mmap_mode="r")) == n_rows
    except (OSError, ValueError, EOFError, TypeError):
        return False
