import csv
from pathlib import Path


def rows(folder: Path, table: str = "losses.csv") -> list[dict[str, str]]:
    with (folder / table).open(newline="") as file:
        return list(csv.DictReader(file))
