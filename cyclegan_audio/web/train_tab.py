"""The tab Train: folders or dropped files to a corpus, a corpus to a run, and the run as it learns."""

import html
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from cyclegan_audio.reports.corpus import PAGE as CORPUS_PAGE
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable
from cyclegan_audio.web.corpora import (
    FOLDER,
    GenreMusic,
    check_corpus,
    check_folder,
    check_genre,
    delete_corpus,
    delete_unfinished,
    describe_corpus,
    gather_files,
    list_corpora,
    new_folder,
    prepare_arguments,
    training_genres,
)
from cyclegan_audio.web.errors import one_line_errors
from cyclegan_audio.web.markdown import as_text
from cyclegan_audio.web.player import frame
from cyclegan_audio.web.run_view import RunView
from cyclegan_audio.web.state import PREPARE, PageState
from cyclegan_audio.web.training import SIZES, job_name, train_arguments

REFRESH_S = 3
CORPUS_PX = 700
MUSIC_HELP = (
    "**1. Music.** Two genres, instrumental: ten minutes each work, an hour each is better. Many songs by "
    "several artists show a genre; one album shows an album."
)
TRAINING_HELP = (
    "**2. Training.** It ends after the time below, or after 50 rounds through the music if that is sooner; "
    "after half a minute it says when. An hour without a GPU gives a usable small model."
)


class TrainTab:
    """Components of the tab and what they do."""

    def __init__(self, state: PageState, blocks: gr.Blocks) -> None:
        self.state, self.blocks = state, blocks
        self.view = RunView(state)

    def build(self) -> None:
        """Add the tab to the page."""
        with gr.Tab("Train", id="train"):
            gr.Markdown(MUSIC_HELP)
            with gr.Row():
                self.genres = [self.build_genre(number) for number in (1, 2)]
            with gr.Row():
                self.prepare = gr.Button("Prepare", variant="primary", elem_id="prepare", scale=3)
                self.stop = gr.Button("Stop", scale=1, min_width=80, elem_id="stop_prepare")
            self.prepare_status = gr.Markdown(elem_classes="status", elem_id="prepare_status")
            self.build_corpus()
            gr.Markdown(TRAINING_HELP)
            self.build_training()
            gr.Markdown("**3. The run**")
            self.view.build()
            self.timer = gr.Timer(REFRESH_S)
        self.connect()

    def build_genre(self, number: int) -> list[gr.components.Component]:
        """Add the name, the folder and the dropped files of a genre."""
        with gr.Column(min_width=320):
            name = gr.Textbox(
                label=f"Genre {number}", placeholder=("lofi", "trap")[number - 1], max_length=60,
                elem_id=f"genre_{number}",
            )  # fmt: skip
            folder = gr.Textbox(
                label="Folder on this machine", placeholder="/home/me/music/lofi", elem_id=f"folder_{number}"
            )
            files = gr.File(
                label="or drop files", file_count="multiple", height=120, elem_id=f"files_{number}"
            )
        return [name, folder, files]

    def build_corpus(self) -> None:
        """Add the list of corpora, what `prepare` kept, and the button that deletes one."""
        names = [folder.name for folder in list_corpora(self.state.runs)]
        self.corpus = gr.Dropdown(
            names, value=None, label="Prepared music", filterable=False, elem_id="corpus"
        )
        self.kept = gr.Markdown(elem_classes="status", elem_id="kept")
        with gr.Accordion(
            "All that was kept and dropped, to see and hear", open=False, visible=False
        ) as details:
            self.corpus_page = gr.HTML()
        self.details = details
        self.delete = gr.Button("Delete this music", size="sm", visible=False, elem_id="delete")
        self.confirm = gr.Button(
            "Really delete it", size="sm", variant="stop", visible=False, elem_id="confirm"
        )

    def build_training(self) -> None:
        """Add the settings of a training and its start."""
        with gr.Row():
            self.size = gr.Dropdown(
                list(SIZES),
                value=next(iter(SIZES)),
                label="Model",
                filterable=False,
                scale=3,
                min_width=320,
                elem_id="size",
            )
            self.minutes = gr.Number(
                60, label="Minutes", minimum=1, precision=0, min_width=100, elem_id="minutes"
            )
            self.name = gr.Textbox(
                label="Name of the run", placeholder="lofi_trap", max_length=60, min_width=140
            )
        self.start = gr.Button("Start training", variant="primary", elem_id="train_start")

    def connect(self) -> None:
        """Connect the components with what they do."""
        music = [component for genre in self.genres for component in genre]
        dropped = [files for _, _, files in self.genres]
        self.prepare.click(self.start_prepare, music, [self.prepare_status, *dropped])
        self.stop.click(lambda: self.state.jobs.stop(PREPARE), None, None)
        listed = [self.corpus, self.prepare_status]
        for event in (self.timer.tick, self.blocks.load):
            event(self.refresh, listed, listed, show_progress="hidden")
        shown = [self.kept, self.corpus_page, self.details, self.confirm, self.delete]
        self.corpus.change(self.describe, self.corpus, shown, show_progress="hidden")
        self.delete.click(self.ask, self.corpus, [self.delete, self.confirm], show_progress="hidden")
        self.confirm.click(self.delete_chosen, self.corpus, self.corpus)
        settings = [self.corpus, self.size, self.minutes, self.name]
        self.start.click(self.start_training, settings, self.view.run)
        self.view.connect(self.timer, self.blocks, self.minutes)

    @one_line_errors
    def start_prepare(
        self, name_1: str, folder_1: str, files_1: list[str] | None, name_2: str, folder_2: str,
        files_2: list[str] | None,
    ) -> Any:  # fmt: skip
        """Start `prepare` for two genres; once it runs, the dropped files are its own and leave the page."""
        given = ((check_genre(name_1), folder_1, files_1), (check_genre(name_2), folder_2, files_2))
        dropped = Path(tempfile.mkdtemp(dir=self.state.cache, prefix="music_"))
        remove = partial(shutil.rmtree, dropped, ignore_errors=True)

        def clean_up() -> None:
            remove()
            delete_unfinished(corpus)

        try:
            one, other = (
                GenreMusic(name, dropped / str(number) if files else check_folder(name, folder))
                for number, (name, folder, files) in enumerate(given)
            )
            corpus = new_folder(self.state.runs / FOLDER, f"{one.name}_{other.name}")
            arguments = prepare_arguments(one, other, corpus)
            for music, (_, _, files) in zip((one, other), given, strict=True):
                if files:
                    gather_files(files, music.folder)
            self.state.jobs.start(PREPARE, "prepare", arguments, on_end=clean_up)
        except Exception:
            remove()
            raise
        for file in [*(files_1 or ()), *(files_2 or ())]:
            Path(file).unlink(missing_ok=True)
        return f"Preparing **{as_text(corpus.name)}**", None, None

    @one_line_errors
    def refresh(self, corpus: str | None, before: str | None) -> Any:
        """Show the state of `prepare`; a corpus that it has finished is chosen."""
        names = [folder.name for folder in list_corpora(self.state.runs)]
        jobs = self.state.jobs
        if jobs.is_running(PREPARE):
            return gr.skip(), f"Preparing: {as_text(jobs.last_line(PREPARE) or 'starting')}"
        has_ended = (before or "").startswith("Preparing")
        if has_ended and (failure := jobs.failure(PREPARE)) is not None:
            return gr.skip(), f"**It failed:** {as_text(failure)}"
        chosen = names[0] if names and (has_ended or corpus not in names) else corpus
        return gr.Dropdown(choices=names, value=chosen), "" if has_ended else gr.skip()

    @one_line_errors
    def describe(self, name: str | None) -> Any:
        """Show what a corpus holds."""
        buttons = gr.Button(visible=False), gr.Button(visible=bool(name))
        if not name:
            return "", "", gr.Accordion(visible=False), *buttons
        folder = check_corpus(self.state.runs, name)
        page = folder / CORPUS_PAGE
        shown = frame(f"Corpus {name}", file=page, height_px=CORPUS_PX) if page.is_file() else ""
        return describe_corpus(folder), shown, gr.Accordion(visible=bool(shown)), *buttons

    @one_line_errors
    def ask(self, name: str | None) -> Any:
        """Show the button that really deletes."""
        check_corpus(self.state.runs, name)
        return gr.Button(visible=False), gr.Button(visible=True)

    @one_line_errors
    def delete_chosen(self, name: str) -> Any:
        """Delete a corpus that no command reads."""
        if (busy := self.state.jobs.running()) is not None:
            raise UserError(
                f"{busy} is running and may read this music; wait until it ends, or stop it first"
            )
        folder = delete_corpus(self.state.runs, name)
        gr.Info(html.escape(printable(f"{folder} is deleted.")), duration=5)
        names = [other.name for other in list_corpora(self.state.runs)]
        return gr.Dropdown(choices=names, value=names[0] if names else None)

    @one_line_errors
    def start_training(self, corpus: str, size: str, minutes: float, name: str) -> Any:
        """Start a training and show its run."""
        folder = check_corpus(self.state.runs, corpus)
        run = new_folder(self.state.runs, name or "_".join(training_genres(folder)))
        arguments = train_arguments(folder, run, size, minutes)
        self.state.jobs.start(job_name(self.state.runs, run), "train", arguments)
        self.state.started.append(run)
        return gr.Dropdown(choices=self.view.names(), value=run.name)
