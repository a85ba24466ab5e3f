"""Invert the mel: from bands to STFT bins, and to a waveform by rounds of mel consistency."""

from functools import lru_cache

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.mel_filters import BlockFilterBank, block_filter_bank, block_matmul

TINY_POWER = 1e-24  # a bin with less power has no phase

Matrix = Tensor | BlockFilterBank  # blocks on a CPU: at most two filters overlap at a bin, the rest are zeros


@lru_cache(maxsize=8)
def _mel_to_bins_matrix(mel: MelSpectrogram, device: torch.device) -> Matrix:
    """Return the transposed filter bank with rows that sum to 1; uncovered bins copy the nearest row."""
    weights = mel.filter_bank(device).T
    total = weights.sum(1, keepdim=True)
    covered = torch.nonzero(total[:, 0] > 0)[:, 0]
    bins = torch.arange(len(weights), device=device)
    nearest = covered[(bins[:, None] - covered[None]).abs().argmin(1)]
    return _matrix((weights / total.clamp_min(1e-20))[nearest])


@lru_cache(maxsize=8)
def _uncovered_bins(mel: MelSpectrogram, device: torch.device) -> Tensor:
    """Return the indices of the bins that no filter covers."""
    return torch.nonzero(mel.filter_bank(device).T.sum(1) == 0)[:, 0]


@lru_cache(maxsize=8)
def _bins_to_mel_matrix(mel: MelSpectrogram, device: torch.device) -> Matrix:
    return _matrix(mel.filter_bank(device))


def _matrix(values: Tensor) -> Matrix:
    return block_filter_bank(values) if values.device.type == "cpu" else values


def _multiply(matrix: Matrix, values: Tensor) -> Tensor:
    """Multiply (R, K) by (B, K, F), in the memory order of the values."""
    if isinstance(matrix, Tensor):
        return torch.matmul(matrix, values)
    n_rows = sum(len(weights) for _, weights in matrix)
    batch, _, n_frames = values.shape
    if values.stride(1) == 1:
        out = values.new_empty(batch, n_frames, n_rows).transpose(1, 2)
    else:
        out = values.new_empty(batch, n_rows, n_frames)
    for item, out_item in zip(values, out, strict=True):
        block_matmul(matrix, item, out_item)
    return out


def bins_to_mel(magnitude: Tensor, mel: MelSpectrogram) -> Tensor:
    """Convert magnitudes by bin (B, n_fft // 2 + 1, F) to the linear mel (B, n_mels, F)."""
    return _multiply(_bins_to_mel_matrix(mel, magnitude.device), magnitude)


def mel_to_bins(values: Tensor, mel: MelSpectrogram) -> Tensor:
    """Interpolate values by band (B, n_mels, F) to values by bin (B, n_fft // 2 + 1, F).

    A bin gets the weighted mean of the bands that cover it; a bin that no filter covers gets the value of the
    nearest covered bin.
    """
    return _multiply(_mel_to_bins_matrix(mel, values.device), values)


def mel_correction(target: Tensor, magnitude: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute factors by bin that bring the mel of `magnitude` (B, K, F) near `target` (B, n_mels, F).

    The multiplicative update W^T(m / W x) / W^T 1, which reduces the Kullback-Leibler divergence (Lee and
    Seung 2001, eq. 5); both inputs are linear. Bins that no filter covers keep their value, as the mel cannot
    check them; so does what lies below the floor where the target is at the floor.
    """
    current = bins_to_mel(magnitude, mel).clamp_min_(mel.floor)
    factors = mel_to_bins(current.reciprocal_().mul_(target).clamp_(1e-3, 1e3), mel)
    return factors.index_fill_(1, _uncovered_bins(mel, target.device), 1.0)


def mel_to_magnitude(target: Tensor, mel: MelSpectrogram, iterations: int) -> Tensor:
    """Compute a non-negative |STFT| (B, n_fft // 2 + 1, F) whose mel is `target` (B, n_mels, F), linear.

    Applies `mel_correction` to a smooth start, so details that the mel does not define stay smooth. Bins that
    no filter covers are 0.
    """
    bank = mel.filter_bank(target.device)
    magnitude = mel_to_bins((target / bank.sum(1)[:, None]).contiguous(), mel)
    magnitude.index_fill_(1, _uncovered_bins(mel, target.device), 0.0)
    for _ in range(iterations):
        magnitude.mul_(mel_correction(target, magnitude, mel))
    return to_frame_order(magnitude)


def to_frame_order(values: Tensor) -> Tensor:
    """Return (B, K, F) in the memory order of an STFT: frame after frame."""
    return values.transpose(1, 2).contiguous().transpose(1, 2)


def fast_abs(spectrum: Tensor) -> Tensor:
    """Return |spectrum|, faster than `abs`, which guards against overflow."""
    return _power(spectrum).sqrt_()


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)


def scale_(spectrum: Tensor, factors: Tensor) -> Tensor:
    """Multiply a complex spectrum (B, K, F) by real factors of that shape, in place."""
    spectrum.real.mul_(factors)
    spectrum.imag.mul_(factors)
    return spectrum


def set_magnitude_(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Set the magnitude of a complex spectrum (B, K, F) in place and keep its phase; zeros stay 0."""
    return scale_(spectrum, _power(spectrum).add_(TINY_POWER).rsqrt_().mul_(magnitude))


def mel_consistent_waveform(
    spectrum: Tensor, target: Tensor, mel: MelSpectrogram, n_samples: int, rounds: int, momentum: float
) -> Tensor:
    """Compute a waveform (B, n_samples) near `spectrum` whose mel is near `target`; phases change too.

    A round corrects the magnitudes by `mel_correction`, then computes the waveform and its STFT. Bins that no
    filter covers keep their values, as the mel would not limit what accumulates there.

    Args:
        spectrum: complex STFT (B, K, F), which is overwritten.
        target: the mel to reach (B, n_mels, F), linear.
        mel: the definition of the STFT.
        n_samples: length of the waveform.
        rounds: number of rounds; 0 only corrects the magnitudes once.
        momentum: share of a round's change that is added on top of it.
    """
    previous = spectrum.clone()
    uncovered = _uncovered_bins(mel, spectrum.device)
    fixed = spectrum[:, uncovered]
    for _ in range(rounds):
        corrected = scale_(spectrum, mel_correction(target, fast_abs(spectrum), mel))
        consistent = mel.stft(mel.istft(corrected, n_samples, hann_synthesis=True))
        consistent.index_copy_(1, uncovered, fixed)
        start, end = torch.view_as_real(previous), torch.view_as_real(consistent)
        spectrum = torch.view_as_complex(torch.lerp(start, end, 1 + momentum))
        previous = consistent
    corrected = scale_(spectrum, mel_correction(target, fast_abs(spectrum), mel))
    return mel.istft(corrected, n_samples, hann_synthesis=True)
