"""Stretches of bands or frames that are silenced or masked."""

import torch
from torch import Tensor


def mark_stretch(n: int, share: Tensor, position: Tensor, axis: int) -> Tensor:
    """Mark a stretch of the points along an axis of mels (B, C, M, F).

    Args:
        n: number of points.
        share: shares (B, 1, 1, 1) of the points that are marked.
        position: positions (B, 1, 1, 1) of the stretches, 0 to 1, of where they fit.
        axis: 2 for bands, 3 for frames.
    """
    width = torch.round(share * n)
    start = torch.round(position * (n - width))
    points = torch.arange(n, device=share.device).view([-1 if axis == i else 1 for i in range(4)])
    return (points >= start) & (points < start + width)
