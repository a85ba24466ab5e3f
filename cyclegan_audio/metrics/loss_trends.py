"""Check the paper's criterion for a training run: no loss explodes, and the losses fall."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

EXPLODED_FACTOR = 3.0
RULE = (
    "A loss exploded if it was ever NaN or infinite, or if the mean of its last tenth is more than "
    f"{EXPLODED_FACTOR:g} times the mean of its first tenth. It fell if the mean of its last tenth is below "
    "the mean of its first tenth."
)


@dataclasses.dataclass(frozen=True)
class LossTrend:
    """Means of the first and last tenth of a loss over its finite values, and the count of other values."""

    first: float
    last: float
    not_finite: int

    @property
    def exploded(self) -> bool:
        return self.not_finite > 0 or self.last > EXPLODED_FACTOR * self.first

    @property
    def fell(self) -> bool:
        return self.last < self.first

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN and infinity become None."""
        first, last = (value if math.isfinite(value) else None for value in (self.first, self.last))
        return {
            "first_tenth": first,
            "last_tenth": last,
            "not_finite": self.not_finite,
            "exploded": self.exploded,
            "fell": self.fell,
        }


def loss_trend(values: Sequence[float]) -> LossTrend:
    """Compute the trend of one loss from its values in order of training; a tenth is at least one value.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a loss trend needs at least one value, got none")
    tenth = max(1, len(values) // 10)
    not_finite = sum(not math.isfinite(value) for value in values)
    return LossTrend(_finite_mean(values[:tenth]), _finite_mean(values[-tenth:]), not_finite)


def _finite_mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
