"""Provide mel presets, test waveforms, and the distance of a waveform from a mel."""

import math

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR

PRESETS = ("hifi", "paper")


def preset(name: str) -> MelSpectrogram:
    return instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{name}.yaml"))


def chords(mel: MelSpectrogram, seconds: float = 1.5) -> torch.Tensor:
    """Return two decaying chords between 150 Hz and about 3 kHz, (1, T)."""
    t = torch.arange(int(seconds * mel.sample_rate) // mel.hop_length * mel.hop_length) / mel.sample_rate
    wave = torch.zeros_like(t)
    for start, notes in ((0.0, (220, 277, 330)), (seconds / 2, (196, 247, 294))):
        elapsed_s = (t - start).clamp_min(0)
        for hz in notes:
            for harmonic in range(1, 8):
                tone = torch.sin(2 * math.pi * hz * harmonic * elapsed_s) * torch.exp(-3 * elapsed_s)
                wave = wave + tone / harmonic**2
    return wave[None] * 0.1


def hats(mel: MelSpectrogram, n_samples: int) -> torch.Tensor:
    """Return bursts of noise above 6 kHz every 0.15 s, (1, T)."""
    rng = np.random.default_rng(0)
    noise = np.fft.rfft(rng.standard_normal(n_samples))
    noise[: int(6000 / mel.sample_rate * n_samples)] = 0
    elapsed_s = np.arange(n_samples) / mel.sample_rate % 0.15
    return torch.from_numpy(np.fft.irfft(noise, n_samples) * np.exp(-elapsed_s / 0.03) * 0.1).float()[None]


def bass(mel: MelSpectrogram, n_samples: int, hz: float = 55.0) -> torch.Tensor:
    t = torch.arange(n_samples) / mel.sample_rate
    return (0.3 * torch.sin(2 * math.pi * hz * t) * torch.exp(-t))[None]


def distance_db(mel: MelSpectrogram, waveform: torch.Tensor, target_db: torch.Tensor) -> float:
    """Return the mean absolute difference of the mels in dB."""
    return float((mel.mel_db(waveform) - target_db).abs().mean())
