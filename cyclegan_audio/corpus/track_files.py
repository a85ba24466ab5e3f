"""Write and read the files of one track in a corpus: its `.npy` arrays and its JSON record."""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from cyclegan_audio.utils.atomic import AtomicFile


@dataclasses.dataclass(frozen=True)
class TrackRecord:
    """The record of a source file, stored as `tracks/<array>.json`.

    Attributes:
        array: name of its arrays without suffix; follows from genre, source, content and settings.
        content: SHA-256 of the file's bytes, "" if they cannot be read.
        duration_s: length of the whole file, 0 if it cannot be read.
        reason: why the file has no clips, or "".
        clips: one dict per clip: start_s, duration_s, reason ("" if kept), index (its row in the arrays, -1
            if dropped), min_db, max_db, and the features that screening records.
        info: sample_rate, channels and codec of the file.
        rows: number of rows of its arrays.
    """

    array: str
    genre: str
    source: str
    score: str | None
    content: str
    duration_s: float
    reason: str
    clips: list[dict[str, Any]]
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: int = 0

    @property
    def has_arrays(self) -> bool:
        """Return whether any clip is kept."""
        return any(not clip["reason"] for clip in self.clips)

    def clip_id(self, clip: dict[str, Any]) -> str:
        """Return the identifier of one of its clips."""
        return clip_id(self.array, clip["start_s"])


def clip_id(array: str, start_s: float) -> str:
    """Return the identifier of a clip in its corpus."""
    return f"{array}-{round(start_s * 1000):09d}"


def read_record(path: Path) -> TrackRecord | None:
    """Read a record; None if it is missing or damaged."""
    try:
        return TrackRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def arrays_complete(folder: Path, record: TrackRecord, with_audio: bool) -> bool:
    """Return whether all arrays of the record exist with all rows; mel recordings have no audio."""
    parts = ["mels"] + ["audio"] * (with_audio and bool(record.info.get("sample_rate")))
    return not record.rows or all(has_rows(folder / p / f"{record.array}.npy", record.rows) for p in parts)


class NpyAppender:
    """Writes a `.npy` file row by row; the file appears on `commit`.

    A context manager: without `commit` nothing is left.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._file = AtomicFile(path)
        self._handle: IO[bytes] | None = None
        self._row = np.empty(0)

    def append(self, row: np.ndarray) -> None:
        """Write a row; all rows have the same shape and type.

        Raises:
            OSError: the disk is full, or the folder is not writable.
        """
        if self._handle is None:
            self._handle = self._file.temporary.open("wb")
            self._row = row
            self._write_header()
        self._handle.write(np.ascontiguousarray(row).data)
        self.rows += 1

    def commit(self) -> None:
        """Move the file to its path, if it has rows."""
        if self._handle is None:
            return
        self._handle.seek(0)
        self._write_header()  # numpy reserves space for the number of rows
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


def has_rows(path: Path, n_rows: int) -> bool:
    """Return whether the file is an undamaged array of `n_rows` rows."""
    try:
        return len(np.load(path, mmap_mode="r")) == n_rows
    except (OSError, ValueError, EOFError, TypeError):
        return False
