"""Smooth curves over the bands of mels."""

import torch.nn.functional as F
from torch import Tensor

N_POINTS = 9  # of a curve, from the lowest band to the highest


def band_curve(points: Tensor, n_bands: int) -> Tensor:
    """Interpolate (B, P) linearly from the lowest to the highest of the bands, as (B, 1, `n_bands`, 1)."""
    curves = F.interpolate(points[:, None], n_bands, mode="linear", align_corners=True)
    return curves[..., None]
