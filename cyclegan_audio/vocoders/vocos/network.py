"""The network: a mel to a complex STFT by Vocos's backbone and an ISTFT head, and so to a waveform."""

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders.base import mel_to_magnitude
from cyclegan_audio.vocoders.hybrid import steady_phase

MAX_LOG_GAIN = 3.0  # a bin may differ from the smooth start by 26 dB


class VocosNetwork(nn.Module):
    """Mel to waveform in the manner of Vocos (Siuzdak 2023, arXiv 2306.00814, section 3).

    The backbone is the published one (ConvNeXt blocks, one vector a frame). The head differs: it says by how
    much each bin's magnitude differs from a smooth magnitude with the given mel, and by how much its phase
    differs from that of a steady tone at the bin's centre. An untrained network so sounds dull, but has the
    mel already. The ISTFT is the mel's own (`MelSpectrogram.istft`), so every definition of a mel will do.

    Args:
        mel: the definition of the mels that it takes.
        dim: width of the backbone.
        intermediate_dim: width inside its blocks.
        n_blocks: ConvNeXt blocks.
        magnitude_iterations: updates from mel to the smooth magnitude (see `mel_to_magnitude`).

    Raises:
        UserError: the package `vocos` is not installed.
    """

    def __init__(
        self, mel: MelSpectrogram, dim: int, intermediate_dim: int, n_blocks: int, magnitude_iterations: int
    ) -> None:
        super().__init__()
        self.mel = mel
        self.magnitude_iterations = magnitude_iterations
        self.backbone = vocos_part("models.VocosBackbone")(mel.n_mels, dim, intermediate_dim, n_blocks)
        self.head = nn.Linear(dim, 2 * (mel.n_fft // 2 + 1))
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def spectrum(self, mel_db: Tensor) -> Tensor:
        """(B, n_mels, F) in dB to the complex STFT (B, n_fft // 2 + 1, F)."""
        scaled = self.mel.normalise(mel_db, (self.mel.min_db, self.mel.max_db))
        features = self.head(self.backbone(scaled)).transpose(1, 2).float()
        log_gain, turn = features.chunk(2, dim=1)
        with torch.no_grad(), torch.autocast(mel_db.device.type, enabled=False):
            smooth = mel_to_magnitude(self.mel.db_to_mel(mel_db), self.mel, self.magnitude_iterations)
        magnitude = smooth * torch.exp(MAX_LOG_GAIN * torch.tanh(log_gain / MAX_LOG_GAIN))
        return torch.polar(magnitude, turn + steady_phase(smooth, self.mel))

    def forward(self, mel_db: Tensor, n_samples: int) -> Tensor:
        """(B, n_mels, F) in dB to the waveform (B, n_samples)."""
        return self.mel.istft(self.spectrum(mel_db), n_samples)


def vocos_part(name: str) -> type[nn.Module]:
    """A class of the published package, by module and name.

    Raises:
        UserError: the package is not installed, or torchaudio does not load.
    """
    module, _, part = name.rpartition(".")
    torchaudio_functional()  # the package imports torchaudio
    try:
        from importlib import import_module

        return getattr(import_module(f"vocos.{module}"), part)
    except ImportError as error:
        raise UserError(
            "the neural vocoder needs the package vocos: pip install 'cyclegan-audio[vocos]'"
        ) from error
