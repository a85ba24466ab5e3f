"""Read tables of numbers that the program or a user wrote; damage is one line with file, line and column."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclegan_audio.utils.errors import UserError

MAX_COLUMNS = 1000
MAX_LINE = 1 << 18  # bytes
FIRST_ROW = 2  # line of the first row, below the names of the columns
REMEDY = "repair the file, or move it away"


class CSVTable:
    """Rows of text by column; a last row without all columns, as a full disk leaves it, is left out.

    Args:
        path: the file, UTF-8.
        needed: columns that it must have, if it is not empty.

    Attributes:
        columns: their names in order; empty for an empty file.
        rows: the cells of each row by column.

    Raises:
        UserError: the file cannot be read, or is no table with these columns.
    """

    def __init__(self, path: Path, needed: Sequence[str] = ()) -> None:
        self.path = path
        self.columns: list[str] = []
        self.rows: list[dict[str, str]] = []
        try:
            lines = list(csv.reader(_lines(path), strict=True))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); {REMEDY}") from error
        except csv.Error as error:
            raise UserError(f"{path} is no table ({error}); {REMEDY}") from error
        if lines:
            self.columns, *cells = lines
            self._check_columns(needed)
            if cells and len(cells[-1]) < len(self.columns):
                cells.pop()
            for line, row in enumerate(cells, FIRST_ROW):
                if len(row) != len(self.columns):
                    raise self.error(line, f"{len(row)} columns instead of {len(self.columns)}")
                self.rows.append(dict(zip(self.columns, row, strict=True)))

    def _check_columns(self, needed: Sequence[str]) -> None:
        n_columns, n_names = len(self.columns), len(set(self.columns))
        if not 0 < n_columns <= MAX_COLUMNS:
            raise self.error(1, f"{n_columns} columns")
        if n_names < n_columns:
            raise self.error(1, "two columns have the same name")
        if missing := [name for name in needed if name not in self.columns]:
            raise self.error(1, f"there is no column {missing[0]}")

    def numbers(self, column: str, allow_gaps: bool = False) -> list[float]:
        """Return the numbers of a column.

        Args:
            column: its name.
            allow_gaps: whether empty cells are allowed, as NaN, and numbers that are not finite.

        Raises:
            UserError: a cell is no number.
        """
        values = []
        for line, row in enumerate(self.rows, FIRST_ROW):
            text = row[column]
            try:
                value = float(text) if text or not allow_gaps else math.nan
                if not (allow_gaps or math.isfinite(value)):
                    raise ValueError(text)
            except ValueError as error:
                problem = f"column {column}: {text[:40]!r} is not a number"
                raise self.error(line, problem) from error
            values.append(value)
        return values

    def error(self, line: int, problem: str) -> UserError:
        """Return an error about a line, counted from 1."""
        return UserError(f"{self.path}, line {line}: {problem}; {REMEDY}")


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise UserError(f"{path}, line {number}: too long for a table; {REMEDY}")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{path}, line {number}: not UTF-8 text; {REMEDY}") from error
