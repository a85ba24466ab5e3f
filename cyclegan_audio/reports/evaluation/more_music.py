"""Section of a report: what more music, or more time, would bring, by a measurement on the demo songs."""

import itertools
import math
from collections import defaultdict
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np

from cyclegan_audio.inference.start_pair import START_PAIR, own_intervals
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate
from cyclegan_audio.utils.csv_table import CSVTable

TABLES = {  # of experiments/014_little_music, by `init_from`
    None: Path(__file__).with_name("more_music.csv"),
    START_PAIR: Path(__file__).with_name("more_music_head_start.csv"),
}
SCORES = {  # column of the table: what it measures, and its unit
    "paired_error_db": ("the error against the target band's version", " dB"),
    "chroma": ("the harmony that stays", ""),
    "onset_f1": ("the rhythm that stays", ""),
}
LEARNT = (
    "More music: this model learnt from {value:.0f} min a genre. ",
    "More time: this model was trained for {value:,} batches. ",
)
CHANGES = (
    "With {more} minutes instead of {now}: {changes}.",
    "With {more:,} batches instead of {now:,}: {changes}.",
)
NOT_MEASURED = (
    "What more than {now} minutes bring was not measured.",
    "What more than {now:,} batches bring was not measured.",
)
COLUMN = "{} minutes a genre, {:,} batches"
SOURCE = (
    "Measured with model=cyclegan_small on demo songs of lo-fi and old R&B, {trainings} trainings, {how}: "
    "means over both directions, with 95 % intervals over trainings. The target band's own versions keep "
    "{onset_f1} of the rhythm and {chroma} of the harmony, so that less is not always worse. Other music and "
    "other models may need more or less."
)
OF_TARGET = {"onset_f1": "0.82", "chroma": "0.78"}  # by the same measures
HOW = {
    None: "from scratch and without data.varispeed, which takes the place of some music",
    START_PAIR: f"which began with {START_PAIR}, with data.varispeed=auto",
}
VARIED_UP_TO = 10  # minutes a genre, up to which the measured trainings with a start varied their clips
VARIED = "With data.varispeed, as in this training, more music was not measured."
OTHER_SPEEDS = {  # whether this training varied its clips: how the measured ones differ
    True: "This training played clips at other speeds; those measured with so much music did not.",
    False: "This training played no clips at other speeds; those measured with so little music did.",
}
HEAD_START = "This model began with the networks of another, which was not measured."
NOT_KNOWN = "It is not known from how much music, or for how many batches, this model learnt."
Row = tuple[int, int]  # minutes of music a genre, batches
BySeed = dict[str, float]


class Measured:
    """Scores by minutes of music a genre and by batches: means over directions and trainings.

    The spread over trainings is taken to be the same in all rows, as each has few. Rows of the same minutes
    are checkpoints of the same trainings, which add nothing to the degrees of freedom. Some trainings may
    have ended before others.

    Args:
        path: the table, with a line for each row, seed and direction.

    Attributes:
        rows: the rows.
        n_trainings: number of trainings.
    """

    def __init__(self, path: Path) -> None:
        table = CSVTable(path, ("minutes", "batches", "seed", *SCORES))
        rows = list(zip(*(map(int, table.numbers(name)) for name in ("minutes", "batches")), strict=True))
        seeds = [row["seed"] for row in table.rows]
        self.rows: list[Row] = list(dict.fromkeys(rows))
        trainings = {(minutes, seed) for (minutes, _), seed in zip(rows, seeds, strict=True)}
        self.n_trainings = len(trainings)
        self._degrees = self.n_trainings - len({minutes for minutes, _ in trainings})
        self._values = {  # means over directions, of each training
            score: _group(rows, seeds, table.numbers(score)) for score in SCORES
        }
        self._deviations = {
            score: _pooled_deviation([[*by_seed.values()] for by_seed in values.values()])
            for score, values in self._values.items()
        }

    def mean(self, row: Row, score: str) -> Estimate:
        """Return a score of a row."""
        values = list(self._values[score][row].values())
        mean, share = float(np.mean(values)), 1 / len(values)
        value = _estimate(mean, self._deviations[score], self._degrees, len(values), share)
        return value if SCORES[score][1] else value.clamp(0, 1)

    def change(self, before: Row, after: Row, score: str) -> Estimate:
        """Return the difference of a score between two rows, training by training if minutes are the same.

        Where no two trainings with the same minutes have both rows, the spread is that of all differences.
        """
        values = self._values[score]
        if before[0] == after[0]:
            differences = {
                minutes: _differences(values[minutes, before[1]], values[minutes, after[1]])
                for minutes in {row[0] for row in self.rows}
            }
            own, groups = differences[before[0]], [*differences.values()]
            if max(map(len, groups)) == 1:
                groups = [list(itertools.chain.from_iterable(groups))]
            degrees = sum(len(group) - 1 for group in groups)
            return _estimate(float(np.mean(own)), _pooled_deviation(groups), degrees, len(own), 1 / len(own))
        sizes = [len(values[row]) for row in (before, after)]
        difference = self.mean(after, score).mean - self.mean(before, score).mean
        share = sum(1 / n for n in sizes)
        return _estimate(difference, self._deviations[score], self._degrees, min(sizes), share)


def _estimate(mean: float, deviation: float, degrees: int, n: int, share_of_variance: float) -> Estimate:
    """Return a mean with the interval that a pooled deviation gives."""
    from scipy.special import stdtrit

    quantile = float(stdtrit(degrees, (1 + CONFIDENCE_LEVEL) / 2)) if degrees else math.nan
    half_width = quantile * deviation * math.sqrt(share_of_variance)
    return Estimate(mean, deviation, mean - half_width, mean + half_width, n, n)


def _group(rows: Collection[Row], seeds: Collection[str], values: Collection[float]) -> dict[Row, BySeed]:
    """Average values over directions; return those of each training by row."""
    grouped: dict[Row, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, seed, value in zip(rows, seeds, values, strict=True):
        grouped[row][seed].append(value)
    return {
        row: {seed: float(np.mean(one)) for seed, one in by_seed.items()} for row, by_seed in grouped.items()
    }


def _differences(before: BySeed, after: BySeed) -> list[float]:
    return [after[seed] - before[seed] for seed in before if seed in after]


def _pooled_deviation(groups: Collection[list[float]]) -> float:
    """Return the standard deviation within groups; NaN if each is a single number."""
    squares = [(np.array(group) - np.mean(group)) ** 2 for group in groups]
    degrees = sum(len(group) - 1 for group in groups)
    return math.sqrt(float(np.concatenate(squares).sum()) / degrees) if degrees else math.nan


@cache
def measured(start: str | None) -> Measured:
    """Return the measurement of the package for trainings that begin so."""
    return Measured(TABLES[start])


def more_music_section(evaluated: EvaluationData) -> Section:
    """Return what more music and more time brought where it was measured, from the nearest row on."""
    section = Section("more_music", "What more music or more time would bring", is_open=True)
    model, start = evaluated.model, evaluated.model.config.get("init_from")
    if start not in [*TABLES]:  # of a file from others, it may be no key
        section.missing = HEAD_START
        return section
    seconds = sum(end - begin for times in own_intervals(model).values() for begin, end in times)
    if not 0 < seconds < math.inf or not model.batches:
        section.missing = NOT_KNOWN
        return section
    minutes, table = seconds / 60 / len(model.genres), measured(start)
    source = SOURCE.format(trainings=table.n_trainings, how=HOW[start], **OF_TARGET)
    data = model.config.get("data") or {}
    varied = bool(data.get("varispeed"))
    section.paragraphs = [*advice(minutes, model.batches, table, varied and not start), source]
    row_is_varied = nearest(minutes, [row[0] for row in table.rows]) <= VARIED_UP_TO
    if start and data and varied != row_is_varied:
        section.paragraphs.append(OTHER_SPEEDS[varied])
    section.tables = [make_table(minutes, model.batches, table)]
    section.numbers = {"minutes_per_genre": minutes, "batches": model.batches}
    return section


def advice(minutes: float, batches: int, table: Measured, varied: bool = False) -> list[str]:
    """Say what more music and what more time brought, from the row of the table that is nearest.

    Args:
        minutes: minutes of music a genre that a model learnt from.
        batches: its training batches.
        table: the measured scores.
        varied: whether the clips were played at other speeds.
    """
    now, mores = rows_to_compare(minutes, batches, table)
    texts = []
    for axis, (value, more) in enumerate(zip((minutes, batches), mores, strict=True)):
        changes = describe_changes(now, more, table)
        text = (NOT_MEASURED if more == now else CHANGES)[axis]
        text = text.format(now=now[axis], more=more[axis], changes=changes)
        if varied and axis == 0:
            text = VARIED
        texts.append(LEARNT[axis].format(value=value) + text)
    return texts


def rows_to_compare(minutes: float, batches: int, table: Measured) -> tuple[Row, tuple[Row, Row]]:
    """Return the row that is nearest, the one with most music, and one with more batches.

    That is the last of those that most trainings reached, as what few of them show is less certain.
    """
    all_minutes, all_batches = zip(*table.rows, strict=True)
    now = nearest(minutes, all_minutes), nearest(batches, all_batches)
    later = [row for row in table.rows if row[0] == now[0] and row[1] > now[1]]
    more_time = max(later, key=lambda row: (table.mean(row, "chroma").n, row[1]), default=now)
    return now, ((max(all_minutes), now[1]), more_time)


def nearest(value: float, measured: Collection[int]) -> int:
    """Return the measured value whose ratio to a positive value is nearest to 1."""
    return min(measured, key=lambda one: abs(math.log(one / value)))


def describe_changes(before: Row, after: Row, table: Measured) -> str:
    """Say how scores change where the 95 % interval of the difference excludes 0, and name the others."""
    certain, others = [], []
    for score, (words, unit) in SCORES.items():
        change = table.change(before, after, score)
        if change.low > 0 or change.high < 0:
            verb = "rises" if change.mean > 0 else "falls"
            low, high = sorted((abs(change.low), abs(change.high)))
            certain.append(f"{words} {verb} by {abs(change.mean):.2f}{unit} ({low:.2f} to {high:.2f})")
        else:
            others.append(words)
    listed = " or ".join(part for part in (", ".join(others[:-1]), *others[-1:]) if part)
    return "; ".join([*certain, *([f"no certain change of {listed}"] if listed else [])])


def make_table(minutes: float, batches: int, table: Measured) -> Table:
    """Return the scores of the rows that are compared."""
    now, mores = rows_to_compare(minutes, batches, table)
    rows = dict.fromkeys((now, *mores))
    cells = [
        [f"{words}{unit and f',{unit}'}", *(str(table.mean(row, score)) for row in rows)]
        for score, (words, unit) in SCORES.items()
    ]
    return Table("", ["", *(COLUMN.format(*row) for row in rows)], cells)
