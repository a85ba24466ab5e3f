"""Calibrated probabilities of a classifier: temperatures, shares of two, and how far they are off."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 10
TEMPERATURES = np.geomspace(0.05, 50.0, 400)
COARSE_TEMPERATURES = TEMPERATURES[::8]
MIXING_WEIGHTS = np.array(
    sorted(np.linspace(0, 1, 21), key=lambda share: abs(share - 0.5))
)  # a half wins a tie


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the divisor of logits (N,) whose sigmoid fits labels (N,) of 0 and 1 best (Guo et al. 2017).

    Labels are softened as by Platt (1999), so that few clips, all judged right, give no false certainty.
    1 where a class is missing.
    """
    losses = _losses(logits, labels, TEMPERATURES)
    return float(TEMPERATURES[int(np.argmin(losses))]) if losses else 1.0


def fit_mixing_weight(one: Tensor, two: Tensor, labels: Tensor, groups: Sequence[str]) -> float:
    """Find the share of the second in the sum of two logits (N,), from 0 to 1 (stacking, Wolpert 1992).

    The share by which the sum, each at its own best temperature, fits labels (N,) best; a half where a class
    is missing. Each of the tracks `groups` counts alike: clips of one are right or wrong together.
    """
    _, member, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weights = torch.from_numpy(1 / counts[member])
    losses = [
        _losses(one + share * (two - one), labels, COARSE_TEMPERATURES, weights) for share in MIXING_WEIGHTS
    ]
    return float(MIXING_WEIGHTS[int(np.argmin([min(own, default=0.0) for own in losses]))])


def _losses(
    logits: Tensor, labels: Tensor, temperatures: np.ndarray, weights: Tensor | None = None
) -> list[float]:
    """Of each temperature, against softened labels; none where a class is missing."""
    n_one = float(labels.sum())
    n_zero = len(labels) - n_one
    if n_one == 0 or n_zero == 0:
        return []
    targets = torch.where(labels > 0, (n_one + 1) / (n_one + 2), 1 / (n_zero + 2)).double()
    return [
        float(F.binary_cross_entropy_with_logits(logits.double() / t, targets, weights)) for t in temperatures
    ]


@dataclasses.dataclass(frozen=True)
class Reliability:
    """What became of probabilities of the second class, in ten bins of equal width; empty bins are left out.

    Attributes:
        given: mean probability in each bin.
        found: share of the second class in each bin.
        counts: clips in each bin.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many clips."""
        return sum(self.counts)

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015), NaN without clips; few clips make it larger."""
        distances = [
            n * abs(given - found)
            for given, found, n in zip(self.predicted, self.observed, self.counts, strict=True)
        ]
        return sum(distances) / self.n if self.n else math.nan


def reliability(probabilities: Tensor, labels: Tensor) -> Reliability:
    """Compare probabilities (N,) of the second class with labels (N,) of 0 and 1."""
    given, found = probabilities.double().numpy(), (labels > 0).double().numpy()
    place = np.minimum((given * BINS).astype(int), BINS - 1)
    bins = [place == index for index in range(BINS) if (place == index).any()]
    means = [tuple(float(values[own].mean()) for own in bins) for values in (given, found)]
    return Reliability(means[0], means[1], tuple(int(own.sum()) for own in bins))
