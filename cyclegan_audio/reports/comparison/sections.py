"""The parts of the page, and what compare.json keeps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.reports.comparison.differences import BETTER, OTHER, WORSE, Contrast, Row
from cyclegan_audio.reports.comparison.grouping import NOT_SET, Column, differing, learnt_by, shown
from cyclegan_audio.reports.comparison.summary import HOW
from cyclegan_audio.reports.evaluation.metric_tables import shown as shown_estimate
from cyclegan_audio.reports.figures.relative_bars import forest_plot
from cyclegan_audio.reports.html import Image, Section, Table, encode_figure
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.significance import format_p

PERCENT, PLAIN = MetricSpec("", "", "", scale=100.0, digits=0), MetricSpec("", "", "")
COLOURS = {BETTER: "#0072b2", WORSE: "#d55e00"}
KEY = "Blue: better, orange: worse, grey: not for certain, slight, or neither."
MARKS = {BETTER: " ▲", WORSE: " ▼", OTHER: " ◆"}
TABLE_HOW = (
    "Means over held-out clips; where a column holds several seeds, over these, with their standard "
    "deviation. ▲ better and ▼ worse than the first column, ◆ different, by the rule below; no mark: not "
    "for certain."
)


def settings_section(columns: Sequence[Column], notes: Sequence[str]) -> Section:
    """Show what differs between the columns, and their runs."""
    section = Section("settings", "What is compared", list(notes))
    own = [learnt_by(column.runs[0].settings) for column in columns]
    keys = differing(own)
    if keys:
        rows = [[key, *(shown(settings.get(key, NOT_SET)) for settings in own)] for key in keys]
        section.tables.append(Table("Settings that differ", ["", *(c.name for c in columns)], rows))
    else:
        section.paragraphs.append("The runs differ in no setting but their seeds.")
    runs = [
        [
            run.name,
            column.name,
            shown(run.seed),
            " and ".join(run.ways),
            str(run.report["run"]["batches_trained"]),
        ]
        for column in columns
        for run in column.runs
    ]
    section.tables.append(Table("Runs", ["", "column", "seed", "directions", "batches"], runs))
    return section


def table_section(rows: Sequence[Row], columns: Sequence[Column]) -> Section:
    """Show all metrics in one table."""
    section = Section("table", "All measures", [TABLE_HOW])
    names = [column.name for column in columns]
    body = [
        [
            f"{row.way}: {_label(row)}",
            row.measure.format_value(row.floor),
            *(_cell(row, name) for name in names),
            row.measure.format_value(row.ceiling),
        ]
        for row in rows
    ]
    section.tables.append(Table("", ["", "floor", *names, "ceiling"], body))
    return section


def contrast_section(rows: Sequence[Row], columns: Sequence[Column]) -> Section:
    """Show a figure and a table of differences for each column but the first, in each direction."""
    section = Section("differences", "How sure are the differences", [HOW])
    header = [
        "", "difference (95 %)", "% of the way", "in sd of clips", "p", "corrected", "over seeds", "said",
    ]  # fmt: skip
    for column in columns[1:]:
        for way in dict.fromkeys(row.way for row in rows if column.name in row.contrasts):
            own = [row for row in rows if row.way == way and column.name in row.contrasts]
            contrasts = {_label(row): row.contrasts[column.name] for row in own}
            name = f"{way}: {column.name} against {columns[0].name}"
            section.images += _pictures(contrasts, name)
            body = [
                [label, *_contrast(r.measure, c)]
                for r, (label, c) in zip(own, contrasts.items(), strict=True)
            ]
            section.tables.append(Table(name, header, body))
    return section


def _pictures(contrasts: Mapping[str, Contrast], name: str) -> list[Image]:
    """A figure of the measures whose difference has an interval on the way; none without any."""
    found = {
        label: ((way.mean, way.low, way.high), contrast.said)
        for label, contrast in contrasts.items()
        if math.isfinite((way := contrast.of_way).low)
    }
    if not found:
        return []
    text = f"{name}: differences with 95 % intervals, in % of the way from floor to ceiling. {KEY}"
    return [encode_figure(forest_plot(found, name, COLOURS), f"Differences, {name}", text)]


def numbers(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    """Turn the comparison into plain values for compare.json."""
    own = [learnt_by(column.runs[0].settings) for column in columns]
    return {
        "columns": [
            {
                "name": column.name,
                "runs": [
                    {"name": r.name, "report": str(r.report_folder), "seed": r.seed, "ways": r.ways}
                    for r in column.runs
                ],
            }
            for column in columns
        ],
        "settings": {key: [settings.get(key) for settings in own] for key in differing(own)},
        "rule": HOW,
        "table": [
            {
                "way": row.way,
                "measure": row.measure.name,
                "label": _label(row),
                "floor": row.floor,
                "ceiling": row.ceiling,
                "columns": {n: {"mean": _mean(m), "sd": _sd(m), "runs": m} for n, m in row.runs.items() if m},
                "contrasts": {name: _plain(contrast) for name, contrast in row.contrasts.items()},
            }
            for row in rows
        ],
    }


def _plain(contrast: Contrast) -> dict[str, Any]:
    seeds = contrast.over_seeds
    return {
        "difference": contrast.difference.to_dict(),
        "paired": contrast.is_paired,
        "of_way": contrast.of_way.to_dict(),
        "in_sd": contrast.deviations.to_dict(),
        "p": contrast.p,
        "p_corrected": contrast.corrected,
        "over_seeds": seeds.to_dict() if seeds else None,
        "said": contrast.said,
    }


def _label(row: Row) -> str:
    unit = f", {row.measure.unit}" if row.measure.unit else ""
    return row.label + unit


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _cell(row: Row, name: str) -> str:
    means = row.runs.get(name)
    if not means:
        return "-"
    spread = f" ± {row.measure.format_value(_sd(means))}" if len(means) > 1 else ""
    mark = MARKS.get(row.contrasts[name].said, "") if name in row.contrasts else ""
    return f"{row.measure.format_value(_mean(means))}{spread}{mark}"


def _contrast(measure: MetricSpec, contrast: Contrast) -> list[str]:
    seeds = contrast.over_seeds
    return [
        _interval(measure, contrast.difference),
        _interval(PERCENT, contrast.of_way),
        "-" if math.isnan(contrast.spread) else PLAIN.format_value(contrast.deviations.mean),
        format_p(contrast.p),
        format_p(contrast.corrected),
        _interval(measure, seeds) if seeds else "-",
        contrast.said if contrast.corrected == contrast.corrected else "-",
    ]


def _interval(measure: MetricSpec, value: Estimate) -> str:
    return shown_estimate(measure, value if math.isfinite(value.mean) else None)
