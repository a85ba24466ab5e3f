"""Recipes of `train` and `train_vocoder`: model, data, metadata and messages of each command."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl
from omegaconf import DictConfig
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.corpus.leakage import Intervals, merge_intervals, overlaps_training
from cyclegan_audio.data.audio_datamodule import AudioSegmentDataModule
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.inference.translation_model import METADATA_FORMAT, make_metadata
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.directions import DOMAINS
from cyclegan_audio.models.networks.whitening import neutral_moments
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.autotune import choose_precision_and_threads
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.training.head_start import AUTO, choose_start, load_networks
from cyclegan_audio.training.resume import TrainingCompleteError, trusted_packages
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.vocoders.vocos_training import VocoderGAN

Model = TypeVar("Model", bound=BaseModule)
Data = TypeVar("Data", bound=pl.LightningDataModule)


class Recipe(ABC, Generic[Model, Data]):
    """Model and data of a training command.

    Attributes:
        command: the command.
        networks: parts of `model` that a resumed run keeps; the first one identifies the command's runs.
    """

    command: str
    networks: tuple[str, ...]

    @abstractmethod
    def assemble(self, cfg: DictConfig) -> tuple[Model, Data]:
        """Build and set up model and data; choose threads and precision in `cfg`."""

    @abstractmethod
    def training_clips(self, data: Data) -> Iterable[Clip]:
        """List the training clips."""

    @abstractmethod
    def metadata(
        self, model: Model, data: Data, config: dict[str, Any], intervals: Intervals
    ) -> dict[str, Any]:
        """Describe the model in plain values, so that a checkpoint can be used without the run."""

    @abstractmethod
    def title(self, cfg: DictConfig, data: Data) -> str:
        """Describe the run in a few words: genres or task, and corpus."""

    @abstractmethod
    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """List the commands that use the run."""


class TranslationRecipe(Recipe[TranslationModule, UnpairedMelDataModule]):
    """A translation model of two genres of a corpus."""

    command = TranslationModule.command
    networks = ("generator", "discriminator", "ema_decay", "contrast", "extra_losses")

    def assemble(self, cfg: DictConfig) -> tuple[TranslationModule, UnpairedMelDataModule]:
        """Build the model, then the data with the generators' `frame_multiple`; check that they fit.

        A new run begins with the networks of `init_from`, and gets the moments of its training clips if the
        model needs them; a resumed one has both in its checkpoint.
        """
        if cfg.get("early_stop") and not (cfg.get("callbacks") or {}).get("validation"):
            raise UserError("early_stop=true needs callbacks.validation, which computes the held-out score")
        choose_precision_and_threads(cfg, build("model.generator", cfg.model.generator))
        model: TranslationModule = build("model", cfg.model)
        if cfg.get("pretrain_minutes") and not list(model.parameters()):
            raise UserError("an equaliser is not trained; leave out pretrain_minutes=")
        if cfg.resume is not None and not list(model.parameters()):
            raise TrainingCompleteError(
                f"nothing is left to train: {cfg.resume} is a finished equaliser; to fit one "
                "to other clips, start a new run"
            )
        data: UnpairedMelDataModule = build("data", cfg.data, frame_multiple=model.frame_multiple)
        data.setup("fit")
        if note := data.describe_varispeed():
            rank_zero_print(note)
        if "varispeed" in cfg.data:  # not in older runs
            cfg.data.varispeed = data.semitones  # a resumed run keeps it
        n_mels = data.mel.n_mels
        model.check_windows(n_mels, data.corpus.clip_frames, data.crop_frames)
        model.use_mel(data.mel)
        self.heard_before = self.load_networks(cfg, model, data) if cfg.resume is None else {}
        measured = cfg.resume is None and model.needs_moments
        model.set_moments(
            {
                domain: data.train_data.band_moments(domain) if measured else neutral_moments(n_mels)
                for domain in DOMAINS
            }
        )
        return model, data

    def load_networks(
        self, cfg: DictConfig, model: TranslationModule, data: UnpairedMelDataModule
    ) -> Intervals:
        """Load the networks of `init_from`, in which `auto` is replaced; return the times of their clips."""
        if cfg.init_from == AUTO:
            cfg.init_from = choose_start(cfg, data.mel)
        if cfg.init_from is None:
            return {}
        heard = load_networks(model, cfg.init_from, data.genres, data.mel, trusted_packages(cfg))
        val = [clip for clips in data.clips("val") for clip in clips]
        if n_heard := sum(overlaps_training(clip, heard) for clip in val):
            rank_zero_print(
                f"warning: {cfg.init_from} was trained on {n_heard} of the {len(val)} validation clips, so "
                "the held-out score is too good; evaluate leaves such clips out"
            )
        return heard

    def training_clips(self, data: UnpairedMelDataModule) -> list[Clip]:
        """List the training clips of both genres."""
        return [clip for clips in data.clips("train") for clip in clips]

    def metadata(
        self,
        model: TranslationModule,
        data: UnpairedMelDataModule,
        config: dict[str, Any],
        intervals: Intervals,
    ) -> dict[str, Any]:
        """Describe the translation model."""
        heard = merge_intervals(self.heard_before, intervals)
        metadata = make_metadata(data.genres, data.mel, data.window_frames, config, heard, model.directions)
        return metadata | {"normalisation": data.corpus.normalisation.to_dict()}

    def title(self, cfg: DictConfig, data: UnpairedMelDataModule) -> str:
        """Name the genres and the corpus."""
        return f"{' and '.join(data.genres)} from {cfg.corpus}"

    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """List the commands that translate with the run and evaluate it."""
        return [
            command_line("translate", run_dir, "song.mp3", "out.wav", "--to", cfg.genre_pair.b),
            command_line("evaluate", run_dir),
        ]


class ThreadProbe(nn.Module):
    """The trained part of a vocoder's network, to time threads with."""

    def __init__(self, mel: MelSpectrogram, config: DictConfig) -> None:
        super().__init__()
        self.network = build("model.network", config)(mel=mel)

    def training_input(self, mels: Tensor) -> Tensor:
        """Convert (B, 1, M, F) to (B, M, F)."""
        return mels[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.network.head(self.network.backbone(x))


class VocoderRecipe(Recipe[VocoderGAN, AudioSegmentDataModule]):
    """A vocoder for all audio of a corpus."""

    command = VocoderGAN.command
    networks = ("network", "periods", "fft_sizes")

    def assemble(self, cfg: DictConfig) -> tuple[VocoderGAN, AudioSegmentDataModule]:
        """Build the data, then the model for their mel; check that they fit."""
        data: AudioSegmentDataModule = build("data", cfg.data)
        data.setup("fit")
        choose_precision_and_threads(cfg, lambda: ThreadProbe(data.mel, cfg.model.network))
        model: VocoderGAN = build("model", cfg.model, mel=data.mel)
        model.check_segments(data.segment_frames * data.mel.hop_length)
        return model, data

    def training_clips(self, data: AudioSegmentDataModule) -> list[Clip]:
        """List the training clips of all genres."""
        return data.clips("train")

    def metadata(
        self, model: VocoderGAN, data: AudioSegmentDataModule, config: dict[str, Any], intervals: Intervals
    ) -> dict[str, Any]:
        """Describe the vocoder."""
        return {
            "format": METADATA_FORMAT,
            "mel": data.mel.to_dict(),
            "config": config,
            "training_intervals": intervals,
        }

    def title(self, cfg: DictConfig, data: AudioSegmentDataModule) -> str:
        """Name the corpus."""
        return f"a vocoder from {cfg.corpus}"

    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """List the command that translates with the vocoder."""
        song = ("song.mp3", "out.wav", "--to", "GENRE")
        return [command_line("translate", "RUN", *song, "--vocoder", f"vocos={run_dir}")]
