"""Section of the independent tagger in compare.html: style against content, and tags before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_audio.metrics.metric_spec import MODEL, REAL_TARGET, REFERENCES, TAGGER_SHARE, UNTOUCHED
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.evaluation.tagging import N_SHOWN, panels, style_content_images
from cyclegan_audio.reports.html import Section, Table

EXPLANATION = (
    "Each point is a run, each colour a column. The landmarks and the tags before the translation are those "
    "of the first run that the tagger heard. The tags are those whose mean probability changed most in any "
    "column; columns with several seeds give the mean over their runs."
)
NO_TAGGER = "No run was heard by the independent tagger."


def tagger_section(columns: Sequence[Column]) -> Section:
    """Return style over content of all runs in one figure, and a table of tags for each direction."""
    section = Section("tagger", "Independent tagger: style against content", [EXPLANATION])
    directions = dict.fromkeys(name for column in columns for run in column.runs for name in run.directions)
    all_panels = []
    for direction in directions:
        metrics = {c.name: [_metrics(run.report, direction) for run in c.runs_in(direction)] for c in columns}
        heard = [of_run for of_column in metrics.values() for of_run in of_column if TAGGER_SHARE in of_run]
        all_panels += panels(direction, heard[0], metrics) if heard else []
        tags = {c.name: _tags_of(c, direction) for c in columns}
        if known := {name: of_runs for name, of_runs in tags.items() if of_runs}:
            section.tables.append(_tag_table(direction, known))
    section.images += style_content_images(all_panels)
    if not section.images and not section.tables:
        section.missing = NO_TAGGER
    return section


def _metrics(report: Mapping[str, Any], direction: str) -> Mapping[str, Any]:
    return report["metrics"][direction]["metrics"]


def _tags_of(column: Column, direction: str) -> list[Mapping[str, Mapping[str, float]]]:
    """Return the tags of each run of a column that the tagger heard."""
    reports = (run.report.get("tagger", {}).get(direction, {}) for run in column.runs_in(direction))
    return [report["tags"] for report in reports if "tags" in report]


def _tag_table(direction: str, tags: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]) -> Table:
    first = next(iter(tags.values()))[0]
    known = [tag for tag in first if all(tag in of_run for of_runs in tags.values() for of_run in of_runs)]

    def mean(name: str, tag: str, candidate: str) -> float:
        return float(np.mean([of_run[tag][candidate] for of_run in tags[name]]))

    def largest_change(tag: str) -> float:
        return max(abs(mean(name, tag, MODEL) - mean(name, tag, UNTOUCHED)) for name in tags)

    rows = [
        [
            tag,
            f"{100 * first[tag][UNTOUCHED]:.0f}",
            *(f"{100 * mean(name, tag, MODEL):.0f}" for name in tags),
            f"{100 * first[tag][REAL_TARGET]:.0f}",
        ]
        for tag in sorted(known, key=largest_change, reverse=True)[: 2 * N_SHOWN]
    ]
    header = ["probability in %", REFERENCES[UNTOUCHED], *tags, REFERENCES[REAL_TARGET]]
    return Table(f"Tags that changed most: {direction}", header, rows)
