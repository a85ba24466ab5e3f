"""Estimate means with 95 % intervals over groups (tracks, scores), or over listeners and items at once."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its standard deviation and interval.

    Attributes:
        mean: over all values.
        sd: standard deviation of the values (n - 1), NaN for one value.
        low, high: 95 % interval of the mean over groups, NaN for a single group.
        n: number of values.
        groups: number of groups (tracks, scores).
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int
    groups: int

    @property
    def above_zero(self) -> bool:
        """Return whether the whole interval lies above zero; False for a single group."""
        return self.low > 0

    def overlaps(self, other: "Estimate") -> bool:
        """Return whether the two intervals overlap; an unknown interval overlaps any other."""
        return not (self.low > other.high or other.low > self.high)

    def clamp(self, low: float, high: float) -> "Estimate":
        """Clamp the interval to the possible range of the mean, which Student's t ignores; NaN stays."""
        return dataclasses.replace(
            self, low=float(np.clip(self.low, low, high)), high=float(np.clip(self.high, low, high))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        values = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}

    def __str__(self) -> str:
        interval = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low) else ""
        return f"{self.mean:.2f}{interval}"


def standard_error(value: Estimate) -> float:
    """Compute the standard error of a mean from its interval over groups; NaN for one group.

    The interval is Student's t, or Wilson's, whose effective number of clips corrects for few groups alike.
    """
    from scipy.special import stdtrit

    if value.groups < 2:
        return math.nan
    return (value.high - value.low) / 2 / float(stdtrit(value.groups - 1, (1 + CONFIDENCE_LEVEL) / 2))


def estimate(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Compute the mean of `values` with a cluster-robust interval by Student's t over groups.

    Clips of one track are correlated, so that an interval over single clips would be too narrow. The error is
    estimated from the groups' sums, with one degree of freedom less than there are groups (Cameron and Miller
    2015, "A practitioner's guide to cluster-robust inference", II.C and VI.A). A bootstrap over groups is
    too narrow for few groups: with five it covers the truth in 84 % of cases.

    Args:
        values: one number per clip, at least one.
        groups: the track or score of each value.

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    if not values or len(values) != len(groups):
        raise ValueError(
            f"got {len(values)} values and {len(groups)} groups; pass one group per value, at least one"
        )
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = len(names)
    low = high = math.nan
    if n_groups > 1:
        from scipy.special import stdtrit

        deviations = np.bincount(index, weights=data - mean, minlength=n_groups)
        error = math.sqrt(n_groups / (n_groups - 1) * float(deviations @ deviations)) / len(data)
        half_width = float(stdtrit(n_groups - 1, (1 + CONFIDENCE_LEVEL) / 2)) * error
        low, high = mean - half_width, mean + half_width
    sd = float(data.std(ddof=1)) if len(data) > 1 else math.nan
    return Estimate(mean, sd, low, high, len(data), n_groups)


def two_way_mean(
    values: Sequence[float], rows: Sequence[str], columns: Sequence[str]
) -> tuple[Estimate, float]:
    """Compute the mean of values clustered by row (listener) and by column (item), and test it against 0.

    The variance over rows plus that over columns minus that over single values (Cameron, Gelbach and Miller
    2011), but at least the larger of the first two. Student's t has one degree of freedom less than the
    smaller number of rows and columns. With one row the interval is over columns only, and vice versa; with
    one of each there is none.

    Returns:
        The estimate, and the two-sided p value.

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    from scipy.special import stdtr, stdtrit

    estimates = [
        estimate(values, groups)
        for groups in (rows, columns, list(map("\n".join, zip(rows, columns, strict=True))))
    ]
    errors = [standard_error(value) for value in estimates]
    known = [
        (error, value.groups)
        for error, value in zip(errors[:2], estimates[:2], strict=True)
        if not math.isnan(error)
    ]
    mean, sd, n = estimates[0].mean, estimates[0].sd, estimates[0].n
    groups = min((count for _, count in known), default=1)
    if not known:
        return Estimate(mean, sd, math.nan, math.nan, n, groups), math.nan
    variance = max(error**2 for error, _ in known)
    if len(known) == 2:
        variance = max(variance, errors[0] ** 2 + errors[1] ** 2 - errors[2] ** 2)
    half_width = float(stdtrit(groups - 1, (1 + CONFIDENCE_LEVEL) / 2)) * math.sqrt(variance)
    if variance == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = 2 * float(stdtr(groups - 1, -abs(mean) / math.sqrt(variance)))
    return Estimate(mean, sd, mean - half_width, mean + half_width, n, groups), p
