"""Split tracks into cross-validation folds, and estimate statistics by leaving out tracks (jackknife)."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate

MAX_GROUPS = 40
Statistic = Callable[[list[np.ndarray]], np.ndarray]


def jackknife(statistic: Statistic, samples: Sequence[Sequence[str]]) -> list[Estimate]:
    """Estimate a statistic that is not a mean (such as a distance) without its bias of order 1/n.

    The tracks of each sample are left out in turn. The changes give the bias (Quenouille 1956), which for a
    Frechet distance is what extrapolation to infinitely many clips removes (Chong and Forsyth 2020), and the
    error (Tukey 1958) for intervals by Student's t. A bootstrap would be biased: it draws clips twice, and a
    clip compared with itself counts as similarity within a set, which raises the distances.

    Args:
        statistic: takes the row numbers to use of each sample, and returns one or more values.
        samples: the track of each row of each sample. More than 40 tracks are left out in groups; if there is
            one track, or all rows but one belong to it, single rows are left out.

    Returns:
        One `Estimate` per value; n counts the rows and groups the tracks of the first sample, sd is NaN.
    """
    rows = [np.arange(len(sample)) for sample in samples]
    full = np.asarray(statistic(rows), dtype=float)
    value, variance = full.copy(), np.zeros_like(full)
    degrees = math.inf
    for place, sample in enumerate(samples):
        index, n_groups = _groups(sample)
        without = np.stack(
            [
                statistic([*rows[:place], rows[place][index != group], *rows[place + 1 :]])
                for group in range(n_groups)
            ]
        )
        mean = without.mean(0)
        value += (n_groups - 1) * (full - mean)
        variance += (n_groups - 1) / n_groups * np.square(without - mean).sum(0)
        degrees = min(degrees, n_groups - 1)
    half_width = _quantile(degrees) * np.sqrt(variance)
    n, groups = len(samples[0]), len(set(samples[0]))
    return [
        Estimate(float(v), math.nan, float(v - r), float(v + r), n, groups)
        for v, r in zip(value, half_width, strict=True)
    ]


def _quantile(degrees: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE_LEVEL) / 2))


def _groups(sample: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return each row's group index and the number of groups; a group is one or more tracks, or one row."""
    names, index = np.unique(np.asarray(sample), return_inverse=True)
    if len(names) < 2 or np.bincount(index).max() > len(sample) - 2:
        index, names = np.arange(len(sample)), np.asarray(sample)
    n_groups = min(len(names), MAX_GROUPS)
    return index * n_groups // len(names), n_groups


Folds = list[tuple[np.ndarray, np.ndarray]]


def track_folds(labels: np.ndarray, groups: Sequence[str], count: int, seed: int) -> Folds:
    """Split rows into `count` folds that keep tracks together; fewer if a genre has fewer tracks.

    Args:
        labels: (N,) of 0 and 1; folds are stratified by label.
        groups: the track of each row.
        count: number of folds.
        seed: seed of the shuffle.

    Returns:
        The training rows and test rows of each fold; empty if a genre has a single track.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    tracks = np.asarray(groups)
    n_folds = min([count, *(len(set(tracks[labels == label])) for label in (0, 1))])
    if n_folds < 2:
        return []
    return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels, tracks))
