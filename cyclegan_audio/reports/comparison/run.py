"""The comparison of several runs from their reports to its page."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison.differences import rows
from cyclegan_audio.reports.comparison.grouping import columns
from cyclegan_audio.reports.comparison.runs import EvaluatedRun, gather
from cyclegan_audio.reports.comparison.sections import (
    contrast_section,
    numbers,
    settings_section,
    table_section,
)
from cyclegan_audio.reports.comparison.side_by_side import side_by_side_section
from cyclegan_audio.reports.comparison.summary import conclusion, warnings
from cyclegan_audio.reports.html import as_json, check_writable_folder, render, write_files
from cyclegan_audio.training.sweep import list_jobs
from cyclegan_audio.utils.defaults import LISTENING_RUNS
from cyclegan_audio.utils.hints import command_line, print_next_commands

HTML_FILE, JSON_FILE = "compare.html", "compare.json"
WHAT = "the comparison"


def compare(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    corpus: str | Path | None = None,
    metrics: Sequence[MetricSpec] = METRICS,
) -> Path:
    """Compare runs by their reports, making those that are missing; returns compare.html.

    Args:
        runs: run folders, checkpoints, reports, or folders of sweeps, which stand for their finished jobs.
            Runs that differ by their seed only share a column; the others are compared with the first one.
        out: folder of the page; `comparison` in the sweep's folder, or beside the first run, by default.
        corpus: where the held-out clips lie, if not where the runs say.
        metrics: what to compare, as far as the reports hold it.

    Raises:
        UserError: no such run, fewer than two, nothing that they share, or no right to write.
    """
    found, notes = gather(runs, corpus)
    made = columns(found)
    notes += warnings(made)
    folder = Path(out) if out is not None else _beside(Path(runs[0]), found)
    check_writable_folder(folder, WHAT, "choose another by --out")
    table = rows(made, metrics)
    words = conclusion(table, made)
    title = f"Compared: {', '.join(column.name for column in made)}"
    sections = [
        settings_section(made, notes),
        table_section(table, made),
        contrast_section(table, made),
        side_by_side_section(made, corpus),
    ]
    plain = {"title": title, "conclusion": words, "notes": notes, **numbers(table, made)}
    texts = {JSON_FILE: as_json(plain), HTML_FILE: render(title, words, sections)}
    write_files(folder, texts, WHAT)
    page = folder / HTML_FILE
    print("\n".join([*notes, words, f"comparison: {page}"]))
    if heard := [run.as_argument for run in found[:LISTENING_RUNS] if run.as_argument.exists()]:
        print_next_commands(command_line("listening_test", *heard))
    return page


def _beside(first: Path, found: Sequence[EvaluatedRun]) -> Path:
    return (first if list_jobs(first) else found[0].report_folder.parent.parent) / "comparison"
