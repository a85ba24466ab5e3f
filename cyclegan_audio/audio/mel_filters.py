"""Build mel filter banks (Slaney, Zaf) and apply them on a CPU, in blocks that fit its cache."""

import math

import numpy as np
import torch
from torch import Tensor

# Slaney's mel scale: steps of 200 / 3 Hz to 1 kHz, then 27 steps for a factor of 6.4.
BREAK_HZ, LINEAR_HZ, LOG_STEP = 1000.0, 200 / 3, math.log(6.4) / 27

_BLOCK = 64  # frames; their windowed samples and spectra take 1 MiB. Twice as fast as whole arrays.
_CHUNK = 32 * _BLOCK  # frames; bounds the memory for long waveforms
_GROUPS = 8

BlockFilterBank = list[tuple[slice, Tensor]]  # groups of rows: the columns that they read, and their weights


def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, f_min_hz: float, f_max_hz: float) -> Tensor:
    """Build triangles of unit area on Slaney's mel scale, as `librosa.filters.mel` does by default.

    Bit-identical to torchaudio's in float32. Returns (n_mels, n_fft // 2 + 1) float32.
    """
    corners_hz = _mel_to_hz(torch.linspace(_hz_to_mel(f_min_hz), _hz_to_mel(f_max_hz), n_mels + 2))
    bins_hz = torch.linspace(0, sample_rate // 2, n_fft // 2 + 1)
    distances_hz = corners_hz[:, None] - bins_hz
    widths_hz = corners_hz.diff()[:, None]
    rising, falling = -distances_hz[:-2] / widths_hz[:-1], distances_hz[2:] / widths_hz[1:]
    areas = 2 / (corners_hz[2:] - corners_hz[:-2])
    return torch.minimum(rising, falling).clamp_min(0) * areas[:, None]


def _hz_to_mel(frequency_hz: float) -> float:
    """Convert Hz to Slaney's scale: linear to 1 kHz, logarithmic above."""
    if frequency_hz < BREAK_HZ:
        return frequency_hz / LINEAR_HZ
    return BREAK_HZ / LINEAR_HZ + math.log(frequency_hz / BREAK_HZ) / LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    break_mel = BREAK_HZ / LINEAR_HZ
    above_hz = BREAK_HZ * torch.exp(LOG_STEP * (mel - break_mel))
    return torch.where(mel < break_mel, LINEAR_HZ * mel, above_hz)


def zaf_filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Build the paper's filter bank (Zaf-Python): triangles of peak 1, corners rounded to bins.

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


def block_filter_bank(bank: Tensor) -> BlockFilterBank:
    """Split a bank (M, K) into groups of rows with the columns they read: an eighth of the products."""
    groups = []
    for rows in bank.chunk(_GROUPS):
        bins = rows.any(0).nonzero()[:, 0]
        columns = slice(int(bins[0]), int(bins[-1]) + 1) if len(bins) else slice(0, 1)
        groups.append((columns, rows[:, columns].contiguous()))
    return groups


def block_matmul(bank: BlockFilterBank, values: Tensor, out: Tensor) -> Tensor:
    """Multiply the bank (M, K) by values (K, F) into `out` (M, F), in any memory order; return `out`."""
    n_done = 0
    for columns, weights in bank:
        torch.mm(weights, values[columns], out=out[n_done : n_done + len(weights)])
        n_done += len(weights)
    return out


def mel_magnitudes(frames: Tensor, window: Tensor, epsilon: float, bank: BlockFilterBank) -> Tensor:
    """Convert frames (F, n_fft) float32 to mel magnitudes (M, F): bank times sqrt(|spectrum|^2 + epsilon)."""
    chunks = [_chunk_magnitudes(chunk, window, epsilon, bank) for chunk in frames.split(_CHUNK)]
    return chunks[0] if len(chunks) == 1 else torch.cat(chunks, 1)


def _chunk_magnitudes(frames: Tensor, window: Tensor, epsilon: float, bank: BlockFilterBank) -> Tensor:
    mel = frames.new_empty(sum(len(weights) for _, weights in bank), len(frames))
    return block_matmul(bank, _stft_magnitudes(frames, window, epsilon).T, mel)


def _stft_magnitudes(frames: Tensor, window: Tensor, epsilon: float) -> Tensor:
    """Return (F, n_fft // 2 + 1); numpy is faster than torch on small and on strided arrays."""
    n_fft = len(window)
    magnitude = frames.new_empty(len(frames), n_fft // 2 + 1)
    windowed = frames.new_empty(_BLOCK, n_fft)
    for block, out in zip(frames.split(_BLOCK), magnitude.split(_BLOCK), strict=True):
        spectrum = torch.fft.rfft(torch.mul(block, window, out=windowed[: len(block)]))
        squares, power = torch.view_as_real(spectrum).numpy(), out.numpy()
        np.square(squares, out=squares)
        np.add(squares[..., 0], squares[..., 1], out=power)
        power += epsilon
        np.sqrt(power, out=power)
    return magnitude
