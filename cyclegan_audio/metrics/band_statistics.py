"""What each mel band does over time, in a few numbers: features for a linear classifier and for distances."""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MODULATION_HZ = (1.0, 2.0, 4.0, 8.0, 16.0)  # edges of the bands of the modulation spectrum
N_GROUPS = 32  # of neighbouring bands, whose relations are looked at
N_COVARIANCES = N_GROUPS * (N_GROUPS + 1)
CLIP_AT = 3.0  # standard deviations; deeper silence says nothing more
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
    """Summarise each band of mels in dB (N, M, F) of any level as (N, len(NAMES), M).

    Each clip is standardised first, so that neither level nor contrast counts. For each band: mean, standard
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
    """The percentiles over time, as by `torch.quantile`; numpy sorts rows nine times as fast on a CPU."""
    rising = torch.from_numpy(np.sort(x.cpu().numpy(), axis=2)).to(x.device)
    places = [p * (x.shape[2] - 1) for p in PERCENTILES]
    return [torch.lerp(rising[..., int(p)], rising[..., math.ceil(p)], p % 1) for p in places]


def band_features(mels_db: Tensor, frame_s: float) -> Tensor:
    """Join `band_statistics` row by row and `band_covariances` of mels in dB (N, M, F) to (N, D)."""
    relations = [band_covariances(standardise(block)) for block in mels_db.split(BLOCK)]
    return torch.cat([band_statistics(mels_db, frame_s).flatten(1), torch.cat(relations)], 1)


def standardise(mels_db: Tensor) -> Tensor:
    """Bring each clip of (N, M, F) to mean 0 and standard deviation 1 over bands and frames, clipped at 3."""
    centred = mels_db - mels_db.mean((1, 2), keepdim=True)
    scale = centred.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-3)
    return (centred / scale).clamp(-CLIP_AT, CLIP_AT)


def modulation_log_power(x: Tensor, frame_s: float) -> list[Tensor]:
    """Measure each octave of modulation from 1 to 16 Hz in each band of (N, M, F), as four of (N, M)."""
    n_frames = x.shape[2]
    power = torch.fft.rfft(x - x.mean(2, keepdim=True)).abs().square() / n_frames**2
    modulation_hz = torch.fft.rfftfreq(n_frames, frame_s)
    bands = []
    for low, high in pairwise(MODULATION_HZ):
        inside = (modulation_hz >= low) & (modulation_hz < high)
        bands.append((power[:, :, inside].sum(2) + 1e-6).log())
    return bands


def band_covariances(x: Tensor) -> Tensor:
    """Measure which bands of (N, M, F) move together, as (N, N_COVARIANCES).

    The covariances over time of 32 groups of neighbouring bands, and the same of their steps from frame to
    frame (upper triangles, row by row).
    """
    groups = F.adaptive_avg_pool2d(x, (N_GROUPS, x.shape[2]))
    groups = groups - groups.mean(2, keepdim=True)
    steps = groups.diff(dim=2)
    row, column = torch.triu_indices(N_GROUPS, N_GROUPS)
    both = [y @ y.transpose(1, 2) / y.shape[2] for y in (groups, steps)]
    return torch.cat([covariance[:, row, column] for covariance in both], 1)
