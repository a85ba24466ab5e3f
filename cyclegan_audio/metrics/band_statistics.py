"""What each mel band does over time, in a few numbers: features for a linear classifier and for distances."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.metrics.genre_net import MODULATION_HZ, band_relations, modulation_log_power, standardise

PERCENTILES = (0.1, 0.5, 0.9)
BLOCK = 256  # clips at once: bounds memory
NAMES = (
    "mean",
    "spread",
    *(f"percentile {100 * p:g}" for p in PERCENTILES),
    "mean step from frame to frame",
    "spread of steps",
    *(f"modulation {low:g}-{high:g} Hz" for low, high in pairwise(MODULATION_HZ)),
)


def band_statistics(mels_db: Tensor, frame_s: float) -> Tensor:
    """Mels in dB (N, M, F) of any level to (N, len(NAMES), M).

    Each clip is standardised first, so that neither level nor contrast counts. For each band: mean, standard
    deviation and percentiles over time, mean and standard deviation of |steps| from frame to frame, and the
    logarithm of the power of its modulation in octaves from 1 to 16 Hz.
    """
    return torch.cat([_of_block(block, frame_s) for block in mels_db.split(BLOCK)])


def _of_block(mels_db: Tensor, frame_s: float) -> Tensor:
    x = standardise(mels_db)
    steps = x.diff(dim=2).abs()
    moments = [x.mean(2), x.std(2), *_levels(x), steps.mean(2), steps.std(2)]
    return torch.stack([*moments, *modulation_log_power(x, frame_s)], 1)


def _levels(x: Tensor) -> list[Tensor]:
    """The percentiles over time, as by `torch.quantile`; numpy sorts rows nine times as fast on a CPU."""
    rising = torch.from_numpy(np.sort(x.cpu().numpy(), axis=2)).to(x.device)
    places = [p * (x.shape[2] - 1) for p in PERCENTILES]
    return [torch.lerp(rising[..., int(p)], rising[..., math.ceil(p)], p % 1) for p in places]


def statistics_and_relations(mels_db: Tensor, frame_s: float) -> Tensor:
    """Mels in dB (N, M, F) to (N, D): `band_statistics` row by row, then `band_relations`."""
    relations = [band_relations(standardise(block)) for block in mels_db.split(BLOCK)]
    return torch.cat([band_statistics(mels_db, frame_s).flatten(1), torch.cat(relations)], 1)
