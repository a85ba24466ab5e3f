"""Arrays of a corpus written row by row, and files that appear whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.lib import format as npy


def temporary(path: Path) -> Path:
    """A hidden name beside `path`, of this process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file in the same folder and rename it to `path`."""
    part = temporary(path)
    try:
        with part.open("wb") as handle:
            write(handle)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class RowWriter:
    """A `.npy` file of a number of rows that is known at the end; there only after `commit`.

    Use it as a context: what was not committed is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._handle: IO[bytes] | None = None
        self._row = np.empty(0)

    def append(self, row: np.ndarray) -> None:
        """Write a row; all rows have one shape and type.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        if self._handle is None:
            self._handle = temporary(self.path).open("wb")
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
        os.replace(temporary(self.path), self.path)

    def _write_header(self) -> None:
        description = npy.dtype_to_descr(self._row.dtype)
        shape = (self.rows, *self._row.shape)
        assert self._handle is not None
        npy.write_array_header_1_0(
            self._handle, {"descr": description, "fortran_order": False, "shape": shape}
        )

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.close()
        temporary(self.path).unlink(missing_ok=True)


def holds_rows(path: Path, n_rows: int) -> bool:
    """Whether the file is a whole array of just so many rows."""
    try:
        return len(np.load(path, mmap_mode="r")) == n_rows
    except (OSError, ValueError, EOFError, TypeError):
        return False
