"""The tab Runs: reports and comparisons, and the commands that make them."""

from pathlib import Path
from typing import Any

import gradio as gr

from cyclegan_audio.reports.evaluation.report_files import HTML_FILE as REPORT
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.corpora import new_folder
from cyclegan_audio.web.errors import one_line_errors
from cyclegan_audio.web.markdown import as_text
from cyclegan_audio.web.models import list_runs
from cyclegan_audio.web.player import frame
from cyclegan_audio.web.state import MEASURE, PageState

COMPARISON = "compare.html"  # of `reports.comparison.compare`, whose import takes seconds
REFRESH_S = 3
REPORT_PX = 900
HELP = (
    "A report measures a run on music that it has not heard, beside what an equaliser does. Choose one run "
    "to measure it, or several to compare them; without a GPU a report takes minutes."
)


def list_pages(runs: Path) -> list[Path]:
    """List the reports and comparisons below `runs`, the newest first."""
    found = [page for name in (REPORT, COMPARISON) for page in runs.glob(f"[!.]*/**/{name}")]
    pages = [page for page in found if page.resolve().is_relative_to(runs)]
    return sorted(pages, key=lambda page: (-page.stat().st_mtime_ns, page))


class RunsTab:
    """Components of the tab and what they do."""

    def __init__(self, state: PageState, blocks: gr.Blocks) -> None:
        self.state, self.blocks = state, blocks

    def build(self) -> None:
        """Add the tab to the page."""
        with gr.Tab("Runs", id="runs") as container:
            gr.Markdown(HELP)
            self.runs = gr.CheckboxGroup(self.run_names(), label="Runs", elem_id="runs_chosen")
            with gr.Row():
                self.measure = gr.Button("Measure or compare", variant="primary", scale=3, elem_id="measure")
                self.stop = gr.Button("Stop", scale=1, min_width=80)
            self.status = gr.Markdown(elem_classes="status", elem_id="report_status")
            self.page = gr.Dropdown(
                self.page_names(), value=None, label="Report", filterable=False, elem_id="report"
            )
            self.shown = gr.HTML(elem_id="report_page")
            timer = gr.Timer(REFRESH_S)
        self.measure.click(self.start, self.runs, self.status)
        self.stop.click(lambda: self.state.jobs.stop(MEASURE), None, None)
        self.page.change(self.show, self.page, self.shown)
        inputs = [self.runs, self.page, self.status]
        for event in (timer.tick, container.select, self.blocks.load):
            event(self.refresh, inputs, inputs, show_progress="hidden")

    def run_names(self) -> list[str]:
        """List the runs by their paths inside `--runs`."""
        return [str(run.relative_to(self.state.runs)) for run in list_runs(self.state.runs)]

    def page_names(self) -> list[str]:
        """List the reports by their paths inside `--runs`."""
        return [str(page.relative_to(self.state.runs)) for page in list_pages(self.state.runs)]

    @one_line_errors
    def start(self, names: list[str]) -> str:
        """Start `evaluate` for one run, or `compare` for several."""
        if not names:
            raise UserError("no run is chosen; choose one to measure it, or several to compare them")
        if unknown := set(names).difference(self.run_names()):
            raise UserError(f"there is no run {min(unknown)!r}; reload the page")
        runs = [str(self.state.runs / name) for name in names]
        if len(runs) == 1:
            self.state.jobs.start(MEASURE, "evaluate", ["--", *runs])
        else:
            out = new_folder(self.state.runs, "comparison")
            self.state.jobs.start(MEASURE, "compare", ["--out", str(out), "--", *runs])
        return "Measuring"

    @one_line_errors
    def refresh(self, chosen: list[str], page: str | None, before: str) -> Any:
        """Show the state of the measurement; a report that is new is opened."""
        names, pages, jobs = self.run_names(), self.page_names(), self.state.jobs
        runs = gr.CheckboxGroup(choices=names, value=[name for name in chosen or [] if name in names])
        if jobs.is_running(MEASURE):
            return runs, gr.skip(), f"Measuring: {as_text(jobs.last_line(MEASURE) or 'starting')}"
        has_ended = (before or "").startswith("Measuring")
        if has_ended and (failure := jobs.failure(MEASURE)) is not None:
            return runs, gr.skip(), f"**It failed:** {as_text(failure)}"
        latest = pages[0] if pages and (has_ended or page not in pages) else page
        return runs, gr.Dropdown(choices=pages, value=latest), "" if has_ended else gr.skip()

    @one_line_errors
    def show(self, name: str | None) -> str:
        """Show a report."""
        if not name:
            return ""
        if name not in self.page_names():
            raise UserError("there is no such report; choose one of the list, or reload the page")
        return frame(f"Report {name}", file=self.state.runs / name, height_px=REPORT_PX)
