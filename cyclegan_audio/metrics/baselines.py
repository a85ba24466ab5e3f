"""Compute baselines that a translation must beat: equalisers, and the nearest real clip."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

POOLED_SHAPE = (16, 43)  # bands and frames to which clips are averaged before they are compared


@dataclasses.dataclass(frozen=True)
class BandMoments:
    """Mean and standard deviation in dB of each band (M,) over all frames of a genre's training clips."""

    mean_db: Tensor
    sd_db: Tensor

    @classmethod
    def of(cls, mels_db: Tensor) -> "BandMoments":
        """Compute the moments of clips (N, M, F)."""
        flat = mels_db.transpose(0, 1).flatten(1).double()
        return cls(flat.mean(1).float(), flat.std(1).float())


def match_moments(mels_db: Tensor, source: BandMoments, target: BandMoments) -> Tensor:
    """Change the mean and standard deviation of each band of (N, M, F) from the source's to the target's."""
    gain = (target.sd_db / source.sd_db.clamp_min(1e-3))[:, None]
    return (mels_db - source.mean_db[:, None]) * gain + target.mean_db[:, None]


def match_mean(source_db: Tensor, source_mean_db: Tensor, target_mean_db: Tensor) -> Tensor:
    """Shift each band of (M, F) by the difference of the genres' mean dB (M,): the equaliser baseline.

    The means come from training clips of both genres, never from the scored pair.
    """
    return source_db + (target_mean_db - source_mean_db)[:, None]


def nearest_neighbours(mels_db: Tensor, real_db: Tensor) -> Tensor:
    """Find the index (N,) of the clip in `real_db` (K, M, F) that is nearest to each of (N, M, F)."""
    a, b = (F.adaptive_avg_pool2d(x[:, None], POOLED_SHAPE).flatten(1) for x in (mels_db, real_db))
    return torch.cdist(a, b).argmin(1)
