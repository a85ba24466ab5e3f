"""Estimate proportions and balanced accuracies with intervals that account for tracks."""

import math
from collections.abc import Sequence

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate

Z_SCORE = 1.959964
ASSUMED_CORRELATION = 0.1  # of errors within a track, where there are too few errors to measure it


def balanced_accuracy(correct: Sequence[bool], labels: Sequence[int], groups: Sequence[str]) -> Estimate:
    """Compute the mean over classes of the fraction of correct predictions, with a 95 % interval.

    Wilson's interval (1927) in each class, with the number of clips divided by the design effect of tracks
    (Korn and Graubard 1998), combined by the method of variance estimates recovery (Newcombe 1998). It stays
    within 0 and 1, and has a width even if every prediction is correct.

    Args:
        correct: whether each clip was classified correctly.
        labels: the class of each clip; all classes have equal weight.
        groups: the track of each clip.

    Returns:
        The estimate, with `sd` over clips; NaN with n = 0 if there are no clips.
    """
    hits, classes, tracks = np.asarray(correct, float), np.asarray(labels), np.asarray(groups)
    if not len(hits):
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0)
    parts = [wilson(hits[classes == label], tracks[classes == label]) for label in np.unique(classes)]
    mean = float(np.mean([p for p, _, _ in parts]))
    below, above = (
        math.sqrt(sum((p - bound) ** 2 for p, bound in bounds)) / len(parts)
        for bounds in ([(p, low) for p, low, _ in parts], [(p, high) for p, _, high in parts])
    )
    sd = float(hits.std(ddof=1)) if len(hits) > 1 else math.nan
    return Estimate(
        mean, sd, max(mean - below, 0.0), min(mean + above, 1.0), len(hits), len(np.unique(tracks))
    )


def proportion(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Compute the mean of values from 0 to 1 with Wilson's interval, which has a width at 0 and 1 too.

    Args:
        values: a Boolean or fraction per clip, at least one.
        groups: the track of each value.
    """
    data, tracks = np.asarray(values, float), np.asarray(groups)
    mean, low, high = wilson(data, tracks)
    sd = float(data.std(ddof=1)) if len(data) > 1 else math.nan
    return Estimate(mean, sd, low, high, len(data), len(np.unique(tracks)))


def wilson(values: np.ndarray, tracks: np.ndarray) -> tuple[float, float, float]:
    """Compute the mean of values from 0 to 1, and Wilson's bounds for the effective number of clips."""
    p = float(values.mean())
    n = effective_number(values, tracks)
    centre = (p + Z_SCORE**2 / (2 * n)) / (1 + Z_SCORE**2 / n)
    half = Z_SCORE * math.sqrt(p * (1 - p) / n + Z_SCORE**2 / (4 * n * n)) / (1 + Z_SCORE**2 / n)
    return p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0)


def effective_number(values: np.ndarray, tracks: np.ndarray) -> float:
    """Estimate the number of independent clips whose mean would have the same variance.

    The number of clips divided by the design effect of tracks, and by a correction with Student's t for few
    tracks (Korn and Graubard 1998). If all values are equal, the design effect follows from an assumed
    correlation within tracks.
    """
    counts = np.unique(tracks, return_counts=True)[1]
    n, k = len(values), len(counts)
    effect = design_effect(values, tracks)
    if k < 2 or k == n or values.min() == values.max():
        return n / effect
    from scipy.special import stdtrit

    quantiles = [float(stdtrit(count - 1, (1 + CONFIDENCE_LEVEL) / 2)) for count in (n, k)]
    return n / effect * (quantiles[0] / quantiles[1]) ** 2


def design_effect(values: np.ndarray, tracks: np.ndarray) -> float:
    """Estimate the variance of the mean relative to independent clips: from 1 to the clips per track."""
    _, index = np.unique(tracks, return_inverse=True)
    counts = np.bincount(index)
    p, n, k = values.mean(), len(values), len(counts)
    clips_per_track = n / k
    if k < 2 or values.min() == values.max():
        return 1 + (clips_per_track - 1) * ASSUMED_CORRELATION
    deviations = np.bincount(index, weights=values - p)
    variance = k / (k - 1) * float(np.square(deviations).sum()) / n**2
    return float(np.clip(variance / (p * (1 - p) / n), 1.0, max(clips_per_track, 1.0)))
