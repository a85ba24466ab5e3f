"""Compute statistics of mel bands over time: features for the genre classifiers and for distances."""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MODULATION_HZ = (1.0, 2.0, 4.0, 8.0, 16.0)  # edges of the bands of the modulation spectrum
N_GROUPS = 32  # of neighbouring bands, whose covariances are computed
N_COVARIANCES = N_GROUPS * (N_GROUPS + 1)
CLIP_AT = 3.0  # standard deviations; deeper silence is not informative
PERCENTILES = (0.1, 0.5, 0.9)
BLOCK = 256  # clips at once: bounds memory
STATISTIC_NAMES = (
    "mean",
    "spread",
    *(f"percentile {100 * p:g}" for p in PERCENTILES),
    "mean step from frame to frame",
    "spread of steps",
    *(f"modulation {low:g}-{high:g} Hz" for low, high in pairwise(MODULATION_HZ)),
)


def band_statistics(mels_db: Tensor, frame_s: float) -> Tensor:
    """Compute statistics of each band of mels in dB (N, M, F), of any level: (N, len(STATISTIC_NAMES), M).

    Each clip is standardised first, which removes level and contrast. For each band: mean, standard
    deviation and percentiles over time, mean and standard deviation of |steps| from frame to frame, and the
    logarithm of the power of its modulation in octaves from 1 to 16 Hz.
    """
    return torch.cat([_block_statistics(block, frame_s) for block in mels_db.split(BLOCK)])


def _block_statistics(mels_db: Tensor, frame_s: float) -> Tensor:
    x = standardise(mels_db)
    steps = x.diff(dim=2).abs()
    moments = [x.mean(2), x.std(2), *_percentiles(x), steps.mean(2), steps.std(2)]
    return torch.stack([*moments, *modulation_log_power(x, frame_s)], 1)


def _percentiles(x: Tensor) -> list[Tensor]:
    """Compute percentiles over time as `torch.quantile` does; numpy sorts nine times as fast on a CPU."""
    ordered = torch.from_numpy(np.sort(x.cpu().numpy(), axis=2)).to(x.device)
    positions = [p * (x.shape[2] - 1) for p in PERCENTILES]
    return [torch.lerp(ordered[..., int(p)], ordered[..., math.ceil(p)], p % 1) for p in positions]


def band_features(mels_db: Tensor, frame_s: float) -> Tensor:
    """Concatenate `band_statistics` and `band_covariances` of mels in dB (N, M, F) to features (N, D)."""
    covariances = [band_covariances(standardise(block)) for block in mels_db.split(BLOCK)]
    return torch.cat([band_statistics(mels_db, frame_s).flatten(1), torch.cat(covariances)], 1)


def standardise(mels_db: Tensor) -> Tensor:
    """Standardise each clip of (N, M, F) to mean 0 and standard deviation 1, clipped at 3."""
    centred = mels_db - mels_db.mean((1, 2), keepdim=True)
    scale = centred.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-3)
    return (centred / scale).clamp(-CLIP_AT, CLIP_AT)


def modulation_log_power(x: Tensor, frame_s: float) -> list[Tensor]:
    """Compute the log power of each modulation octave from 1 to 16 Hz in each band: four tensors (N, M)."""
    n_frames = x.shape[2]
    power = torch.fft.rfft(x - x.mean(2, keepdim=True)).abs().square() / n_frames**2
    modulation_hz = torch.fft.rfftfreq(n_frames, frame_s)
    bands = []
    for low, high in pairwise(MODULATION_HZ):
        in_octave = (modulation_hz >= low) & (modulation_hz < high)
        bands.append((power[:, :, in_octave].sum(2) + 1e-6).log())
    return bands


def band_covariances(x: Tensor) -> Tensor:
    """Compute covariances over time between bands of (N, M, F): (N, N_COVARIANCES).

    Bands are averaged in 32 groups of neighbours. Covariances of the groups come first, then those of their
    steps from frame to frame (upper triangles, row by row).
    """
    groups = F.adaptive_avg_pool2d(x, (N_GROUPS, x.shape[2]))
    groups = groups - groups.mean(2, keepdim=True)
    steps = groups.diff(dim=2)
    row, column = torch.triu_indices(N_GROUPS, N_GROUPS)
    matrices = [y @ y.transpose(1, 2) / y.shape[2] for y in (groups, steps)]
    return torch.cat([covariance[:, row, column] for covariance in matrices], 1)
