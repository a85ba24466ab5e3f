"""Provide simple generators, models of them, and test music."""

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
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.streaming import READ_SAMPLES, translate_live
from cyclegan_audio.translation.translator import Translator

WINDOWS = {"hifi": 344, "paper": 189}


class FunctionGenerator(nn.Module):
    """A generator that applies a function to its mel and checks its multiple of frames."""

    frame_multiple = 4

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, mel: Tensor) -> Tensor:
        assert mel.shape[-1] % self.frame_multiple == 0
        assert mel.abs().max() <= 1
        return self.function(mel)


def pair(preset: str, function: Callable[[Tensor], Tensor]) -> TranslationModel:
    """Return a model that translates to "same" by the identity and to "other" by `function`."""
    mel: MelSpectrogram = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
    return TranslationModel(
        ("other", "same"),
        mel,
        {"ab": FunctionGenerator(lambda x: x), "ba": FunctionGenerator(function)},
        WINDOWS[preset],
        {},
    )


def translated_mel(translator: Translator, mel_db: Tensor, to: str) -> Tensor:
    """Translate a mel (M, F) in dB, each window by its own statistics."""
    generator = translator.windowed_generator(to, PieceStatistics(0, 0.0, False, torch.ones(1, 1)))
    with torch.no_grad():
        return generator.add_change(mel_db, generator.stream().push(mel_db, last=True))


def live(translator: Translator, wave: Tensor, rate: int) -> Tensor:
    """Translate a waveform (C, T) to "other" as a live stream."""
    blocks = translate_live(translator, wave.split(READ_SAMPLES, 1), rate, len(wave), "other")
    return torch.cat(list(blocks), 1)


def lufs(wave: Tensor) -> float:
    meter = LoudnessMeter(44100)
    meter.push(wave)
    return meter.integrated_lufs()


def quieter(mel: Tensor) -> Tensor:
    return mel - 0.1


def music(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Tensor:
    """Return tones and noise, band-limited to 4 kHz or less, (C, T)."""
    generator = torch.Generator().manual_seed(seed)
    n_samples = int(seconds * rate)
    spectrum = torch.fft.rfft(torch.randn(channels, n_samples, generator=generator))
    spectrum[:, int(min(4000, 0.35 * rate) * seconds) :] = 0
    wave = torch.fft.irfft(spectrum, n_samples)
    t = torch.arange(n_samples) / rate
    return 0.05 * wave / wave.std() + 0.1 * torch.sin(2 * math.pi * 330 * t)


class InstanceNormGenerator(FunctionGenerator):
    """A generator whose output depends on the statistics of its window."""

    def __init__(self) -> None:
        super().__init__(lambda x: x)
        self.norm = InstanceNorm()

    def forward(self, mel: Tensor) -> Tensor:
        return (mel + 0.1 * self.norm(mel)).clamp(-1, 1)
