"""What a report says about more music and more time: from the nearest measured row, with its uncertainty."""

import itertools
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.start_pair import START_PAIR
from cyclegan_audio.reports.evaluation.more_music import (
    SCORES,
    TABLES,
    Measured,
    advice,
    make_table,
    measured,
    more_music_section,
    nearest,
    rows_to_compare,
)
from cyclegan_audio.utils.csv_table import CSVTable

README = Path(__file__).parents[3] / "README.md"
HEADER = "minutes,batches,seed,direction,paired_error_db,chroma,onset_f1"
ERRORS = {(5, 100): 7.0, (5, 400): 7.5, (40, 100): 6.5, (40, 400): 6.0}
SEEDS = {0: -0.01, 1: 0.0, 2: 0.01}  # their standard deviation is 0.01
T_4 = 2.77645  # quantile of Student's t: six trainings, two amounts of music


@pytest.fixture
def table(tmp_path: Path) -> Measured:
    """A table: the error depends on music and time, the harmony on the seed, the rhythm on nothing."""
    lines = []
    for (minutes, batches), error in ERRORS.items():
        for seed, change in SEEDS.items():
            for direction, offset in (("lofi to rnb", 0.5), ("rnb to lofi", -0.5)):
                scores = f"{error + change + offset},{0.9 + change},0.95"
                lines.append(f"{minutes},{batches},{seed},{direction},{scores}")
    return measured_from(tmp_path, *lines)


def test_means_are_over_directions_with_the_interval_of_all_trainings(table: Measured) -> None:
    assert table.n_trainings == 6
    error = table.mean((5, 400), "paired_error_db")
    assert error.mean == pytest.approx(7.5)
    half_width = T_4 * 0.01 / 3**0.5
    assert (error.low, error.high) == pytest.approx((7.5 - half_width, 7.5 + half_width), abs=1e-5)


def measured_from(folder: Path, *lines: str) -> Measured:
    """Return the measurement of a table's lines."""
    path = folder / "table.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return Measured(path)


def test_the_spread_is_pooled_over_rows(tmp_path: Path) -> None:
    table = measured_from(
        tmp_path,
        "5,100,0,x,1,0,0",
        "5,100,1,x,3,0,0",
        "40,100,0,x,4,0,0",
        "40,100,1,x,4,0,0",
        "40,100,2,x,7,0,0",
    )
    deviation = ((1 + 1 + 1 + 1 + 4) / 3) ** 0.5  # squares around 2 and 5, with 5 - 2 degrees of freedom
    change = table.change((5, 100), (40, 100), "paired_error_db")
    half_width = 3.18245 * deviation * (1 / 2 + 1 / 3) ** 0.5
    assert change.mean == pytest.approx(3)
    assert (change.low, change.high) == pytest.approx((3 - half_width, 3 + half_width), rel=1e-5)


def test_trainings_that_went_on_are_compared_with_themselves(tmp_path: Path) -> None:
    """One of each amount went on: the spread of what more time brought is that over amounts."""
    table = measured_from(
        tmp_path,
        "5,100,0,x,1,0,0",
        "5,100,1,x,3,0,0",
        "5,400,1,x,4,0,0",
        "40,100,0,x,4,0,0",
        "40,100,1,x,4,0,0",
        "40,400,0,x,8,0,0",
    )
    change = table.change((5, 100), (5, 400), "paired_error_db")
    half_width = 12.7062 * ((1.5**2 + 1.5**2) / 1) ** 0.5  # of 1 and 4, with one degree of freedom
    assert (change.mean, change.n) == (1, 1)
    assert (change.low, change.high) == pytest.approx((1 - half_width, 1 + half_width), rel=1e-5)


def test_more_time_is_the_last_row_that_most_trainings_reached(tmp_path: Path) -> None:
    lines = [f"{m},{b},{seed},x,1,0,0" for m in (5, 40) for b in (100, 200, 400) for seed in (0, 1)]
    lines += [f"{m},{b},0,x,1,0,0" for m in (5, 40) for b in (600, 800)]
    table = measured_from(tmp_path, *lines)
    later = {batches: rows_to_compare(6, batches, table)[1][1] for batches in (100, 200, 400, 600, 800)}
    assert later == {100: (5, 400), 200: (5, 400), 400: (5, 800), 600: (5, 800), 800: (5, 800)}


def test_advice_gives_certain_changes_with_their_interval(table: Measured) -> None:
    music, time = advice(6, 110, table)
    half_width = T_4 * 0.01 * (2 / 3) ** 0.5
    interval = f"({0.5 - half_width:.2f} to {0.5 + half_width:.2f})"
    assert music == (
        "More music: this model learnt from 6 min a genre. With 40 minutes instead of 5: "
        f"the error against the target band's version falls by 0.50 dB {interval}; "
        "no certain change of the harmony that stays or the rhythm that stays."
    )
    assert time.startswith(
        "More time: this model was trained for 110 batches. With 400 batches instead of 100: "
    )
    assert "rises by 0.50 dB (0.50 to 0.50)" in time  # each training by as much
    varied = advice(6, 110, table, varied=True)
    assert varied[0].endswith("genre. With data.varispeed, as in this training, more music was not measured.")
    assert varied[1] == time


def test_advice_says_where_the_table_ends(table: Measured) -> None:
    assert advice(60, 5000, table) == [
        "More music: this model learnt from 60 min a genre. "
        "What more than 40 minutes bring was not measured.",
        "More time: this model was trained for 5,000 batches. "
        "What more than 400 batches bring was not measured.",
    ]
    assert [len(make_table(*heard, table).header) for heard in ((5, 100), (50, 100), (50, 500))] == [4, 3, 2]


def test_nearest_row_is_by_ratio() -> None:
    assert [nearest(value, [5, 10, 40]) for value in (0.1, 7.0, 7.1, 19, 21, 900)] == [5, 5, 10, 10, 40, 40]


def evaluated(**model: Any) -> Any:
    about = {"training_intervals": {"x": [[0.0, 600.0]]}, "batches": 2000, "config": {}}
    about |= {"genres": ("lofi", "rnb")}
    return SimpleNamespace(model=SimpleNamespace(**about | model))


HOSTILE = ([[10.0, 0.0]], [[0.0, 1e308], [0.0, 1e308]])  # a checkpoint of a stranger may have them


def test_section_counts_minutes_a_genre() -> None:
    section = more_music_section(evaluated())
    assert section.numbers == {"minutes_per_genre": 5.0, "batches": 2000}
    assert "learnt from 5 min a genre" in section.paragraphs[0]
    assert section.is_open
    assert not section.is_empty


@pytest.mark.parametrize(
    "unknown",
    [
        {"training_intervals": {}},
        {"batches": 0},
        *({"training_intervals": {"x": hostile}} for hostile in HOSTILE),
    ],
)
def test_section_is_missing_where_nothing_is_known(unknown: dict[str, Any]) -> None:
    section = more_music_section(evaluated(**unknown))
    assert section.is_empty
    assert section.missing.startswith("It is not known")


@pytest.mark.parametrize("start", ["demo", ["demo"]])
def test_section_knows_other_head_starts(start: Any) -> None:
    section = more_music_section(evaluated(config={"init_from": start}))
    assert section.missing.startswith("This model began with the networks of another")


def test_section_of_the_usual_head_start_does_not_count_what_that_pair_heard() -> None:
    heard = load_model(START_PAIR).training_intervals | {"x": [[0.0, 600.0], [1200.0, 1800.0]]}
    config = {"init_from": START_PAIR, "data": {"varispeed": 2}}
    section = more_music_section(evaluated(config=config, training_intervals=heard))
    assert section.numbers == {"minutes_per_genre": 10.0, "batches": 2000}
    assert "not measured" not in section.paragraphs[0]
    assert "which began with demo_trap, with data.varispeed=auto" in section.paragraphs[2]


@pytest.mark.parametrize(
    ("data", "minutes", "remark"),
    [
        ({"varispeed": 2}, 10, None),
        ({"varispeed": 0}, 10, "This training played no clips at other speeds; those"),
        ({"varispeed": 2}, 40, "This training played clips at other speeds; those"),
        ({"varispeed": 0}, 40, None),
        ({}, 10, None),
    ],
)
def test_section_says_where_speeds_differ_from_the_measured(
    data: dict[str, int], minutes: int, remark: str | None
) -> None:
    config = {"init_from": START_PAIR, "data": data}
    heard = {"x": [[0.0, 120.0 * minutes]]}
    paragraphs = more_music_section(evaluated(config=config, training_intervals=heard)).paragraphs
    assert len(paragraphs) == 3 + (remark is not None)
    assert paragraphs[-1].startswith(remark or "Measured with")


def test_section_knows_varied_clips() -> None:
    section = more_music_section(evaluated(config={"data": {"varispeed": 2}}))
    assert "With data.varispeed, as in this training" in section.paragraphs[0]


@pytest.mark.parametrize("start", TABLES)
def test_tables_of_the_package_are_complete(start: str | None) -> None:
    """Each training has all checkpoints to its end, in both directions; each amount goes to 3,600 batches."""
    table = CSVTable(TABLES[start], [*SCORES])
    rows: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for row in table.rows:
        rows[row["minutes"], row["seed"]].append((row["direction"], int(row["batches"])))
    for of_training in rows.values():
        reached = range(900, max(batches for _, batches in of_training) + 1, 900)
        assert sorted(of_training) == [*itertools.product(("lofi to rnb", "rnb to lofi"), reached)]
    at_the_end = [minutes for (minutes, _), one in rows.items() if max(one)[1] == 3600]
    assert Counter(minutes for minutes, _ in rows) == dict.fromkeys(("5", "10", "20", "40"), 3)
    assert set(at_the_end) == {"5", "10", "20", "40"}
    assert measured(start).n_trainings == len(rows)


def test_readme_has_the_numbers_of_the_tables() -> None:
    lines = README.read_text().splitlines()
    for minutes in (5, 10, 20, 40):
        cells = [
            str(measured(start).mean((minutes, batches), score))
            for start, batches in ((START_PAIR, 1800), (None, 3600))
            for score in ("paired_error_db", "chroma")
        ]
        assert f"| {minutes} | {' | '.join(cells)} |" in lines
