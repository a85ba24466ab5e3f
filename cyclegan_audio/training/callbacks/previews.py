"""What held-out clips sound and look like while a run goes, in its folder and the loggers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.audio.io import save
from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.clips import translate_states
from cyclegan_audio.models.directions import ordered
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.reports.figures.spectrograms import cycle_grid, mel_image
from cyclegan_audio.training.loggers import Cell, MediaLogger
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.vocoders import Vocoder, VocoderInput, make_vocoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATES = {"real": "real", "fake": "fake", "rec": "reconstruction", "idt": "identity"}  # as they are shown


class Previews(pl.Callback):
    """After every `every_epochs` and at the end: a grid a direction in `grids/`, and audio in `audio/`.

    The clips are the first `clips` validation clips of each genre, the same all the time. Audio comes from
    `vocoder`, with the clip's own audio as its source where the corpus has it, else from Griffin-Lim.
    """

    def __init__(self, run_dir: str, vocoder: Vocoder, every_epochs: int = 5, clips: int = 3) -> None:
        check_number("callbacks.previews.every_epochs", every_epochs, low=1, integer=True)
        self.run_dir = Path(run_dir)
        self.every_epochs = every_epochs
        self.clips = clips
        self.vocoder = vocoder
        self.from_mel_alone = make_vocoder("griffin_lim")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if (trainer.current_epoch + 1) % self.every_epochs == 0:
            self.show(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if trainer.current_epoch % self.every_epochs or trainer.should_stop:
            self.show(trainer, pl_module, trainer.current_epoch)

    def show(self, trainer: pl.Trainer, module: TranslationModule, epoch: int) -> None:
        """Write and log the pictures and the audio of the epoch."""
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        with torch.no_grad(), torch.random.fork_rng():
            for direction in module.directions:
                source, target = ordered(data.genres, direction)
                clips = ordered(data.clips("val"), direction)[0][: self.clips]
                rows = [translate_clip(module, data.corpus, clip, direction) for clip in clips]
                when, name = f"epoch_{epoch:04d}", "_to_".join(direction)
                title = f"{source} to {target}, after {module.batches} batches"
                self._grid(trainer, cycle_grid(rows, data.mel, title), when, name, title)
                genres = f"{slug(source)}_to_{slug(target)}"
                heard = self._audio(trainer, data.corpus, clips, rows, when, genres)
                table = [
                    {"epoch": epoch, "clip": f"{clip.source} at {clip.start_s:g} s", "to": target}
                    | _cells(row, sounds)
                    for clip, row, sounds in zip(clips, rows, heard, strict=True)
                ]
                for dashboard in _dashboards(trainer):
                    dashboard.show_table(f"clips/{name}", table, _step(trainer))

    def _grid(self, trainer: pl.Trainer, figure: "Figure", when: str, name: str, title: str) -> None:
        folder = self.run_dir / "grids"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{when}_{name}"
        with atomic_path(folder / f"{stem}.png") as part:
            figure.savefig(part, format="png", dpi=80)
        for dashboard in _dashboards(trainer):
            dashboard.show_picture(f"grids/{name}", folder / f"{stem}.png", title, _step(trainer))

    def _audio(
        self,
        trainer: pl.Trainer,
        corpus: Corpus,
        clips: list[Clip],
        rows: list[dict[str, Tensor]],
        when: str,
        genres: str,
    ) -> list[dict[str, Path]]:
        """The WAV files that were written, by kind, of each clip."""
        folder = self.run_dir / "audio"
        folder.mkdir(parents=True, exist_ok=True)
        written: list[dict[str, Path]] = []
        for number, (clip, row) in enumerate(zip(clips, rows, strict=True)):
            written.append({})
            for kind, waveform in self._waveforms(corpus, clip, row).items():
                path = written[-1][kind] = folder / f"{when}_{genres}_{number}_{kind}.wav"
                save(path, waveform, corpus.mel.sample_rate)
                for dashboard in _dashboards(trainer):
                    dashboard.show_sound(f"audio/{genres}_{number}_{kind}", path, _step(trainer))
        return written

    def _waveforms(self, corpus: Corpus, clip: Clip, row: dict[str, Tensor]) -> dict[str, Tensor]:
        n_samples = corpus.clip_samples
        try:
            source = corpus.audio(clip)[None]
        except UserError:  # a corpus without audio
            source = None
        wanted = {"real": row["real"][None], "fake": row["fake"][None]}
        if source is None:
            made = {
                kind: self.from_mel_alone(VocoderInput(mel, corpus.mel, n_samples))
                for kind, mel in wanted.items()
            }
        else:
            made = {"real": source}
            made["fake"] = self.vocoder(
                VocoderInput(wanted["fake"], corpus.mel, source.shape[1], source, wanted["real"])
            )
        return {kind: waveform[0].clamp(-1, 1) for kind, waveform in made.items()}


def translate_clip(
    module: TranslationModule, corpus: Corpus, clip: Clip, direction: str
) -> dict[str, Tensor]:
    """One held-out clip in dB, each (M, F): real, fake; with a way back reconstruction, identity."""
    generators = {way: module.inference_generator(way) for way in module.directions}
    states = translate_states(generators, direction, corpus.mel_db(clip), corpus.mel)
    return {STATES[name]: mel_db for name, mel_db in states.items()}


def _cells(row: dict[str, Tensor], sounds: dict[str, Path]) -> dict[str, Cell]:
    """What a table of held-out clips says of one: errors, pictures and sound."""
    real_db = row["real"]
    errors_db = {
        f"{name} (dB)": float((row[kind] - real_db).abs().mean())
        for name, kind in (
            ("change", "fake"),
            ("cycle error", "reconstruction"),
            ("identity error", "identity"),
        )
        if kind in row
    }
    shown = [name for name in row if name != "identity"]
    return {**errors_db, ", ".join(shown): mel_image([row[name] for name in shown]), **sounds}


def _dashboards(trainer: pl.Trainer) -> Iterator[MediaLogger]:
    return (logger for logger in trainer.loggers if isinstance(logger, MediaLogger))


def _step(trainer: pl.Trainer) -> int:
    return trainer.lightning_module.batches  # type: ignore[return-value]
