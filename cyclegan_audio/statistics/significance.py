"""Test differences between two systems: sign-flip permutation test, Welch's t test, and Holm's correction."""

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate, standard_error

MAX_FLIPS = 2**14  # exhaustive up to 14 groups, else random
MIN_GROUPS = 6  # tracks; with 5, no p can be below 0.05
SEGMENT_S = 30.0
Key = TypeVar("Key", bound=Hashable)


def independent_groups(tracks: Sequence[str], starts_s: Sequence[float]) -> list[str]:
    """Return the independent group of each clip: its track, or a segment of 30 s of it below 6 tracks.

    With segments, results hold for these songs only.
    """
    if len(set(tracks)) >= MIN_GROUPS:
        return list(tracks)
    return [f"{track} {start // SEGMENT_S:g}" for track, start in zip(tracks, starts_s, strict=True)]


def sign_flip_test(
    differences: Mapping[Key, tuple[Sequence[float], Sequence[str]]],
) -> dict[Key, tuple[float, float]]:
    """Test many paired differences by sign flips, with and without correction for multiple tests.

    Under the null hypothesis the two systems are interchangeable within a track, so the signs of a track's
    differences are flipped in all metrics at once. The statistic of a metric is the sum over groups divided
    by the root of their squares (a monotone function of Student's t under flips). The corrected p is Holm's
    step-down with the distribution of the largest statistic in place of Bonferroni's bound (Westfall and
    Young 1993, algorithm 2.8), because metrics are correlated and few tracks could never meet that bound.

    Args:
        differences: by metric, one difference per clip and the group of each; groups of the same name are
            flipped together in all metrics.

    Returns:
        By metric, p and corrected p; both are 1 if all differences are 0.
    """
    sums = {key: _sums(values, groups) for key, (values, groups) in differences.items()}
    names = sorted({name for by_group in sums.values() for name in by_group})
    position = {name: index for index, name in enumerate(names)}
    signs = _signs(len(names))
    flipped = np.zeros((len(signs), len(sums)))
    for column, by_group in enumerate(sums.values()):
        flipped[:, column] = _statistic(signs[:, [position[name] for name in by_group]], by_group)
    out = {}
    for (key, by_group), corrected in zip(sums.items(), _step_down(flipped), strict=True):
        statistics = _statistic(_signs(len(by_group)), by_group)
        p = float((statistics >= statistics[0]).mean())
        out[key] = p, max(p, float(corrected))  # random flips differ between the two
    return out


def _statistic(signs: np.ndarray, by_group: Mapping[str, float]) -> np.ndarray:
    """Compute |sum| / root of squares (flips,), rounded so that ties stay ties."""
    values = np.array(list(by_group.values()))
    norm = float(np.sqrt((values**2).sum()))
    return (np.abs(signs @ values) / norm).round(9) if norm > 0 else np.zeros(len(signs))


def _sums(values: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    out: dict[str, float] = {}
    for value, group in zip(values, groups, strict=True):
        out[group] = out.get(group, 0.0) + value
    return out


def _signs(n_groups: int) -> np.ndarray:
    """Return signs (flips, groups) of 1 and -1; the first row is without flips."""
    if 2**n_groups <= MAX_FLIPS:
        bits = (np.arange(2**n_groups)[:, None] >> np.arange(n_groups)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (MAX_FLIPS, n_groups))
    signs[0] = 1
    return signs


def _step_down(statistics: np.ndarray) -> np.ndarray:
    """Compute the corrected p of each column of (flips, metrics); row 0 is observed."""
    order = np.argsort(-statistics[0], kind="stable")
    largest = np.maximum.accumulate(statistics[:, order[::-1]], 1)[:, ::-1]  # of this and all smaller ones
    p = np.maximum.accumulate((largest >= statistics[0, order]).mean(0))
    out = np.empty_like(p)
    out[order] = p
    return out


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for multiple tests by Holm's step-down (1979); NaN is left out."""
    order = sorted((i for i, value in enumerate(p) if not math.isnan(value)), key=lambda i: p[i])
    out, corrected = [math.nan] * len(p), 0.0
    for rank, i in enumerate(order):
        corrected = max(corrected, min(1.0, (len(order) - rank) * p[i]))
        out[i] = corrected
    return out


def welch_test(a: Estimate, b: Estimate) -> tuple[Estimate, float]:
    """Test the difference b - a of two independent means by Welch's t test.

    Returns:
        The difference and its two-sided p. n and groups are the smaller of both; interval and p are NaN if
        either mean has no interval.
    """
    from scipy.special import stdtr, stdtrit

    errors = [standard_error(x) for x in (a, b)]
    mean, variance = b.mean - a.mean, sum(error**2 for error in errors)
    sizes = min(a.n, b.n), min(a.groups, b.groups)
    if not variance > 0:  # NaN too
        return Estimate(mean, math.nan, math.nan, math.nan, *sizes), math.nan
    degrees = variance**2 / sum(e**4 / (x.groups - 1) for e, x in zip(errors, (a, b), strict=True))
    error = math.sqrt(variance)
    half_width = float(stdtrit(degrees, (1 + CONFIDENCE_LEVEL) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error))
    return Estimate(mean, math.nan, mean - half_width, mean + half_width, *sizes), p


def rescale(value: Estimate, unit: float) -> Estimate:
    """Divide an estimate by `unit`; NaN if the unit is NaN or 0."""
    unit = unit or math.nan
    low, high = sorted((value.low / unit, value.high / unit))
    return dataclasses.replace(value, mean=value.mean / unit, sd=value.sd / abs(unit), low=low, high=high)


def format_p(p: float) -> str:
    """Format a p value for readers; a dash for NaN."""
    if math.isnan(p):
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
