"""Proportions and balanced accuracies with intervals that know of tracks."""

import math
from collections.abc import Sequence

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate

Z_SCORE = 1.959964
ASSUMED_CORRELATION = 0.1  # of errors within a track, where there are too few errors to measure it


def balanced_accuracy(correct: Sequence[bool], labels: Sequence[int], groups: Sequence[str]) -> Estimate:
    """Average the shares of right verdicts in each class, with a 95 % interval.

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


def proportion(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Average values from 0 to 1, with Wilson's interval over groups, which has a width at 0 and 1 too.

    Args:
        values: one a clip, at least one: whether something holds, or how much of it.
        groups: the track that each comes from.
    """
    data, tracks = np.asarray(values, float), np.asarray(groups)
    mean, low, high = wilson(data, tracks)
    sd = float(data.std(ddof=1)) if len(data) > 1 else math.nan
    return Estimate(mean, sd, low, high, len(data), len(np.unique(tracks)))


def wilson(values: np.ndarray, tracks: np.ndarray) -> tuple[float, float, float]:
    """Average at least one value from 0 to 1, with Wilson's bounds for the effective number of clips."""
    p = float(values.mean())
    n = effective_number(values, tracks)
    centre = (p + Z_SCORE**2 / (2 * n)) / (1 + Z_SCORE**2 / n)
    half = Z_SCORE * math.sqrt(p * (1 - p) / n + Z_SCORE**2 / (4 * n * n)) / (1 + Z_SCORE**2 / n)
    return p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0)


def effective_number(values: np.ndarray, tracks: np.ndarray) -> float:
    """Estimate how many clips drawn singly would give the mean of values from 0 to 1 its variance.

    The clips divided by the design effect of tracks, and by what Student's t adds where there are few tracks
    to estimate it from (Korn and Graubard 1998). Where all values are the same, nothing can be estimated: the
    design effect then follows from an assumed correlation within tracks.
    """
    counts = np.unique(tracks, return_counts=True)[1]
    n, k = len(values), len(counts)
    effect = design_effect(values, tracks)
    if k < 2 or k == n or values.min() == values.max():
        return n / effect
    from scipy.special import stdtrit

    reach = [float(stdtrit(count - 1, (1 + CONFIDENCE_LEVEL) / 2)) for count in (n, k)]
    return n / effect * (reach[0] / reach[1]) ** 2


def design_effect(values: np.ndarray, tracks: np.ndarray) -> float:
    """Estimate how much larger than for single clips the variance of the mean is; 1 to clips a track."""
    _, member = np.unique(tracks, return_inverse=True)
    counts = np.bincount(member)
    p, n, k = values.mean(), len(values), len(counts)
    in_track = n / k
    if k < 2 or values.min() == values.max():
        return 1 + (in_track - 1) * ASSUMED_CORRELATION
    deviations = np.bincount(member, weights=values - p)
    variance = k / (k - 1) * float(np.square(deviations).sum()) / n**2
    return float(np.clip(variance / (p * (1 - p) / n), 1.0, max(in_track, 1.0)))
