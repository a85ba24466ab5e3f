"""What can be compared in reports: each measure's values by clip, and between which ends they stand."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_audio.metrics.metric_spec import ARTEFACT, CONTENT, GROUPS, STYLE, MetricSpec
from cyclegan_audio.reports.evaluation.per_clip import SCORE

SCORE_NAME, CYCLE, IDENTITY, PAIRED = "score", "cycle_db", "identity_db", "paired_error_db"
TRUTH = "truth"
OF_SECTIONS = (  # numbers by clip that sections of a report compute, beside its metrics
    MetricSpec(PAIRED, "error against the same score by the target's band", TRUTH, unit="dB", low=0.0),
    MetricSpec(SCORE_NAME, SCORE.split(":")[0], STYLE, low=0.0, high=1.0),
    MetricSpec(CYCLE, "there and back, error", CONTENT, unit="dB", low=0.0),
    MetricSpec(IDENTITY, "through its own generator, error", CONTENT, unit="dB", low=0.0),
)


def compared(metrics: Sequence[MetricSpec]) -> list[MetricSpec]:
    """List all that is compared, group by group."""
    truth, score, *ways_back = OF_SECTIONS
    by_group = {group: [metric for metric in metrics if metric.group == group] for group in GROUPS}
    return [truth, score, *by_group[STYLE], *by_group[CONTENT], *ways_back, *by_group[ARTEFACT]]


@dataclasses.dataclass(frozen=True)
class ByClip:
    """One measure of one run: values by clip id, NaN left out; and where each clip comes from."""

    values: Mapping[str, float]
    track: Mapping[str, str]
    start_s: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Over all clips."""
        return float(np.mean(list(self.values.values())))


def by_clip(report: Mapping[str, Any], way: str, name: str) -> ByClip | None:
    """Read the values of a metric; None where the report has none."""
    table = report["measures"][way]["clips"]
    if name == PAIRED:
        table, name = table["paired"], "error_db"
    found = {
        clip: float(value)
        for clip, value in zip(table["clip_id"], table.get(name, ()), strict=False)
        if value is not None
    }
    if not found:
        return None
    return ByClip(
        found,
        dict(zip(table["clip_id"], table["track"], strict=True)),
        dict(zip(table["clip_id"], table["start_s"], strict=True)),
    )


def ends(report: Mapping[str, Any], way: str, name: str) -> tuple[float, float]:
    """Read (floor, ceiling) of a metric, NaN where there is none.

    The floor of the error there and back is another clip in the input's place, that of the error against the
    ground truth the untouched input; the ceiling of errors is 0.
    """
    if name == SCORE_NAME:
        return math.nan, 1.0
    if name == PAIRED:
        untouched = report["measures"][way]["clips"]["paired"]["untouched_error_db"]
        return float(np.mean(untouched)), 0.0
    if name in (CYCLE, IDENTITY):
        errors = report.get("reconstruction", {}).get("this_run", {})
        return _mean(errors.get(way.split(" to ")[0], {}).get("other_clip")), 0.0
    found = report["measures"][way]["measures"].get(name)
    if found is None:
        return math.nan, math.nan
    return _mean(found.get(found["ends"]["floor"])), _mean(found.get(found["ends"]["ceiling"]))


def _mean(value: Mapping[str, Any] | None) -> float:
    mean = value.get("mean") if value else None
    return math.nan if mean is None else float(mean)


def distances(report: Mapping[str, Any], way: str) -> dict[tuple[str, str], dict[str, float]]:
    """Read distances to the target by (embedding, kind): `model`, `untouched`, `real_target`."""
    return {
        (embedding, kind): {key: _mean(value) for key, value in values.items()}
        for embedding, kinds in report["measures"][way]["distances"].items()
        for kind, values in kinds.items()
    }


def shared(runs: Sequence[ByClip]) -> list[str]:
    """List clips that all have, in the first one's order."""
    return [clip for clip in runs[0].values if all(clip in run.values for run in runs)]
