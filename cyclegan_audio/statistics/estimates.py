"""A mean with its spread: standard deviation and interval over groups (tracks, scores)."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Mean of values with its uncertainty.

    Attributes:
        mean: over all values.
        sd: standard deviation of the values (n - 1), NaN for one value.
        low, high: 95 % interval of the mean over groups, NaN where there is only one group.
        n: how many values.
        groups: how many groups (tracks, scores) they come from.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int
    groups: int

    @property
    def above_zero(self) -> bool:
        """The whole interval lies above zero; never so with a single group."""
        return self.low > 0

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the two intervals overlap; one that is not known overlaps all."""
        return not (self.low > other.high or other.low > self.high)

    def clamp(self, low: float, high: float) -> "Estimate":
        """Cut the interval off where the mean cannot lie: Student's t knows of no bounds (NaN stays)."""
        return dataclasses.replace(
            self, low=float(np.clip(self.low, low, high)), high=float(np.clip(self.high, low, high))
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        values = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}

    def __str__(self) -> str:
        interval = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low) else ""
        return f"{self.mean:.2f}{interval}"


def standard_error(value: Estimate) -> float:
    """Return the standard error of a mean from its interval over groups; NaN for one group.

    Student's t or Wilson's: the latter's effective number holds the same reach for few groups.
    """
    from scipy.special import stdtrit

    if value.groups < 2:
        return math.nan
    return (value.high - value.low) / 2 / float(stdtrit(value.groups - 1, (1 + CONFIDENCE_LEVEL) / 2))


def estimate(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Average `values`, with an interval by Student's t over whole groups.

    Clips of one track resemble each other, so that clips taken singly would make the interval too narrow; so
    the error is estimated from the groups' sums, with as many degrees of freedom as groups less one (Cameron
    and Miller 2015, "A practitioner's guide to cluster-robust inference", II.C and VI.A). A bootstrap over
    groups cannot reach beyond the groups there are: with five it covers the truth 84 times in a hundred.

    Args:
        values: one number a clip, at least one.
        groups: which track or score each value comes from.

    Raises:
        ValueError: there are no values, or not one group for each.
    """
    if not values or len(values) != len(groups):
        raise ValueError(
            f"{len(values)} values with {len(groups)} groups; give at least one, and one group each"
        )
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = len(names)
    low = high = math.nan
    if n_groups > 1:
        from scipy.special import stdtrit

        deviations = np.bincount(member, weights=data - mean, minlength=n_groups)
        error = math.sqrt(n_groups / (n_groups - 1) * float(deviations @ deviations)) / len(data)
        reach = float(stdtrit(n_groups - 1, (1 + CONFIDENCE_LEVEL) / 2)) * error
        low, high = mean - reach, mean + reach
    sd = float(data.std(ddof=1)) if len(data) > 1 else math.nan
    return Estimate(mean, sd, low, high, len(data), n_groups)
