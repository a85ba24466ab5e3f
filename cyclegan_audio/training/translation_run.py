"""What is trained by `train`: a translation model."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cyclegan_audio.config import build
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.corpus.leakage import Intervals
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.inference.pair_metadata import make_card
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.runner import Recipe, choose_precision_and_threads
from cyclegan_audio.utils.hints import command_line


class TranslationRecipe(Recipe[TranslationModule, UnpairedMelDataModule]):
    """Two genres of a corpus, and a model that translates between them."""

    command = TranslationModule.command
    networks = ("generator", "discriminator", "ema_decay", "contrast", "extra_losses")

    def assemble(self, cfg: DictConfig) -> tuple[TranslationModule, UnpairedMelDataModule]:
        """Build the model, then the data, whose frames the generators say."""
        choose_precision_and_threads(cfg, build("model.generator", cfg.model.generator))
        model: TranslationModule = build("model", cfg.model)
        data: UnpairedMelDataModule = build("data", cfg.data, frame_multiple=model.frame_multiple)
        data.setup("fit")
        return model, data

    def training_clips(self, data: UnpairedMelDataModule) -> list[Clip]:
        """List the clips of both genres."""
        return [clip for clips in data.clips("train") for clip in clips]

    def card(
        self, model: TranslationModule, data: UnpairedMelDataModule, config: dict[str, Any], spans: Intervals
    ) -> dict[str, Any]:
        """Describe the pair."""
        card = make_card(data.genres, data.mel, data.window_frames, config, spans, model.directions)
        return card | {"normalisation": data.corpus.normalisation.to_dict()}

    def title(self, cfg: DictConfig, data: UnpairedMelDataModule) -> str:
        """Name the genres and the corpus."""
        return f"{' and '.join(data.genres)} from {cfg.corpus}"

    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """Name the commands that use the run."""
        return [
            command_line("translate", run_dir, "song.mp3", "out.wav", "--to", cfg.genre_pair.b),
            command_line("evaluate", run_dir),
        ]
