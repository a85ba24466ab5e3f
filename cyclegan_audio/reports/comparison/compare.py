"""Entry point of `compare`: from runs and their reports to compare.html."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison.differences import compare_metrics
from cyclegan_audio.reports.comparison.first_screen import first_screen, lead_sentence
from cyclegan_audio.reports.comparison.grouping import columns
from cyclegan_audio.reports.comparison.runs import EvaluatedRun, find_runs
from cyclegan_audio.reports.comparison.sections import (
    comparison_numbers,
    contrast_section,
    settings_section,
    side_by_side_section,
    table_section,
)
from cyclegan_audio.reports.comparison.summary import comparability_warnings, conclusion
from cyclegan_audio.reports.comparison.tagging import tagger_section
from cyclegan_audio.reports.html import ensure_writable, render, to_json, write_files
from cyclegan_audio.training.sweep import list_jobs
from cyclegan_audio.utils.defaults import LISTENING_RUNS
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo

HTML_FILE, JSON_FILE = "compare.html", "compare.json"
DESCRIPTION = "the comparison"


def compare(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    corpus: str | Path | None = None,
    trust_packages: Collection[str] = (),
    metrics: Sequence[MetricSpec] = METRICS,
) -> Path:
    """Compare runs by their reports, evaluate runs without one, and return the path of compare.html.

    Args:
        runs: run folders, checkpoints, reports, or folders of sweeps (all their finished jobs).
            Runs that differ only by seed share a column; other columns are compared with the first one.
        out: folder of the page; by default `comparison` in the sweep's folder, or beside the first run.
        corpus: corpus with the held-out clips, if it is not where the runs name it.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.
        metrics: metrics to compare; those that the reports lack are left out.

    Raises:
        UserError: no such run, fewer than two, no common direction, or no permission to write.
    """
    evaluated, notes = find_runs(runs, corpus, trust_packages)
    grouped = columns(evaluated)
    notes += comparability_warnings(grouped)
    folder = Path(out) if out is not None else _beside(Path(runs[0]), evaluated)
    ensure_writable(folder, DESCRIPTION, "choose another with --out")
    comparisons = compare_metrics(grouped, metrics)
    summary = conclusion(comparisons, grouped)
    title = f"Comparison: {', '.join(column.name for column in grouped)}"
    side_by_side, players = side_by_side_section(grouped, corpus, trust_packages)
    sections = [
        table_section(comparisons, grouped),
        settings_section(grouped, notes),
        side_by_side,
        tagger_section(grouped),
        contrast_section(comparisons, grouped),
    ]
    views = first_screen(comparisons, grouped, players)
    plain = {
        "title": title,
        "conclusion": summary,
        "notes": notes,
        **comparison_numbers(comparisons, grouped),
    }
    texts = {JSON_FILE: to_json(plain), HTML_FILE: render(title, lead_sentence(grouped), sections, views)}
    write_files(folder, texts, DESCRIPTION)
    page = folder / HTML_FILE
    echo(*notes, *summary.split("\n"), f"comparison: {page}")
    if playable := [run.as_argument for run in evaluated[:LISTENING_RUNS] if run.as_argument.exists()]:
        print_next_commands(command_line("listening_test", *playable))
    return page


def _beside(first: Path, evaluated: Sequence[EvaluatedRun]) -> Path:
    return (first if list_jobs(first) else evaluated[0].report_folder.parent.parent) / "comparison"
