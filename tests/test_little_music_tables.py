"""The scores of experiment 014, and the tables in the package that are made from them."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cyclegan_audio.reports.evaluation.more_music import OF_TARGET

FOLDER = Path(__file__).parents[1] / "experiments" / "014_little_music"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with the modules that it imports from other experiments."""
    monkeypatch.syspath_prepend(FOLDER)
    import tables

    return tables


def record(tables: ModuleType, name: str, **changes: Any) -> dict[str, Any]:
    scores = {score: {"mean": number / 3} for number, score in enumerate(tables.SCORES)}
    directions = {direction: scores for direction in ("lofi to rnb", "rnb to lofi")}
    about = {"name": name, "seconds": None, "batches": 900, "seed": 1, "genres": tables.GENRES}
    return about | {"directions": directions} | changes


def test_records_become_rows(tables: ModuleType, tmp_path: Path) -> None:
    rows = tables.read_records(
        [
            record(tables, "m05 at 900"),
            record(tables, "m05", batches=3600),
            record(tables, "short", seconds=110.0),
            record(tables, "equaliser", batches=None, seed=None),
            record(tables, "trap", genres=["lofi", "trap"]),
        ]
    )
    assert {key[:4] for key in rows} == {
        ("m05", 0, 900, 1), ("m05", 0, 3600, 1), ("short", 110, 0, 1), ("equaliser", 0, 0, 0),
    }  # fmt: skip
    assert all(values[:3] == [0.0, 0.3333, 0.6667] for values in rows.values())
    tables.write_csv(
        tmp_path / "scores.csv",
        [*tables.Training._fields, *tables.SCORES],
        [[*k, *v] for k, v in rows.items()],
    )
    assert tables.read_rows(tmp_path / "scores.csv") == rows
    table = tables.markdown_table(rows)
    assert "| short | 110 CPU s | 1 | 0.00 / 0.00 | 0.33 / 0.33 |" in "\n".join(table)
    assert len(table) == 2 + 4


def test_reports_know_what_the_target_band_keeps(tables: ModuleType) -> None:
    rows = tables.read_rows(FOLDER / "scores.csv")
    kept = [scores for key, scores in rows.items() if key.name == "paired truth"]
    assert len(kept) == 2
    for score, text in OF_TARGET.items():
        assert {f"{scores[tables.SCORES.index(score)]:.2f}" for scores in kept} == {text}


def test_tables_of_the_package_are_those_of_the_experiment(tables: ModuleType, tmp_path: Path) -> None:
    rows = tables.read_rows(FOLDER / "scores.csv")
    for letter, (start, *_) in tables.STARTS.items():
        tables.write_package_table(rows, letter, tmp_path / letter)
        assert (tmp_path / letter).read_text() == tables.TABLES[start].read_text()
