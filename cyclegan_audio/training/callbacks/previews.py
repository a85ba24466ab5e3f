"""Callback that writes previews of validation clips: spectrogram grids and audio, to files and loggers."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.audio.io import save
from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.clip_translation import translate_with_cycle
from cyclegan_audio.models.directions import source_and_target
from cyclegan_audio.models.eval_mode import eval_mode
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.reports.figures.spectrograms import cycle_grid, mel_image
from cyclegan_audio.training.loggers import TableCell, media_loggers
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.vocoders import Vocoder, VocoderInput, check_vocoder, make_vocoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATE_LABELS = {
    "real": "real",
    "fake": "fake",
    "rec": "reconstruction",
    "idt": "identity",
}


class Previews(pl.Callback):
    """Write a grid for each direction in `grids/` and audio in `audio/`, every `every_epochs` and at the end.

    The clips are always the first `clips` validation clips of each genre. `vocoder` makes the audio from the
    mel and the clip's source audio; without audio in the corpus Griffin-Lim makes it from the mel alone.
    """

    def __init__(self, run_dir: str, vocoder: Vocoder, every_epochs: int = 5, clips: int = 3) -> None:
        check_number("callbacks.previews.every_epochs", every_epochs, low=1, integer=True)
        check_number("callbacks.previews.clips", clips, low=1, integer=True)
        check_vocoder("callbacks.previews.vocoder", vocoder)
        self.run_dir = Path(run_dir)
        self.every_epochs = every_epochs
        self.clips = clips
        self.vocoder = vocoder
        self.griffin_lim = make_vocoder("griffin_lim")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if (trainer.current_epoch + 1) % self.every_epochs == 0:
            self.write_previews(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if trainer.current_epoch % self.every_epochs or trainer.should_stop:
            self.write_previews(trainer, pl_module, trainer.current_epoch)

    def write_previews(self, trainer: pl.Trainer, module: TranslationModule, epoch: int) -> None:
        """Write and log images, audio and tables of the epoch."""
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        with torch.no_grad(), torch.random.fork_rng(), eval_mode(module):
            for direction in module.directions:
                source, target = source_and_target(data.genres, direction)
                clips = source_and_target(data.clips("val"), direction)[0][: self.clips]
                rows = [translate_clip(module, data.corpus, clip, direction) for clip in clips]
                when, name = f"epoch_{epoch:04d}", "_to_".join(direction)
                title = f"{source} to {target}, after {module.batches} batches"
                self._write_grid(trainer, cycle_grid(rows, data.mel, title), when, name, title)
                genres = f"{slug(source)}_to_{slug(target)}"
                sounds = self._write_audio(trainer, data.corpus, clips, rows, when, genres)
                table = [
                    {"epoch": epoch, "clip": f"{clip.source} at {clip.start_s:g} s", "to": target}
                    | _table_cells(row, files)
                    for clip, row, files in zip(clips, rows, sounds, strict=True)
                ]
                for logger in media_loggers(trainer):
                    logger.add_table(f"clips/{name}", table, _step(trainer))

    def _write_grid(self, trainer: pl.Trainer, figure: "Figure", when: str, name: str, title: str) -> None:
        folder = self.run_dir / "grids"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{when}_{name}"
        with atomic_path(folder / f"{stem}.png") as part:
            figure.savefig(part, format="png", dpi=80)
        for logger in media_loggers(trainer):
            logger.add_image_file(f"grids/{name}", folder / f"{stem}.png", title, _step(trainer))

    def _write_audio(
        self,
        trainer: pl.Trainer,
        corpus: Corpus,
        clips: list[Clip],
        rows: list[dict[str, Tensor]],
        when: str,
        genres: str,
    ) -> list[dict[str, Path]]:
        """Write WAV files; return those of each clip by kind."""
        folder = self.run_dir / "audio"
        folder.mkdir(parents=True, exist_ok=True)
        written: list[dict[str, Path]] = []
        for number, (clip, row) in enumerate(zip(clips, rows, strict=True)):
            written.append({})
            for kind, waveform in self._waveforms(corpus, clip, row).items():
                path = written[-1][kind] = folder / f"{when}_{genres}_{number}_{kind}.wav"
                save(path, waveform, corpus.mel.sample_rate)
                for logger in media_loggers(trainer):
                    logger.add_audio_file(f"audio/{genres}_{number}_{kind}", path, _step(trainer))
        return written

    def _waveforms(self, corpus: Corpus, clip: Clip, row: dict[str, Tensor]) -> dict[str, Tensor]:
        n_samples = corpus.clip_samples
        try:
            source = corpus.audio(clip)[None]
        except UserError:  # a corpus without audio
            source = None
        mels = {"real": row["real"][None], "fake": row["fake"][None]}
        if source is None:
            waveforms = {
                kind: self.griffin_lim(VocoderInput(mel, corpus.mel, n_samples)) for kind, mel in mels.items()
            }
        else:
            waveforms = {"real": source}
            waveforms["fake"] = self.vocoder(
                VocoderInput(mels["fake"], corpus.mel, source.shape[1], source, mels["real"])
            )
        return {kind: waveform[0].clamp(-1, 1) for kind, waveform in waveforms.items()}


def translate_clip(
    module: TranslationModule, corpus: Corpus, clip: Clip, direction: str
) -> dict[str, Tensor]:
    """Translate a clip; each (M, F) in dB: real, fake; with both directions reconstruction and identity."""
    generators = {name: module.inference_generator(name) for name in module.directions}
    mels_db = translate_with_cycle(generators, direction, corpus.mel_db(clip), corpus.mel)
    return {STATE_LABELS[name]: mel_db for name, mel_db in mels_db.items()}


def _table_cells(row: dict[str, Tensor], sounds: dict[str, Path]) -> dict[str, TableCell]:
    """Return the table cells of a clip: errors, an image of its mels, audio files."""
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
    names = [name for name in row if name != "identity"]
    return {**errors_db, ", ".join(names): mel_image([row[name] for name in names]), **sounds}


def _step(trainer: pl.Trainer) -> int:
    return trainer.lightning_module.batches  # type: ignore[return-value]
