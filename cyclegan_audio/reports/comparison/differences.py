"""Differences of every metric and direction between columns, with significance over clips and over seeds."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan_audio.metrics.metric_spec import ARTEFACT, MODEL, REAL_TARGET, STYLE, UNTOUCHED, MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.comparison.runs import (
    PAIRED,
    ClipValues,
    compared_metrics,
    read_clip_values,
    read_distances,
    read_ends,
    shared_clips,
)
from cyclegan_audio.reports.evaluation.metric_tables import DISTANCE_LABELS
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
SMALL_EFFECT = 0.05  # of the range from floor to ceiling
BETTER, WORSE, DIFFERENT = "better", "worse", "different"  # different: neither is better
WITHIN_SEEDS, SMALL = "within the spread of seeds", "significant but small"
NOT_SIGNIFICANT = "not significant"


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Difference between a column and the first one.

    Attributes:
        difference: this column minus the first, over tracks; over seeds for distances.
        is_paired: whether the columns share clips, so that the difference is taken clip by clip.
        p: p-value over clips; NaN where it is unknown.
        span: ceiling minus floor; NaN without these, where they are equal, and for artefacts, which have no
            ceiling: less is better.
        sd: standard deviation over clips in the first column; NaN for distances.
        over_seeds: the difference with its interval over seeds; None where a column has a single run.
        improvement: 1 if this column is nearer to the ceiling (or has the smaller artefact), -1 if the first
            is, 0 if neither is.
        p_corrected: p corrected for all metrics and columns.
    """

    difference: Estimate
    is_paired: bool
    p: float
    span: float
    sd: float
    over_seeds: Estimate | None
    improvement: int
    p_corrected: float = math.nan

    @property
    def relative(self) -> Estimate:
        """The difference as a share of the range from floor to ceiling."""
        return rescale(self.difference, self.span)

    @property
    def in_sd(self) -> Estimate:
        """The difference in standard deviations over clips."""
        return rescale(self.difference, self.sd)

    @property
    def verdict(self) -> str:
        """One of the six verdicts defined at the top of this module."""
        if not self.p_corrected < ALPHA:
            return NOT_SIGNIFICANT
        if self.over_seeds is not None and not (self.over_seeds.low > 0 or self.over_seeds.high < 0):
            return WITHIN_SEEDS
        if abs(self.relative.mean) < SMALL_EFFECT:
            return SMALL
        return {1: BETTER, -1: WORSE, 0: DIFFERENT}[self.improvement]


@dataclasses.dataclass(frozen=True)
class MetricComparison:
    """One metric of one direction in all columns.

    Attributes:
        direction: `lofi to trap`.
        floor, ceiling: NaN where there is none.
        means: for each column, the means of its runs; empty where it has no values.
        contrasts: contrasts by column, without the first; only where both have values.
    """

    direction: str
    metric: MetricSpec
    floor: float
    ceiling: float
    means: dict[str, list[float]]
    contrasts: dict[str, Contrast]

    @property
    def label(self) -> str:
        """The metric for readers."""
        label = self.metric.label.format(target=self.direction.split(" to ")[-1])
        return f"share {label}" if label.startswith("of ") else label


def compare_metrics(
    columns: Sequence[Column], metrics: Sequence[MetricSpec] = METRICS
) -> list[MetricComparison]:
    """Compare all metrics of all directions; correct p for all metrics of a column and for the columns."""
    directions = list(
        dict.fromkeys(name for column in columns for run in column.runs for name in run.directions)
    )
    rows: list[MetricComparison] = []
    pairs: dict[str, dict[tuple[str, str], tuple[list[float], list[str]]]] = {}
    for direction in directions:
        for metric in compared_metrics(metrics):
            row, differences = _compare_metric(columns, direction, metric)
            rows += [row] if any(row.means.values()) else []
            for name, values in differences.items():
                pairs.setdefault(name, {})[direction, metric.name] = values
        rows += _compare_distances(columns, direction)
    return _with_p_values(rows, pairs, [column.name for column in columns[1:]])


def _compare_metric(
    columns: Sequence[Column], direction: str, metric: MetricSpec
) -> tuple[MetricComparison, dict[str, tuple[list[float], list[str]]]]:
    """Compare a metric; return the row, and by column its paired differences with their groups."""
    by_column = {column.name: _read_column(column, direction, metric) for column in columns}
    floor, ceiling = next(
        (
            read_ends(run.report, direction, metric.name)
            for column in columns
            for run in column.runs_in(direction)
            if by_column[column.name]
        ),
        (math.nan, math.nan),
    )
    means = {name: [run.mean for run in runs] for name, runs in by_column.items()}
    first, contrasts, differences = by_column[columns[0].name], {}, {}
    for column in columns[1:]:
        if not first or not (second := by_column[column.name]):
            continue
        clips = shared_clips([*first, *second])
        if len(clips) > 1:
            pairs = _clip_differences(first, second, clips, f"{direction} {metric.name == PAIRED}")
            difference, p = estimate(*pairs), math.nan
            differences[column.name] = pairs
        else:
            difference, p = welch_test(_pooled_mean(first, metric), _pooled_mean(second, metric))
        seeds = means[columns[0].name], means[column.name]
        contrasts[column.name] = Contrast(
            difference,
            len(clips) > 1,
            p,
            math.nan if metric.group == ARTEFACT else ceiling - floor or math.nan,
            _sd_over_clips(first),
            _seed_difference(*seeds),
            _improvement(metric, ceiling, *(float(np.mean(both)) for both in seeds)),
        )
    return MetricComparison(direction, metric, floor, ceiling, means, contrasts), differences


def _read_column(column: Column, direction: str, metric: MetricSpec) -> list[ClipValues]:
    """Read the values of a metric for each run of a column that has them."""
    values = [read_clip_values(run.report, direction, metric.name) for run in column.runs_in(direction)]
    return [one for one in values if one]


def _clip_differences(
    first: Sequence[ClipValues], second: Sequence[ClipValues], clips: Sequence[str], domain: str
) -> tuple[list[float], list[str]]:
    """Return differences clip by clip, each column the mean of its runs, and groups unique to `domain`."""
    means = [
        [float(np.mean([run.values[clip] for run in runs])) for clip in clips] for runs in (first, second)
    ]
    origin = first[0]
    groups = independent_groups([origin.track[c] for c in clips], [origin.start_s[c] for c in clips])
    return [b - a for a, b in zip(*means, strict=True)], [f"{domain} {group}" for group in groups]


def _pooled_mean(runs: Sequence[ClipValues], metric: MetricSpec) -> Estimate:
    """Average all clips of all runs, with tracks as groups, so clips of several runs share a group."""
    values = [value for run in runs for value in run.values.values()]
    groups = [run.track[clip] for run in runs for clip in run.values]
    return (proportion if metric.is_proportion else estimate)(values, groups)


def _sd_over_clips(runs: Sequence[ClipValues]) -> float:
    """Return the standard deviation over clips of each clip's mean over runs."""
    clips = shared_clips(runs)
    means = [np.mean([run.values[clip] for run in runs]) for clip in clips]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan


def _seed_difference(first: Sequence[float], second: Sequence[float]) -> Estimate | None:
    if min(len(first), len(second)) < 2:
        return None
    both = [estimate(list(means), [str(i) for i in range(len(means))]) for means in (first, second)]
    return welch_test(*both)[0]


def _improvement(metric: MetricSpec, ceiling: float, first: float, second: float) -> int:
    """Return the sign of the improvement: towards the ceiling if both are on one side of it, else 0.

    For artefacts the smaller value is better.
    """
    if metric.group == ARTEFACT:
        return int(np.sign(first - second))
    if math.isnan(ceiling) or (first - ceiling) * (second - ceiling) < 0:
        return 0
    return int(np.sign(abs(first - ceiling) - abs(second - ceiling)))


def _compare_distances(columns: Sequence[Column], direction: str) -> Iterator[MetricComparison]:
    """Compare distances; they have no values by clip, so only seeds show how reliable a difference is."""
    by_column = {
        c.name: [read_distances(run.report, direction) for run in c.runs_in(direction)] for c in columns
    }
    keys = dict.fromkeys(key for runs in by_column.values() for run in runs for key in run)
    for key in keys:
        values = {name: [run[key] for run in runs if key in run] for name, runs in by_column.items()}
        means = {name: [run[MODEL] for run in runs] for name, runs in values.items()}
        known = next(run for runs in values.values() for run in runs)
        label = f"{DISTANCE_LABELS[key[1]]}, {key[0].replace('_', ' ')}"
        metric = MetricSpec("_".join((*key, "distance")).replace(" ", "_"), label, STYLE)
        first, contrasts = means[columns[0].name], {}
        for column in columns[1:]:
            if first and (second := means[column.name]):
                a, b = float(np.mean(first)), float(np.mean(second))
                contrasts[column.name] = Contrast(
                    Estimate(b - a, math.nan, math.nan, math.nan, 0, 0),
                    False,
                    math.nan,
                    known[REAL_TARGET] - known[UNTOUCHED] or math.nan,
                    math.nan,
                    _seed_difference(first, second),
                    int(np.sign(a - b)),
                )
        yield MetricComparison(direction, metric, known[UNTOUCHED], known[REAL_TARGET], means, contrasts)


def _with_p_values(
    rows: Sequence[MetricComparison],
    pairs: dict[str, dict[tuple[str, str], tuple[list[float], list[str]]]],
    other_columns: Sequence[str],
) -> list[MetricComparison]:
    """Add p of the paired contrasts, and the corrected p of all."""
    p_values: dict[tuple[str, str, str], tuple[float, float]] = {}
    for name in other_columns:
        for (direction, metric), both in sign_flip_test(pairs.get(name, {})).items():
            p_values[name, direction, metric] = both
        not_paired = [row for row in rows if name in row.contrasts and not row.contrasts[name].is_paired]
        raw = [row.contrasts[name].p for row in not_paired]
        for row, p, corrected in zip(not_paired, raw, holm(raw), strict=True):
            p_values[name, row.direction, row.metric.name] = p, corrected
    out = []
    for row in rows:
        contrasts = {}
        for name, contrast in row.contrasts.items():
            p, corrected = p_values[name, row.direction, row.metric.name]
            corrected = corrected if math.isnan(corrected) else min(1.0, corrected * len(other_columns))
            contrasts[name] = dataclasses.replace(contrast, p=p, p_corrected=corrected)
        out.append(dataclasses.replace(row, contrasts=contrasts))
    return out
