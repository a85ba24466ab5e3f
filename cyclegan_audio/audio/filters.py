"""Mel filter banks: the triangles that gather STFT bins into mel bands."""

import math

import numpy as np
import torch
import torchaudio
from torch import Tensor


def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, f_min_hz: float, f_max_hz: float) -> Tensor:
    """Triangles of unit area on Slaney's mel scale, as `librosa.filters.mel` builds them by default.

    Returns (n_mels, n_fft // 2 + 1) float32.
    """
    bank = torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, f_min_hz, f_max_hz, n_mels, sample_rate, norm="slaney", mel_scale="slaney"
    )
    return bank.T.contiguous()


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
