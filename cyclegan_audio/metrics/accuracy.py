"""Accuracy of a classifier with an interval that knows of tracks, and calibrated probabilities."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.intervals import Estimate

Z_95 = 1.959964
ASSUMED_CORRELATION = 0.1  # of errors within a track, where there are too few errors to measure it
TEMPERATURES = np.geomspace(0.05, 50.0, 400)


def balanced_accuracy(correct: Sequence[bool], labels: Sequence[int], groups: Sequence[str]) -> Estimate:
    """Mean of the shares of right verdicts in each class, with a 95 % interval.

    Wilson's interval (1927) in each class, with the number of clips divided by the design effect of tracks
    (Korn and Graubard 1998), joined by the method of variance estimates recovery (Newcombe 1998): it stays
    within 0 and 1, and it does not shrink to nothing where no verdict is wrong.

    Args:
        correct: whether each clip was judged right.
        labels: its class; each class that occurs counts alike.
        groups: the track that it comes from.

    Returns:
        NaN with n = 0 where there are no clips; `sd` is that of right verdicts over clips.
    """
    right, classes, tracks = np.asarray(correct, float), np.asarray(labels), np.asarray(groups)
    if not len(right):
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0)
    parts = [wilson(right[classes == label], tracks[classes == label]) for label in np.unique(classes)]
    mean = float(np.mean([p for p, _, _ in parts]))
    below, above = (
        math.sqrt(sum((p - bound) ** 2 for p, bound in bounds)) / len(parts)
        for bounds in ([(p, low) for p, low, _ in parts], [(p, high) for p, _, high in parts])
    )
    sd = float(right.std(ddof=1)) if len(right) > 1 else math.nan
    return Estimate(
        mean, sd, max(mean - below, 0.0), min(mean + above, 1.0), len(right), len(np.unique(tracks))
    )


def wilson(right: np.ndarray, tracks: np.ndarray) -> tuple[float, float, float]:
    """Share of right verdicts of at least one clip, and Wilson's bounds for its effective number of clips."""
    p = float(right.mean())
    n = len(right) / design_effect(right, tracks)
    centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n)) / (1 + Z_95**2 / n)
    return p, min(centre - half, p), max(centre + half, p)


def design_effect(right: np.ndarray, tracks: np.ndarray) -> float:
    """How many times wider than clips drawn singly the variance of the share is; 1 to clips a track."""
    _, member = np.unique(tracks, return_inverse=True)
    counts = np.bincount(member)
    p, n, k = right.mean(), len(right), len(counts)
    in_track = n / k
    if k < 2 or p * (1 - p) == 0:
        return 1 + (in_track - 1) * ASSUMED_CORRELATION
    deviations = np.bincount(member, weights=right - p)
    variance = k / (k - 1) * float(np.square(deviations).sum()) / n**2
    return float(np.clip(variance / (p * (1 - p) / n), 1.0, max(in_track, 1.0)))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The divisor of logits (N,) that makes their sigmoid fit labels (N,) of 0 and 1 best (Guo et al. 2017).

    Labels are softened as by Platt (1999), so that few clips, all judged right, give no false certainty.
    1 where a class is missing.
    """
    n_one = float(labels.sum())
    n_zero = len(labels) - n_one
    if n_one == 0 or n_zero == 0:
        return 1.0
    targets = torch.where(labels > 0, (n_one + 1) / (n_one + 2), 1 / (n_zero + 2)).double()
    losses = [float(F.binary_cross_entropy_with_logits(logits.double() / t, targets)) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])
