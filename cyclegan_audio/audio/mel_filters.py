"""Mel filter banks: the triangles that gather STFT bins into mel bands."""

import math

import numpy as np
import torch
from torch import Tensor

# Slaney's mel scale: steps of 200 / 3 Hz to 1 kHz, then 27 steps for a factor of 6.4.
BREAK_HZ, LINEAR_HZ, LOG_STEP = 1000.0, 200 / 3, math.log(6.4) / 27


def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, f_min_hz: float, f_max_hz: float) -> Tensor:
    """Triangles of unit area on Slaney's mel scale, as `librosa.filters.mel` builds them by default.

    In float32, the same to the bit as torchaudio's. Returns (n_mels, n_fft // 2 + 1) float32.
    """
    corners_hz = _mel_to_hz(torch.linspace(_hz_to_mel(f_min_hz), _hz_to_mel(f_max_hz), n_mels + 2))
    bins_hz = torch.linspace(0, sample_rate // 2, n_fft // 2 + 1)
    distances_hz = corners_hz[:, None] - bins_hz
    widths_hz = corners_hz.diff()[:, None]
    rising, falling = -distances_hz[:-2] / widths_hz[:-1], distances_hz[2:] / widths_hz[1:]
    areas = 2 / (corners_hz[2:] - corners_hz[:-2])
    return torch.minimum(rising, falling).clamp_min(0) * areas[:, None]


def _hz_to_mel(frequency_hz: float) -> float:
    """Slaney's scale: linear to 1 kHz, logarithmic above."""
    if frequency_hz < BREAK_HZ:
        return frequency_hz / LINEAR_HZ
    return BREAK_HZ / LINEAR_HZ + math.log(frequency_hz / BREAK_HZ) / LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    break_mel = BREAK_HZ / LINEAR_HZ
    above_hz = BREAK_HZ * torch.exp(LOG_STEP * (mel - break_mel))
    return torch.where(mel < break_mel, LINEAR_HZ * mel, above_hz)


def zaf_filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Triangles of peak 1, half overlapping, corners rounded to bins: the paper's bank (Zaf-Python).

    Equally spaced on 2595 log10(1 + f / 700) from the first bin above DC to half the sample rate. The DC
    column is zero. Returns (n_mels, n_fft // 2 + 1) float32.
    """
    low = 2595 * math.log10(1 + sample_rate / n_fft / 700)
    high = 2595 * math.log10(1 + sample_rate / 2 / 700)
    corners_mel = low + np.arange(n_mels + 2) * (high - low) / (n_mels + 1)
    corners_hz = 700 * (10 ** (corners_mel / 2595) - 1)
    corners = np.round(corners_hz * n_fft / sample_rate).astype(int)
    bank = np.zeros((n_mels, n_fft // 2 + 1))
    for row, (left, peak, right) in zip(
        bank, zip(corners, corners[1:], corners[2:], strict=False), strict=False
    ):
        row[left : peak + 1] = np.linspace(0, 1, peak - left + 1)
        row[peak : right + 1] = np.linspace(1, 0, right - peak + 1)
    return torch.from_numpy(bank).float()
