"""What is trained by `train_vocoder`: a vocoder."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.corpus.leakage import Intervals
from cyclegan_audio.data.audio_datamodule import AudioSegmentDataModule
from cyclegan_audio.inference.pair_metadata import FORMAT
from cyclegan_audio.training.runner import Recipe, choose_precision_and_threads
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.vocoders.vocos_training import VocoderGAN


class Probed(nn.Module):
    """The part of the network that learns, for the probe of threads."""

    def __init__(self, mel: MelSpectrogram, config: DictConfig) -> None:
        super().__init__()
        self.network = build("model.network", config)(mel=mel)

    def training_input(self, mels: Tensor) -> Tensor:
        """(B, 1, M, F) to (B, M, F)."""
        return mels[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.network.head(self.network.backbone(x))


class VocoderRecipe(Recipe[VocoderGAN, AudioSegmentDataModule]):
    """All audio of a corpus, and a network that makes sound of its mels."""

    command = VocoderGAN.command
    networks = ("network", "periods", "fft_sizes")

    def assemble(self, cfg: DictConfig) -> tuple[VocoderGAN, AudioSegmentDataModule]:
        """Build the data, then the model for their mel."""
        data: AudioSegmentDataModule = build("data", cfg.data)
        data.setup("fit")
        choose_precision_and_threads(cfg, lambda: Probed(data.mel, cfg.model.network))
        model: VocoderGAN = build("model", cfg.model, mel=data.mel)
        return model, data

    def training_clips(self, data: AudioSegmentDataModule) -> list[Clip]:
        """List the clips of all genres."""
        return data.clips("train")

    def card(
        self, model: VocoderGAN, data: AudioSegmentDataModule, config: dict[str, Any], spans: Intervals
    ) -> dict[str, Any]:
        """Describe the vocoder."""
        return {"format": FORMAT, "mel": data.mel.to_dict(), "config": config, "training_intervals": spans}

    def title(self, cfg: DictConfig, data: AudioSegmentDataModule) -> str:
        """Name the corpus."""
        return f"a vocoder from {cfg.corpus}"

    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """Name the command that uses the run."""
        song = ("song.mp3", "out.wav", "--to", "GENRE")
        return [command_line("translate", "RUN", *song, "--vocoder", f"vocos={run_dir}")]
