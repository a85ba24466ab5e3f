"""The measured numbers of a card, from the report of its run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan_audio.inference.pair_card import Measurement
from cyclegan_audio.metrics.metric_spec import (
    MATCHED_MOMENTS,
    MODEL,
    REAL_TARGET,
    TAGGER_SHARE,
    UNTOUCHED,
    MetricSpec,
)
from cyclegan_audio.metrics.paired_error import MATCHED_MEAN
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison.report_check import check_report
from cyclegan_audio.reports.evaluation.report_files import JSON_FILE
from cyclegan_audio.utils.errors import UserError

ON_CARD = ("genre_classifier", TAGGER_SHARE, "onset_f1", "chroma", "bass", "checkerboard_db")
PAIRED = MetricSpec("paired", "error against the same score by the other band", "truth", unit="dB", digits=2)


def read_measurements(folder: Path, batches: int) -> tuple[str, list[Measurement]]:
    """Read the clips and the numbers that a card shows from report.json.

    Args:
        folder: the folder of the report.
        batches: of the model; the report must be of the same checkpoint.

    Raises:
        UserError: there is no report, it is damaged, or of another checkpoint.
    """
    path = folder / JSON_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        check_report(report)
    except (OSError, ValueError, RecursionError, UserError) as error:
        raise UserError(f"there is no report {path}, or it is damaged; evaluate the run first") from error
    if report["run"]["batches_trained"] != batches:
        raise UserError(f"{path} is of another checkpoint; evaluate this one first")
    directions = {name: part for name, part in report["metrics"].items() if "clips" in part}
    rows = [row for name, part in directions.items() for row in _of_direction(name, part, report)]
    counts = ", ".join(f"{len(part['clips']['clip_id'])} ({name})" for name, part in directions.items())
    return f"held-out clips: {counts}", rows


def _of_direction(name: str, part: Mapping[str, Any], report: Mapping[str, Any]) -> list[Measurement]:
    """Return the measurements of one direction, the error against the ground truth first."""
    target = name.rpartition(" to ")[2]
    rows = []
    paired = report.get("paired", {}).get(name, {}).get("error_db", {})
    if MODEL in paired:
        references = {"untouched": UNTOUCHED, "equaliser": MATCHED_MEAN}
        rows.append(_measurement(name, PAIRED, target, paired, references))
    references = {"untouched": UNTOUCHED, "equaliser": MATCHED_MOMENTS, "target": REAL_TARGET}
    for metric in (metric for metric in METRICS if metric.name in ON_CARD):
        values = part["metrics"].get(metric.name, {})
        if MODEL in values:
            rows.append(_measurement(name, metric, target, values, references))
    return rows


def _measurement(
    direction: str, metric: MetricSpec, target: str, values: Mapping[str, Any], references: Mapping[str, str]
) -> Measurement:
    """Return a row in the unit of the metric, rounded as reports show it."""

    def rounded(key: str, part: str = "mean") -> float | None:
        value = values.get(key, {}).get(part)
        return None if value is None else round(value * metric.scale, metric.digits)

    unit = f", {metric.unit}" if metric.unit else ""
    return Measurement(
        direction,
        f"{metric.label.format(target=target)}{unit}",
        rounded(MODEL),  # type: ignore[arg-type]  # checked by the dataclass
        rounded(MODEL, "low"),
        rounded(MODEL, "high"),
        **{name: rounded(key) for name, key in references.items()},
    )
