"""Differences between two systems over the same or other clips: how large, how sure, how likely by chance."""

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate, standard_error

MAX_FLIPS = 2**14  # all of them up to 14 groups, else so many at random
MIN_GROUPS = 6  # tracks; 5 give no p below 0.05 by any flips
SEGMENT_S = 30.0
Key = TypeVar("Key", bound=Hashable)


def independent_groups(tracks: Sequence[str], starts_s: Sequence[float]) -> list[str]:
    """Group clips into independent music: tracks, or stretches of 30 s of fewer than 6 tracks.

    With stretches, what is said holds for these songs and not for others.
    """
    if len(set(tracks)) >= MIN_GROUPS:
        return list(tracks)
    return [f"{track} {start // SEGMENT_S:g}" for track, start in zip(tracks, starts_s, strict=True)]


def sign_flip_test(
    differences: Mapping[Key, tuple[Sequence[float], Sequence[str]]],
) -> dict[Key, tuple[float, float]]:
    """Test many paired differences by flips of sign: p of each alone, and p corrected for all of them.

    If two systems do alike, which of them made which translation of a track is a coin's toss: the signs of
    its differences are flipped, all measures of a track at once. A measure's statistic is the sum over
    groups, scaled by the root of their squares (a monotone function of Student's t under flips). The
    corrected p is Holm's step-down with the distribution of the largest statistic in place of
    Bonferroni's bound (Westfall and Young 1993, algorithm 2.8): measures hang together, and with few tracks
    the bound could never be met.

    Args:
        differences: by measure, one difference a clip, and the group that each belongs to; groups of one name
            are flipped together in all measures.

    Returns:
        By measure (p, corrected p). A measure without any difference has 1 in both.
    """
    sums = {key: _sums(values, groups) for key, (values, groups) in differences.items()}
    names = sorted({name for by_group in sums.values() for name in by_group})
    place = {name: index for index, name in enumerate(names)}
    signs = _signs(len(names))
    flipped = np.zeros((len(signs), len(sums)))
    for column, by_group in enumerate(sums.values()):
        flipped[:, column] = _statistic(signs[:, [place[name] for name in by_group]], by_group)
    out = {}
    for (key, by_group), corrected in zip(sums.items(), _step_down(flipped), strict=True):
        own = _statistic(_signs(len(by_group)), by_group)
        alone = float((own >= own[0]).mean())
        out[key] = alone, max(alone, float(corrected))  # flips that are drawn are not the same in both
    return out


def _statistic(signs: np.ndarray, by_group: Mapping[str, float]) -> np.ndarray:
    """(flips,) |sum| over root of squares; rounded, so that ties stay ties."""
    values = np.array(list(by_group.values()))
    norm = float(np.sqrt((values**2).sum()))
    return (np.abs(signs @ values) / norm).round(9) if norm > 0 else np.zeros(len(signs))


def _sums(values: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    out: dict[str, float] = {}
    for value, group in zip(values, groups, strict=True):
        out[group] = out.get(group, 0.0) + value
    return out


def _signs(n_groups: int) -> np.ndarray:
    """(flips, groups) of 1 and -1, the first row without any flip."""
    if 2**n_groups <= MAX_FLIPS:
        bits = (np.arange(2**n_groups)[:, None] >> np.arange(n_groups)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (MAX_FLIPS, n_groups))
    signs[0] = 1
    return signs


def _step_down(statistics: np.ndarray) -> np.ndarray:
    """Corrected p of each column of (flips, measures); row 0 is what was observed."""
    order = np.argsort(-statistics[0], kind="stable")
    largest = np.maximum.accumulate(statistics[:, order[::-1]], 1)[:, ::-1]  # among this and lesser ones
    p = np.maximum.accumulate((largest >= statistics[0, order]).mean(0))
    out = np.empty_like(p)
    out[order] = p
    return out


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down (1979); NaN stays and does not count."""
    order = sorted((i for i, value in enumerate(p) if not math.isnan(value)), key=lambda i: p[i])
    out, least = [math.nan] * len(p), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p[i]))
        out[i] = least
    return out


def welch_test(a: Estimate, b: Estimate) -> tuple[Estimate, float]:
    """Test the difference b - a of two independent means by Welch's t, with its two-sided p.

    n and groups are the smaller of both; interval and p are NaN where either has no interval.
    """
    from scipy.special import stdtr, stdtrit

    errors = [standard_error(x) for x in (a, b)]
    mean, variance = b.mean - a.mean, sum(error**2 for error in errors)
    sizes = min(a.n, b.n), min(a.groups, b.groups)
    if not variance > 0:  # NaN too
        return Estimate(mean, math.nan, math.nan, math.nan, *sizes), math.nan
    degrees = variance**2 / sum(e**4 / (x.groups - 1) for e, x in zip(errors, (a, b), strict=True))
    error = math.sqrt(variance)
    reach = float(stdtrit(degrees, (1 + CONFIDENCE_LEVEL) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error))
    return Estimate(mean, math.nan, mean - reach, mean + reach, *sizes), p


def rescale(value: Estimate, unit: float) -> Estimate:
    """Express an estimate in another unit; NaN where the unit is NaN or 0."""
    unit = unit or math.nan
    low, high = sorted((value.low / unit, value.high / unit))
    return dataclasses.replace(value, mean=value.mean / unit, sd=value.sd / abs(unit), low=low, high=high)


def format_p(p: float) -> str:
    """Format a p value for readers; a dash for NaN."""
    if math.isnan(p):
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
