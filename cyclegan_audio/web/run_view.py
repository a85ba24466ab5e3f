"""A run as it trains: state, losses, spectrograms, sounds, and buttons to stop it and to go on."""

import html
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
import pandas

from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.run_paths import LOSSES
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable
from cyclegan_audio.web.errors import one_line_errors
from cyclegan_audio.web.markdown import as_text, code_block
from cyclegan_audio.web.player import pictures, player_frame
from cyclegan_audio.web.state import PageState
from cyclegan_audio.web.training import (
    LossPoint,
    describe_state,
    is_training,
    job_name,
    latest_grids,
    list_trainings,
    loss_points,
    previews,
    resume_arguments,
    stop_training,
)

COLUMNS = ["batch", "value", "loss"]
NO_RUN = "No run yet: prepare music, then start a training."


class RunView:
    """Components that show one run."""

    def __init__(self, state: PageState) -> None:
        self.state = state

    def build(self) -> None:
        """Add the components."""
        names = self.names()
        self.run = gr.Dropdown(
            names, value=names[0] if names else None, label="Run", filterable=False, elem_id="run"
        )
        with gr.Row():
            self.stop = gr.Button("Stop", size="sm", min_width=90, elem_id="stop_run")
            self.go_on = gr.Button("Go on", size="sm", min_width=90, elem_id="go_on")
        self.status = gr.Markdown(NO_RUN, elem_classes="status", elem_id="run_status")
        with gr.Row():
            self.losses = gr.LinePlot(
                x="batch",
                y="value",
                color="loss",
                y_title="loss",
                label="Losses",
                elem_id="losses",
                min_width=320,
            )
            self.grids = gr.HTML(elem_id="grids", elem_classes="grids", min_width=320)
        self.preview = gr.Dropdown(
            [], label="Hear a held-out clip", filterable=False, visible=False, elem_id="clips"
        )
        self.player = gr.HTML(elem_id="clip")
        with gr.Accordion("What the training prints", open=False):
            self.log = gr.Markdown()
        self.shown = gr.State(())

    def connect(self, timer: gr.Timer, blocks: gr.Blocks, minutes: gr.Number) -> None:
        """Connect the components with what they do."""
        outputs = [self.run, self.status, self.losses, self.grids, self.preview, self.log, self.shown]
        for event in (timer.tick, self.run.change, blocks.load):
            event(self.refresh, [self.run, self.shown], outputs, show_progress="hidden")
        self.stop.click(self.stop_run, self.run, None)
        self.go_on.click(self.resume, [self.run, minutes], None)
        self.preview.input(self.play, [self.run, self.preview], self.player)

    def names(self) -> list[str]:
        """List the runs by their paths inside `--runs`."""
        runs = list_trainings(self.state.runs, self.state.started)
        return [str(run.relative_to(self.state.runs)) for run in runs]

    def folder(self, name: str | None) -> Path:
        """Return the folder of a run.

        Raises:
            UserError: there is none of that name.
        """
        if name is None or name not in self.names():
            raise UserError("there is no such run; choose one of the list, or reload the page")
        return self.state.runs / name

    @one_line_errors
    def refresh(self, name: str | None, shown: tuple[Any, ...]) -> Any:
        """Show what is new of a run."""
        names = self.names()
        name = name if name in names else (names[0] if names else None)
        if name is None:
            return gr.Dropdown(choices=[], value=None), NO_RUN, *(gr.skip() for _ in range(4)), ()
        run = self.state.runs / name
        grids, sounds = latest_grids(run), previews(run)
        losses = run / LOSSES
        now = (name, losses.stat().st_size if losses.is_file() else 0, grids, [p.after for p in sounds])
        is_old = bool(shown) and shown[0] == now
        points, problem = ([], shown[1]) if is_old else read_points(run)
        listed = gr.Dropdown(choices=names, value=name)
        state = describe_state(self.state.runs, run, self.state.jobs)
        status = f"**{as_text(name)}**: {as_text(state + problem)}"
        log = code_block(self.state.jobs.output(job_name(self.state.runs, run)))
        if is_old:
            return listed, status, gr.skip(), gr.skip(), gr.skip(), log, gr.skip()
        table = pandas.DataFrame([[p.batch, p.value, p.loss] for p in points], columns=COLUMNS)
        labels = [preview.label for preview in sounds]
        choice = gr.Dropdown(choices=labels, value=None, visible=bool(labels))
        return listed, status, table, pictures(grids), choice, log, (now, problem)

    @one_line_errors
    def stop_run(self, name: str) -> None:
        """Stop a training in order."""
        run = self.folder(name)
        if not is_training(self.state.runs, run, self.state.jobs):
            raise UserError(f"{name} does not train now")
        stop_training(self.state.runs, run, self.state.jobs)
        text = f"{name} stops after its batch and writes a checkpoint; Go on continues it."
        gr.Info(html.escape(printable(text)), duration=6)

    @one_line_errors
    def resume(self, name: str, minutes: float) -> None:
        """Continue a run from its last checkpoint for some minutes."""
        run = self.folder(name)
        if is_training(self.state.runs, run, self.state.jobs):
            raise UserError(f"{name} trains already")
        self.state.jobs.start(job_name(self.state.runs, run), "train", resume_arguments(run, minutes))

    @one_line_errors
    def play(self, name: str, label: str, request: gr.Request) -> str:
        """Show the player of a preview."""
        run = self.folder(name)
        chosen = [preview for preview in previews(run) if preview.label == label]
        if not chosen:
            raise UserError("this sound has been replaced by a newer one; choose again")
        mel = load_model(run).mel
        title = f"{chosen[0].label} of {name}"
        folder = Path(tempfile.mkdtemp(dir=self.state.session(request.session_hash).folder))
        return player_frame(chosen[0].before, chosen[0].after, title, mel, folder)


def read_points(run: Path) -> tuple[list[LossPoint], str]:
    """Return the curves of the losses, and for the status why there are none; the timer asks every 3 s."""
    try:
        return loss_points(run), ""
    except UserError as error:
        return [], f"; no losses are shown: {error}"
