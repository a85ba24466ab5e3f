"""Pretrained: a published BigVGAN-v2, loaded only where somebody asks for it."""

import dataclasses
import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput
from cyclegan_audio.vocoders.bigvgan.loading import check_mel, find, load, read_config
from cyclegan_audio.vocoders.bigvgan.network import BigVGAN

NEPER_PER_DB = math.log(10) / 20


@dataclasses.dataclass(frozen=True)
class BigVGANVocoder(Vocoder):
    """A published BigVGAN makes the waveform from the mel alone.

    Args:
        checkpoint: a folder with `config.json` and `bigvgan_generator.pt`, the file, or OWNER/MODEL, which is
            fetched from the public model hub when it is first used.
    """

    checkpoint: str | None

    def check(self, mel: MelSpectrogram) -> None:
        """Find and load the network.

        Raises:
            UserError: there is none, it was made for another mel, or it cannot be loaded.
        """
        self._network(mel, torch.device("cpu"))

    def _network(self, mel: MelSpectrogram, device: torch.device) -> BigVGAN:
        if not self.checkpoint:
            raise UserError("name a published vocoder: bigvgan=FOLDER or bigvgan=OWNER/MODEL")
        return _loaded(self.checkpoint, mel, device)

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Make sound from the mel alone; returns (B, n_samples)."""
        network = self._network(inputs.mel, inputs.target_db.device)
        waveform = network(inputs.target_db * NEPER_PER_DB)[:, : inputs.n_samples]
        return F.pad(waveform, (0, inputs.n_samples - waveform.shape[-1]))


@lru_cache(maxsize=2)
def _loaded(checkpoint: str, mel: MelSpectrogram, device: torch.device) -> BigVGAN:
    config_file, weights = find(checkpoint)
    config = read_config(config_file)
    check_mel(config, mel, checkpoint)
    return load(config, weights).to(device)
