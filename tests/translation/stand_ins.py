"""Generators that do one thing, pairs of them, and music for them."""

import math
from collections.abc import Callable

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.norm import InstanceNorm

WINDOWS = {"hifi": 344, "paper": 189}


class Change(nn.Module):
    """A generator that does one thing to its mel and insists on its multiple of frames."""

    frame_multiple = 4

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, mel: Tensor) -> Tensor:
        assert mel.shape[-1] % self.frame_multiple == 0
        assert mel.abs().max() <= 1
        return self.change(mel)


def pair(preset: str, change: Callable[[Tensor], Tensor]) -> TranslationModel:
    """To "same" by the identity, to "other" by `change`."""
    mel: MelSpectrogram = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
    return TranslationModel(
        ("other", "same"), mel, {"ab": Change(lambda x: x), "ba": Change(change)}, WINDOWS[preset], {}
    )


def lufs(wave: Tensor) -> float:
    meter = LoudnessMeter(44100)
    meter.push(wave)
    return meter.integrated_lufs()


def quieter(mel: Tensor) -> Tensor:
    return mel - 0.1


def music(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Tensor:
    """Tones and noise, band-limited to 4 kHz or less, (C, T)."""
    generator = torch.Generator().manual_seed(seed)
    n_samples = int(seconds * rate)
    spectrum = torch.fft.rfft(torch.randn(channels, n_samples, generator=generator))
    spectrum[:, int(min(4000, 0.35 * rate) * seconds) :] = 0
    wave = torch.fft.irfft(spectrum, n_samples)
    t = torch.arange(n_samples) / rate
    return 0.05 * wave / wave.std() + 0.1 * torch.sin(2 * math.pi * 330 * t)


class Normed(Change):
    """A generator whose output depends on the loudness of its window."""

    def __init__(self) -> None:
        super().__init__(lambda x: x)
        self.norm = InstanceNorm()

    def forward(self, mel: Tensor) -> Tensor:
        return (mel + 0.1 * self.norm(mel)).clamp(-1, 1)
