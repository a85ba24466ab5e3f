"""Calibrate the probabilities of classifiers, weight the branches of an ensemble, and measure reliability."""

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
MIXING_WEIGHTS = np.array(sorted(np.linspace(0, 1, 21), key=lambda w: abs(w - 0.5)))  # 0.5 wins a tie


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the divisor of logits (N,) to labels (N,) of 0 and 1 (temperature scaling, Guo et al. 2017).

    Labels are smoothed as in Platt (1999), so that a few correct clips do not give certainty. Returns 1 if a
    class is missing.
    """
    losses = _losses(logits, labels, TEMPERATURES)
    return float(TEMPERATURES[int(np.argmin(losses))]) if losses else 1.0


def fit_mixing_weight(one: Tensor, two: Tensor, labels: Tensor, groups: Sequence[str]) -> float:
    """Fit the weight of the second of two logits (N,) in their mean, from 0 to 1 (stacking, Wolpert 1992).

    The weighted mean, at its best temperature, fits the labels (N,) best; 0.5 if a class is missing. All
    tracks `groups` have equal weight, because the errors of clips of a track are correlated.
    """
    _, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weights = torch.from_numpy(1 / counts[index])
    losses = [_losses(one + w * (two - one), labels, COARSE_TEMPERATURES, weights) for w in MIXING_WEIGHTS]
    return float(MIXING_WEIGHTS[int(np.argmin([min(of_weight, default=0.0) for of_weight in losses]))])


def _losses(
    logits: Tensor, labels: Tensor, temperatures: np.ndarray, weights: Tensor | None = None
) -> list[float]:
    """Compute the loss against smoothed labels for each temperature; empty if a class is missing."""
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
    """Reliability diagram of the probability of the second class, in ten bins of equal width.

    Empty bins are left out.

    Attributes:
        predicted: mean probability per bin.
        observed: fraction of the second class per bin.
        counts: clips per bin.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of clips."""
        return sum(self.counts)

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015); NaN without clips, biased upwards for few."""
        distances = [
            n * abs(predicted - observed)
            for predicted, observed, n in zip(self.predicted, self.observed, self.counts, strict=True)
        ]
        return sum(distances) / self.n if self.n else math.nan


def reliability(probabilities: Tensor, labels: Tensor) -> Reliability:
    """Compare probabilities (N,) of the second class with labels (N,) of 0 and 1."""
    predicted, observed = probabilities.double().numpy(), (labels > 0).double().numpy()
    index = np.minimum((predicted * BINS).astype(int), BINS - 1)
    bins = [index == number for number in range(BINS) if (index == number).any()]
    means = [tuple(float(values[rows].mean()) for rows in bins) for values in (predicted, observed)]
    return Reliability(means[0], means[1], tuple(int(rows.sum()) for rows in bins))
