"""Files of a report: where they lie, and how report.html and report.json are written."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.inference.checkpoints import PRETRAINED
from cyclegan_audio.inference.hub import hub_label
from cyclegan_audio.inference.run_paths import CHECKPOINTS
from cyclegan_audio.reports import html
from cyclegan_audio.reports.html import Section, View

HTML_FILE = "report.html"
JSON_FILE = "report.json"
REPORT = "report"  # folder inside the run folder
DESCRIPTION = "the report"


def run_folder(checkpoint: Path) -> Path | None:
    """Return the run folder of a checkpoint; None for a pair that ships or was downloaded."""
    if checkpoint.parent == PRETRAINED or hub_label(checkpoint) is not None:
        return None
    if checkpoint.is_dir():
        return checkpoint
    return checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else checkpoint.parent


def report_folder(checkpoint: Path) -> Path:
    """Return the default folder of a checkpoint's report."""
    name = hub_label(checkpoint) or f"shipped_{checkpoint.name}"
    return (run_folder(checkpoint) or Path("runs") / name) / REPORT


def ensure_writable(folder: Path) -> None:
    """Create the folder of the report, to fail before the work if it cannot be written.

    Raises:
        UserError: the folder cannot be created or written.
    """
    html.ensure_writable(folder, DESCRIPTION, "choose another with --out")


def write_report(
    folder: Path,
    title: str,
    verdict: str,
    sections: Sequence[Section],
    lead: str = "",
    views: Sequence[View] = (),
) -> Path:
    """Write `report.json` and `report.html`, both or none; return the path of the page.

    Args:
        folder: folder of the report.
        title: of the page.
        verdict: its numbers as sentences.
        sections: the page leaves out empty ones, `report.json` does not.
        lead, views: the first screen (`html.render`).

    Raises:
        UserError: the folder cannot be written.
    """
    ensure_writable(folder)
    numbers = {"title": title, "verdict": verdict, **{section.name: section.numbers for section in sections}}
    texts = {
        JSON_FILE: html.to_json(numbers),
        HTML_FILE: html.render(title, lead, sections, views, verdict),
    }
    html.write_files(folder, texts, DESCRIPTION)
    return folder / HTML_FILE
