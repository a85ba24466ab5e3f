"""Logistic regression: its regularisation chosen by cross-validation over tracks, its weights as a module."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.metrics.band_statistics import N_COVARIANCES, STATISTIC_NAMES, band_features
from cyclegan_audio.metrics.genre_classifier.augmentation import low_pass, sample_cutoffs_hz
from cyclegan_audio.metrics.genre_classifier.network import OUTLIER
from cyclegan_audio.statistics.resampling import track_folds

INNER_FOLDS = 3
C_VALUES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # C of scikit-learn, for standardised features
MAX_ITERATIONS = 1000
MIN_EIGENVALUE = 1e-9  # of the largest eigenvalue: directions below are rounding


@dataclasses.dataclass(frozen=True)
class LinearFit:
    """Weights (D,) and bias of a logistic regression, and the C that cross-validation chose."""

    weight: np.ndarray
    bias: float
    c: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, D) to (N,)."""
        return features @ self.weight + self.bias


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    strengths: Sequence[float] = C_VALUES,
    solver: str = "lbfgs",
    seed: int = 0,
) -> LinearFit:
    """Fit to features (N, D) and labels (N,) of 0 and 1.

    Args:
        groups: tracks; the inner folds that choose among `strengths` keep each whole.
        strengths: values of C; the strongest regularisation wins a tie.
        solver: of scikit-learn: `lbfgs`, or `saga`, the stochastic one.
        seed: of folds and of the stochastic solver.
    """
    scores = _inner_scores(features, labels, np.asarray(groups), strengths, solver, seed)
    return next(_regularisation_path(features, labels, [strengths[int(np.argmax(scores))]], solver, seed))


def _inner_scores(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, strengths: Sequence[float],
    solver: str, seed: int,
) -> np.ndarray:  # fmt: skip
    """Mean log likelihood of left-out tracks for each C; 0 where none can be left out."""
    likelihoods = np.zeros(len(strengths))
    folds = track_folds(labels, groups.tolist(), INNER_FOLDS, seed)
    if not folds:
        return likelihoods
    for train, test in folds:
        for place, fit in enumerate(
            _regularisation_path(features[train], labels[train], strengths, solver, seed)
        ):
            logits = fit.logits(features[test])
            likelihoods[place] -= float(np.logaddexp(0, np.where(labels[test] > 0, -logits, logits)).sum())
    return likelihoods / len(labels)


def _regularisation_path(
    features: np.ndarray, labels: np.ndarray, strengths: Sequence[float], solver: str, seed: int
) -> Iterator[LinearFit]:
    """Fits for each C, each from where the one before ended, in the directions that the clips span."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        solver=solver, class_weight="balanced", max_iter=MAX_ITERATIONS, random_state=seed, warm_start=True
    )
    turned, back = project_to_row_space(features) if features.shape[1] > len(features) else (features, None)
    for c in strengths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # inner folds classifier what it leaves
            model.set_params(C=c).fit(turned, labels)
        weight = model.coef_[0].copy()
        yield LinearFit(weight if back is None else weight @ back, float(model.intercept_[0]), c)


def project_to_row_space(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Express features (N, D) in the at most N directions that they span, and return these directions.

    Distances and products of clips stay as they are, so that a regression with an L2 penalty gives the same
    verdicts, many times faster where D is large.

    Returns:
        (N, K), and (K, D) with which weights (K,) turn back to weights (D,).
    """
    values, vectors = np.linalg.eigh((features @ features.T).astype(float))
    kept = values > MIN_EIGENVALUE * values[-1]
    lengths = np.sqrt(values[kept])
    back = (vectors[:, kept] / lengths).T.astype(features.dtype) @ features
    return vectors[:, kept] * lengths, back


class LinearNet(nn.Module):
    """Logistic regression on band statistics and relations of bands: mels in dB (N, M, F) to a logit (N,).

    Args:
        n_mels: M.
        frame_s: seconds from frame to frame.
    """

    def __init__(self, n_mels: int, frame_s: float) -> None:
        super().__init__()
        size = len(STATISTIC_NAMES) * n_mels + N_COVARIANCES
        self.frame_s = frame_s
        self.mean = nn.Buffer(torch.zeros(size))
        self.scale = nn.Buffer(torch.ones(size))
        self.weight = nn.Buffer(torch.zeros(size))
        self.bias = nn.Buffer(torch.zeros(()))

    def embed(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to standardised statistics (N, D): they know nothing of genre."""
        return self.standardise(band_features(mels_db, self.frame_s))

    def standardise(self, statistics: Tensor) -> Tensor:
        """(N, D) as seen from the training clips, clipped: one odd statistic decides nothing."""
        return ((statistics - self.mean) / self.scale).clamp(-OUTLIER, OUTLIER)

    def forward(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to logits (N,)."""
        return self.embed(mels_db) @ self.weight + self.bias


def train_linear(
    mels_db: Tensor, labels: Tensor, groups: Sequence[str], band_hz: Tensor, frame_s: float, seed: int = 0
) -> tuple[LinearNet, Tensor]:
    """Fit to mels (N, M, F) with labels (N,) of 0 and 1 and their tracks.

    Each clip counts twice, as it is and without what lies above a random frequency, so that the verdict does
    not hang on bandwidth.

    Returns:
        The regression, and for each clip as it is the logit (N,) by one of the same C that knew nothing of
        the third of the tracks that the clip is in (NaN where a genre has one track).
    """
    net = LinearNet(mels_db.shape[1], frame_s)
    random = torch.Generator().manual_seed(seed)
    cutoff_hz = sample_cutoffs_hz(len(mels_db), random)
    both = (mels_db, low_pass(mels_db, band_hz, cutoff_hz))
    statistics = torch.cat([band_features(m, frame_s) for m in both])
    net.mean.copy_(statistics.mean(0))
    net.scale.copy_(statistics.std(0, correction=0).clamp_min(1e-6))
    features = net.standardise(statistics).numpy()
    twice, of_track = labels.repeat(2).numpy(), [*groups, *groups]
    fit = fit_logistic(features, twice, of_track, seed=seed)
    net.weight.copy_(torch.from_numpy(fit.weight))
    net.bias.fill_(fit.bias)
    given = torch.full((len(twice),), torch.nan)
    for train, test in track_folds(twice, of_track, INNER_FOLDS, seed):
        other = next(_regularisation_path(features[train], twice[train], [fit.c], "lbfgs", seed))
        given[test] = torch.from_numpy(other.logits(features[test])).float()
    return net, given[: len(labels)]
