"""A mean with its spread: standard deviation and bootstrap interval over groups (tracks, scores)."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

ROUNDS = 2000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Mean of values with its uncertainty.

    Attributes:
        mean: over all values.
        sd: standard deviation of the values (n - 1), NaN for one value.
        low, high: 95 % bootstrap interval of the mean over groups, NaN where there is only one group.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        values = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}

    def __str__(self) -> str:
        interval = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low) else ""
        return f"{self.mean:.2f}{interval}"


def estimate(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> Estimate:
    """The mean of `values` with a percentile bootstrap interval that redraws whole groups.

    Clips of one track resemble each other, so that clips drawn singly would make the interval too narrow.

    Args:
        values: one number a clip, at least one.
        groups: which track or score each value comes from.
        seed: of the bootstrap's generator.

    Raises:
        ValueError: there are no values, or not one group for each.
    """
    if not values or len(values) != len(groups):
        raise ValueError(
            f"{len(values)} values with {len(groups)} groups; give at least one, and one group each"
        )
    data = np.asarray(values, dtype=float)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(member, weights=data, minlength=len(names))
    counts = np.bincount(member, minlength=len(names))
    low = high = math.nan
    if len(names) > 1:
        drawn = np.random.default_rng(seed).integers(len(names), size=(ROUNDS, len(names)))
        means = sums[drawn].sum(1) / counts[drawn].sum(1)
        low, high = (float(q) for q in np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    sd = float(data.std(ddof=1)) if len(data) > 1 else math.nan
    return Estimate(float(data.mean()), sd, low, high, len(data), len(names))
