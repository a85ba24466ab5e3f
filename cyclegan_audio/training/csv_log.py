"""A CSV that grows while a run goes, and is cut back to its checkpoint when the run is resumed."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.utils.atomic import atomic_path


class CSVLog:
    """Rows by batch; a row stands in the file as soon as it is added.

    Args:
        file: where it lies.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.columns: Sequence[str] = ()

    def start(self, columns: Sequence[str], batches: int) -> None:
        """Begin anew, or keep the whole rows up to `batches` of an earlier part of the run.

        Args:
            columns: names in order, `batch` among them.
            batches: of the run so far.
        """
        self.columns, rows = columns, []
        if batches and self.file.is_file():
            with self.file.open(newline="") as file:
                read = csv.DictReader(file)
                rows = [row for row in read if _is_whole(row) and int(row["batch"]) <= batches]
        with atomic_path(self.file) as part:
            self._write(part, "w", rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append `row`."""
        self._write(self.file, "a", [row])

    def _write(self, path: Path, mode: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if mode == "w":
                writer.writeheader()
            writer.writerows(rows)


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a row was written to its end: one that a full disk cut off lacks columns."""
    return None not in row.values() and row["batch"].isdigit()
