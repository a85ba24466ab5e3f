"""Read the csv files of a run."""

import csv
from pathlib import Path


def rows(folder: Path, table: str = "losses.csv") -> list[dict[str, str]]:
    """Return the rows of a csv file of a run, from column to text."""
    with (folder / table).open(newline="") as file:
        return list(csv.DictReader(file))
