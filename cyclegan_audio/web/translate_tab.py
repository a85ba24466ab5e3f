"""The tab Translate: a model, a song, a target genre; the player; downloads; the model's card."""

import os
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from cyclegan_audio.translation.amounts import Amount
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.errors import one_line_errors
from cyclegan_audio.web.examples import EXAMPLES, example_song
from cyclegan_audio.web.markdown import as_text
from cyclegan_audio.web.models import check_model, describe_model, list_models
from cyclegan_audio.web.player import player_frame
from cyclegan_audio.web.songs import (
    AMOUNTS,
    FORMATS,
    MAX_MINUTES,
    MAX_SHIFTS,
    QUALITIES,
    VOCODERS,
    SongSettings,
    StoppedError,
    in_format,
    translate_song,
)
from cyclegan_audio.web.state import PageState

EMPTY = '<div class="empty">Your song before and after will be here: one player, two spectrograms.</div>'
NO_PRESET = None  # of a radio button, once a number was moved


class TranslateTab:
    """Components of the tab and what they do."""

    def __init__(self, state: PageState, blocks: gr.Blocks) -> None:
        self.state, self.blocks = state, blocks

    def build(self) -> None:
        """Add the tab to the page."""
        with gr.Tab("Translate", id="translate") as container, gr.Row():
            with gr.Column(scale=4, min_width=320):
                self.build_inputs()
            with gr.Column(scale=6, min_width=320):
                self.build_outputs()
        self.connect(container)

    def build_inputs(self) -> None:
        """Add the model, the song, the genre, the presets and the numbers behind them."""
        choices = [(choice.label, choice.value) for choice in list_models(self.state.runs)]
        first = choices[0][1]
        targets = describe_model(self.state.runs, first).targets
        self.model = gr.Dropdown(choices, value=first, label="Model", filterable=False, elem_id="model")
        self.song = gr.Audio(
            sources=["upload", "microphone"], type="filepath", label=f"Song, up to {MAX_MINUTES} minutes",
            elem_id="song",
            buttons=["download"],
        )  # fmt: skip
        with gr.Row():
            self.examples = {
                genre: gr.Button(label, size="sm", min_width=90, elem_id=f"example_{genre}")
                for genre, label in EXAMPLES.items()
            }
        self.to = gr.Radio(list(targets), value=targets[0], label="Translate to", elem_id="to")
        with gr.Row():
            self.quality = gr.Radio(list(QUALITIES), value="Best", label="Quality", min_width=120)
            self.strength = gr.Radio(list(AMOUNTS), value="Full", label="Amount", min_width=120)
        with gr.Accordion("Numbers", open=False):
            vocoder, shifts = QUALITIES["Best"]
            self.drums = gr.Slider(0, 1, 1, step=0.05, label="Amount for drums")
            self.rest = gr.Slider(0, 1, 1, step=0.05, label="Amount for the rest")
            self.vocoder = gr.Dropdown(list(VOCODERS), value=vocoder, label="Vocoder", filterable=False)
            self.shifts = gr.Slider(1, MAX_SHIFTS, shifts, step=1, label="Shifts: smoother, and slower")
        with gr.Row():
            self.start = gr.Button("Translate", variant="primary", elem_id="start", scale=3)
            self.cancel = gr.Button("Cancel", elem_id="cancel", scale=1, min_width=80)

    def build_outputs(self) -> None:
        """Add the player, the downloads and the card."""
        self.player = gr.HTML(EMPTY, elem_id="player")
        self.notes = gr.Markdown(elem_classes="status", visible=False)
        with gr.Group(visible=False) as self.downloads:
            self.format = gr.Radio(
                [(name.upper(), name) for name in FORMATS], value="wav", label="Download as"
            )
            self.download = gr.DownloadButton("Download", elem_id="download")
        self.result = gr.State("")
        card = describe_model(self.state.runs, self.model.value).card
        with gr.Accordion("What this model is, and what to expect"):
            self.card = gr.Markdown(card, elem_classes="card")

    def connect(self, container: gr.Tab) -> None:
        """Connect the components with what they do."""
        for event in (container.select, self.blocks.load):
            event(self.refresh, self.model, self.model, show_progress="hidden")
        self.model.change(self.describe, [self.model, self.to], [self.to, self.card], show_progress="hidden")
        self.quality.input(self.use_quality, self.quality, [self.vocoder, self.shifts])
        self.strength.input(self.use_strength, self.strength, [self.drums, self.rest])
        for numbers, preset in (
            ((self.vocoder, self.shifts), self.quality),
            ((self.drums, self.rest), self.strength),
        ):
            for number in numbers:
                number.input(lambda: NO_PRESET, None, preset, show_progress="hidden")
        for genre, button in self.examples.items():
            button.click(self.example(genre), None, self.song)
        inputs = [self.song, self.model, self.to, self.drums, self.rest, self.vocoder, self.shifts]
        outputs = [self.player, self.notes, self.downloads, self.format, self.download, self.result]
        translation = self.start.click(
            self.translate, inputs, outputs, concurrency_limit=1, concurrency_id="translate",
            show_progress_on=self.player,
        )  # fmt: skip
        self.cancel.click(self.stop, None, None, cancels=translation, show_progress="hidden")
        self.format.input(self.convert, [self.result, self.format], self.download)

    def refresh(self, model: str) -> Any:
        """List the models anew; runs may have ended since the page was opened."""
        choices = [(choice.label, choice.value) for choice in list_models(self.state.runs)]
        known = [value for _, value in choices]
        return gr.Dropdown(choices=choices, value=model if model in known else known[0])

    @one_line_errors
    def describe(self, model: str, to: str) -> Any:
        """Show the genres and the card of a model."""
        info = describe_model(self.state.runs, model)
        target = to if to in info.targets else info.targets[0]
        return gr.Radio(choices=list(info.targets), value=target), info.card

    def use_quality(self, name: str) -> tuple[str, int]:
        """Set the numbers of a preset."""
        return QUALITIES[name]

    def use_strength(self, name: str) -> tuple[float, float]:
        """Set the amounts of a preset."""
        return AMOUNTS[name].drums, AMOUNTS[name].rest

    def example(self, genre: str) -> Any:
        """Return the function of an example's button."""

        @one_line_errors
        def choose() -> str:
            return str(example_song(genre, self.state.cache))

        return choose

    @one_line_errors
    def translate(
        self,
        song: str | None,
        model: str,
        to: str,
        drums: float,
        rest: float,
        vocoder: str,
        shifts: int,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # gradio wants it here
    ) -> Any:
        """Translate the song and show it in the player."""
        path = check_dropped(song)
        session = self.state.session(request.session_hash)
        settings = SongSettings(
            check_model(self.state.runs, model), to, Amount(drums, rest), vocoder, int(shifts)
        )
        session.stop = stop = Event()
        try:
            with self.state.translating:
                result = translate_song(path, settings, session.folder, stop, progress)
        except StoppedError:
            return EMPTY, gr.Markdown(visible=False), gr.Group(visible=False), "wav", gr.skip(), ""
        finally:
            stop.set()
        progress(1.0, "drawing the spectrograms")
        title = f"{path.name} to {to}"
        frame = player_frame(result.before, result.after, title, result.mel, result.after.parent)
        lines = "".join(f"* {as_text(note)}\n" for note in result.notes)
        notes = gr.Markdown(lines, visible=bool(lines))
        button = download_button(result.after)
        return frame, notes, gr.Group(visible=True), "wav", button, str(result.after)

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's translation."""
        stop = self.state.session(request.session_hash).stop
        if not stop.is_set():
            stop.set()
            gr.Info("The translation is stopped; nothing of it is kept.", duration=5)

    @one_line_errors
    def convert(self, result: str, suffix: str) -> Any:
        """Write the result in another format."""
        return download_button(in_format(check_dropped(result), suffix)) if result else gr.skip()


def download_button(file: Path) -> gr.DownloadButton:
    """Return the button that downloads a file."""
    return gr.DownloadButton(f"Download {file.suffix[1:].upper()}", value=str(file))


def check_dropped(song: str | None) -> Path:
    """Return the path of a dropped song, which counts as used now.

    Raises:
        UserError: there is none, or it was deleted after an hour.
    """
    if not song:
        raise UserError("there is no song yet; drop a file, record one, or choose an example")
    try:
        os.utime(song)
    except FileNotFoundError:
        raise UserError("the song was deleted, as songs are after an hour; drop it again") from None
    return Path(song)
