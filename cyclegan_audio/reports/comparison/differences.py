"""Each measure of each direction in all columns, and how the others differ from the first column."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan_audio.metrics.metric_spec import ARTEFACT, MODEL, REAL_TARGET, STYLE, UNTOUCHED, MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.comparison.values import (
    PAIRED,
    ByClip,
    by_clip,
    compared,
    distances,
    ends,
    shared,
)
from cyclegan_audio.reports.evaluation.metric_tables import NAMES
from cyclegan_audio.statistics.estimates import Estimate, estimate
from cyclegan_audio.statistics.proportions import proportion
from cyclegan_audio.statistics.significance import (
    holm,
    independent_groups,
    rescale,
    sign_flip_test,
    welch_test,
)

ALPHA = 0.05
SMALL = 0.05  # of the way from floor to ceiling
BETTER, WORSE, OTHER = "better", "worse", "other"  # the last: no way to say which
SEEDS, SLIGHT, NONE = "within the spread of seeds", "sure but slight", "not significant"


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A column against the first one.

    Attributes:
        difference: this one minus the first, over tracks; over seeds for distances.
        is_paired: whether clip by clip.
        p, corrected: by chance over clips; NaN where it cannot be said.
        whole: the way from floor to ceiling, NaN without these, where they are the same, and for faults in
            the sound, of which less is better.
        spread: standard deviation between clips in the first column, NaN for distances.
        over_seeds: the difference with its interval over seeds; None where a column has one run only.
        nearer: 1 where this one is nearer to the ceiling (or the smaller fault), -1 where the first is, 0
            where it cannot be said.
    """

    difference: Estimate
    is_paired: bool
    p: float
    whole: float
    spread: float
    over_seeds: Estimate | None
    nearer: int
    corrected: float = math.nan

    @property
    def of_way(self) -> Estimate:
        """The difference in parts of the way from floor to ceiling."""
        return rescale(self.difference, self.whole)

    @property
    def deviations(self) -> Estimate:
        """The difference in standard deviations between clips."""
        return rescale(self.difference, self.spread)

    @property
    def said(self) -> str:
        """One of the six words above."""
        if not self.corrected < ALPHA:
            return NONE
        if self.over_seeds is not None and not (self.over_seeds.low > 0 or self.over_seeds.high < 0):
            return SEEDS
        if abs(self.of_way.mean) < SMALL:
            return SLIGHT
        return {1: BETTER, -1: WORSE, 0: OTHER}[self.nearer]


@dataclasses.dataclass(frozen=True)
class Row:
    """One measure of one direction.

    Attributes:
        floor, ceiling: NaN where there is none.
        runs: by column, the mean of each of its runs; empty where it has none.
        contrasts: by column other than the first, where both have values.
    """

    way: str
    measure: MetricSpec
    floor: float
    ceiling: float
    runs: dict[str, list[float]]
    contrasts: dict[str, Contrast]

    @property
    def label(self) -> str:
        """The measure for readers."""
        label = self.measure.label.format(target=self.way.split(" to ")[-1])
        return f"share {label}" if label.startswith("of ") else label


def rows(columns: Sequence[Column], metrics: Sequence[MetricSpec] = METRICS) -> list[Row]:
    """Compare all metrics of all directions; p is corrected for all of a column and for the columns."""
    ways = list(dict.fromkeys(way for column in columns for run in column.runs for way in run.ways))
    found: list[Row] = []
    pairs: dict[str, dict[tuple[str, str], tuple[list[float], list[str]]]] = {}
    for way in ways:
        for measure in compared(metrics):
            row, flips = _row(columns, way, measure)
            found += [row] if any(row.runs.values()) else []
            for name, values in flips.items():
                pairs.setdefault(name, {})[way, measure.name] = values
        found += _distance_rows(columns, way)
    return _corrected(found, pairs, [column.name for column in columns[1:]])


def _row(
    columns: Sequence[Column], way: str, measure: MetricSpec
) -> tuple[Row, dict[str, tuple[list[float], list[str]]]]:
    """The row, and by column its paired differences with their groups."""
    found = {
        column.name: [v for run in column.of(way) if (v := by_clip(run.report, way, measure.name))]
        for column in columns
    }
    floor, ceiling = next(
        (ends(run.report, way, measure.name) for c in columns for run in c.of(way) if found[c.name]),
        (math.nan, math.nan),
    )
    means = {name: [run.mean for run in runs] for name, runs in found.items()}
    first, contrasts, flips = found[columns[0].name], {}, {}
    for column in columns[1:]:
        if not first or not (second := found[column.name]):
            continue
        clips = shared([*first, *second])
        if len(clips) > 1:
            pairs = _differences(first, second, clips, f"{way} {measure.name == PAIRED}")
            difference, p = estimate(*pairs), math.nan
            flips[column.name] = pairs
        else:
            difference, p = welch_test(_pooled(first, measure), _pooled(second, measure))
        seeds = means[columns[0].name], means[column.name]
        contrasts[column.name] = Contrast(
            difference,
            len(clips) > 1,
            p,
            math.nan if measure.group == ARTEFACT else ceiling - floor or math.nan,
            _spread(first),
            _over_seeds(*seeds),
            _nearer(measure, ceiling, *(float(np.mean(both)) for both in seeds)),
        )
    return Row(way, measure, floor, ceiling, means, contrasts), flips


def _differences(
    first: Sequence[ByClip], second: Sequence[ByClip], clips: Sequence[str], domain: str
) -> tuple[list[float], list[str]]:
    """Clip by clip, each column by the mean of its runs, with groups that are one's own to a set of clips."""
    means = [
        [float(np.mean([run.values[clip] for run in runs])) for clip in clips] for runs in (first, second)
    ]
    where = first[0]
    groups = independent_groups([where.track[c] for c in clips], [where.start_s[c] for c in clips])
    return [b - a for a, b in zip(*means, strict=True)], [f"{domain} {group}" for group in groups]


def _pooled(runs: Sequence[ByClip], measure: MetricSpec) -> Estimate:
    """Mean over tracks of all runs' clips; those of one clip and those of one track hang together."""
    values = [value for run in runs for value in run.values.values()]
    groups = [run.track[clip] for run in runs for clip in run.values]
    return (proportion if measure.is_proportion else estimate)(values, groups)


def _spread(runs: Sequence[ByClip]) -> float:
    """Standard deviation between clips, of each clip's mean over runs."""
    clips = shared(runs)
    means = [np.mean([run.values[clip] for run in runs]) for clip in clips]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan


def _over_seeds(first: Sequence[float], second: Sequence[float]) -> Estimate | None:
    if min(len(first), len(second)) < 2:
        return None
    both = [estimate(list(means), [str(i) for i in range(len(means))]) for means in (first, second)]
    return welch_test(*both)[0]


def _nearer(measure: MetricSpec, ceiling: float, first: float, second: float) -> int:
    """Faults: the smaller is better. Else the nearer to the ceiling, if both are on one side of it."""
    if measure.group == ARTEFACT:
        return int(np.sign(first - second))
    if math.isnan(ceiling) or (first - ceiling) * (second - ceiling) < 0:
        return 0
    return int(np.sign(abs(first - ceiling) - abs(second - ceiling)))


def _distance_rows(columns: Sequence[Column], way: str) -> Iterator[Row]:
    """Distances have no values by clip: only seeds can say how sure a difference is."""
    found = {c.name: [distances(run.report, way) for run in c.of(way)] for c in columns}
    keys = dict.fromkeys(key for runs in found.values() for run in runs for key in run)
    for key in keys:
        values = {name: [run[key] for run in runs if key in run] for name, runs in found.items()}
        means = {name: [run[MODEL] for run in runs] for name, runs in values.items()}
        known = next(run for runs in values.values() for run in runs)
        label = f"{NAMES[key[1]]}, {key[0]}"
        measure = MetricSpec("_".join((*key, "distance")).replace(" ", "_"), label, STYLE)
        first, contrasts = means[columns[0].name], {}
        for column in columns[1:]:
            if first and (second := means[column.name]):
                a, b = float(np.mean(first)), float(np.mean(second))
                seeds = _over_seeds(first, second)
                contrasts[column.name] = Contrast(
                    Estimate(b - a, math.nan, math.nan, math.nan, 0, 0),
                    False,
                    math.nan,
                    known[REAL_TARGET] - known[UNTOUCHED] or math.nan,
                    math.nan,
                    seeds,
                    int(np.sign(a - b)),
                )
        yield Row(way, measure, known[UNTOUCHED], known[REAL_TARGET], means, contrasts)


def _corrected(
    found: Sequence[Row],
    pairs: dict[str, dict[tuple[str, str], tuple[list[float], list[str]]]],
    others: Sequence[str],
) -> list[Row]:
    """Rows with p of the paired contrasts, and all p corrected."""
    corrected: dict[tuple[str, str, str], tuple[float, float]] = {}
    for name in others:
        for (way, measure), both in sign_flip_test(pairs.get(name, {})).items():
            corrected[name, way, measure] = both
        plain = [row for row in found if name in row.contrasts and not row.contrasts[name].is_paired]
        p_values = [row.contrasts[name].p for row in plain]
        for row, p, better in zip(plain, p_values, holm(p_values), strict=True):
            corrected[name, row.way, row.measure.name] = p, better
    out = []
    for row in found:
        contrasts = {}
        for name, contrast in row.contrasts.items():
            p, family = corrected[name, row.way, row.measure.name]
            family = family if math.isnan(family) else min(1.0, family * len(others))
            contrasts[name] = dataclasses.replace(contrast, p=p, corrected=family)
        out.append(dataclasses.replace(row, contrasts=contrasts))
    return out
