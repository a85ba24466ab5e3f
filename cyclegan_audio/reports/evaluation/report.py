"""The report on disk: one self-contained HTML page and the same numbers as JSON."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.inference.checkpoints import PRETRAINED
from cyclegan_audio.inference.run_paths import CHECKPOINTS
from cyclegan_audio.reports import html
from cyclegan_audio.reports.html import Section

HTML_FILE = "report.html"
JSON_FILE = "report.json"
REPORT = "report"  # a folder in the run's
WHAT = "the report"


def run_folder(checkpoint: Path) -> Path | None:
    """Return the folder of a checkpoint's run; None for a pair that ships in the package."""
    if checkpoint.parent == PRETRAINED:
        return None
    if checkpoint.is_dir():
        return checkpoint
    return checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else checkpoint.parent


def report_folder(checkpoint: Path) -> Path:
    """Return where a report goes by default."""
    return (run_folder(checkpoint) or Path("runs") / f"shipped_{checkpoint.name}") / REPORT


def ensure_writable(folder: Path) -> None:
    """Make the folder of the report, so that a wrong path shows before the work is done.

    Raises:
        UserError: it cannot be made or written.
    """
    html.ensure_writable(folder, WHAT, "choose another by --out")


def write_report(folder: Path, title: str, verdict: str, sections: Sequence[Section]) -> Path:
    """Write `report.json` and `report.html`, both whole or not at all; returns the page.

    Raises:
        UserError: the folder cannot be written.
    """
    ensure_writable(folder)
    numbers = {"title": title, "verdict": verdict, **{section.name: section.numbers for section in sections}}
    texts = {
        JSON_FILE: html.to_json(numbers),
        HTML_FILE: html.render(title, verdict, sections),
    }
    html.write_files(folder, texts, WHAT)
    return folder / HTML_FILE
