"""Estimates of what is not a mean (a distance between two sets of clips), by leaving out whole tracks."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate

MAX_GROUPS = 40
Statistic = Callable[[list[np.ndarray]], np.ndarray]


def jackknife(statistic: Statistic, samples: Sequence[Sequence[str]]) -> list[Estimate]:
    """Estimate a statistic of several samples without its bias of order 1/n, with Student's t intervals.

    Each sample's tracks are left out in turn. How the value moves tells its bias (Quenouille 1956), which for
    a Frechet distance is what extrapolation to infinitely many clips takes away (Chong and Forsyth 2020), and
    its error (Tukey 1958). A bootstrap is no use here: it draws clips twice, and pairs of a clip with itself
    count as likeness within a set, which raises both distances.

    Args:
        statistic: takes the rows to use of each sample, gives one or several values.
        samples: which track each row of each sample comes from. Where a sample has over 40 tracks they are
            left out several at once; where it has one, or all rows but one are of one, rows stand for tracks.

    Returns:
        An `Estimate` a value; n counts the rows and groups the tracks of the first sample, sd is NaN.
    """
    rows = [np.arange(len(sample)) for sample in samples]
    whole = np.asarray(statistic(rows), dtype=float)
    value, variance = whole.copy(), np.zeros_like(whole)
    degrees = math.inf
    for place, sample in enumerate(samples):
        member, n_groups = _groups(sample)
        without = np.stack(
            [
                statistic([*rows[:place], rows[place][member != group], *rows[place + 1 :]])
                for group in range(n_groups)
            ]
        )
        mean = without.mean(0)
        value += (n_groups - 1) * (whole - mean)
        variance += (n_groups - 1) / n_groups * np.square(without - mean).sum(0)
        degrees = min(degrees, n_groups - 1)
    reach = _quantile(degrees) * np.sqrt(variance)
    n, groups = len(samples[0]), len(set(samples[0]))
    return [
        Estimate(float(v), math.nan, float(v - r), float(v + r), n, groups)
        for v, r in zip(value, reach, strict=True)
    ]


def _quantile(degrees: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE_LEVEL) / 2))


def _groups(sample: Sequence[str]) -> tuple[np.ndarray, int]:
    """Which group each row belongs to: its track, several tracks, or itself where there is only one track."""
    names, member = np.unique(np.asarray(sample), return_inverse=True)
    if len(names) < 2 or np.bincount(member).max() > len(sample) - 2:
        member, names = np.arange(len(sample)), np.asarray(sample)
    n_groups = min(len(names), MAX_GROUPS)
    return member * n_groups // len(names), n_groups
