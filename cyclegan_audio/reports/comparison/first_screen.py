"""First screen of a comparison: its conclusions, the same clips by each run, and a scorecard."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cyclegan_audio.metrics.metric_spec import MODEL, TAGGER_SHARE
from cyclegan_audio.reports.comparison.differences import BETTER, WORSE, MetricComparison
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.comparison.sections import directions_of
from cyclegan_audio.reports.comparison.summary import SINGLE_CONFIGURATION, conclusions
from cyclegan_audio.reports.evaluation.metric_tables import position
from cyclegan_audio.reports.evaluation.scorecard import GENRE, HEARD, PRESERVED, Place, percent
from cyclegan_audio.reports.html import GOOD, POOR, UNKNOWN, Player, Score, View

LINES = {TAGGER_SHARE: GENRE, "genre_classifier": GENRE, **PRESERVED}  # metric to the line of the scorecard
MARKS = {BETTER: (GOOD, ", better"), WORSE: (POOR, ", worse")}
RULE = (
    "The clips are evenly spaced among those on which all runs were evaluated, not chosen by quality. All "
    "versions are equally loud."
)


def lead_sentence(columns: Sequence[Column]) -> str:
    """Say in one sentence what is compared with what."""
    n_runs = sum(len(column.runs) for column in columns)
    others = ", ".join(column.name for column in columns[1:])
    against = f"{others} against {columns[0].name}" if others else columns[0].name
    return f"{n_runs} runs on the same held-out music: {against} (each column is compared with the first)."


def first_screen(
    rows: Sequence[MetricComparison], columns: Sequence[Column], players: Mapping[str, Sequence[Player]]
) -> list[View]:
    """Return the view of each direction.

    Args:
        rows: the compared metrics.
        columns: the compared columns.
        players: direction to the same clips by each column.
    """
    sentences = conclusions(rows, columns)
    views = []
    for direction in directions_of(columns):
        lines = [text for name, text in sentences if name == direction] or [SINGLE_CONFIGURATION]
        shown = list(players.get(direction, ()))
        scores = _scores([row for row in rows if row.direction == direction], columns)
        views.append(View(direction, "\n".join(lines), shown, RULE if shown else "", scores))
    return views


def _scores(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> list[Score]:
    """Return a line for each column and each part of the scorecard that is known."""
    by_name: dict[str, MetricComparison] = {}
    for name, part in LINES.items():
        row = next((row for row in rows if row.metric.name == name), None)
        if row is not None:
            by_name.setdefault(part, row)
    return [
        score
        for part, row in by_name.items()
        for column in columns
        if (score := _score(part, row, column)) is not None
    ]


def _score(part: str, row: MetricComparison, column: Column) -> Score | None:
    means = row.means.get(column.name)
    place = _place(row, column) if means else None
    if place is None:
        return None
    verdict = row.contrasts[column.name].verdict if column.name in row.contrasts else ""
    tone, mark = MARKS.get(verdict, (UNKNOWN, ""))
    ends = ("untouched input", "real target") if part == GENRE else ("another piece", "the input")
    heard = f"{HEARD[row.metric.name]}: " if row.metric.name in HEARD else ""
    definition = f"{heard}{row.label}. Better and worse follow the rule of the differences below."
    return Score(part, f"{column.name}{mark}", tone, definition, place, ends, value=percent(place))


def _place(row: MetricComparison, column: Column) -> Place | None:
    """Return the place of a column's mean; its interval over tracks only if it has a single run."""
    means = row.means[column.name]
    mean = position(float(np.mean(means)), row.floor, row.ceiling)
    if mean is None or not math.isfinite(mean):
        return None
    runs = column.runs_in(row.direction)
    value = runs[0].report["metrics"][row.direction]["metrics"].get(row.metric.name, {}).get(MODEL, {})
    if len(means) > 1 or value.get("low") is None or value.get("high") is None:
        return mean, math.nan, math.nan
    low, high = (position(float(value[key]), row.floor, row.ceiling) for key in ("low", "high"))
    if low is None or high is None:
        return mean, math.nan, math.nan
    return mean, min(low, high), max(low, high)
