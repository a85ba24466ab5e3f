"""Train the linear genre classifier: logistic regression regularised by cross-validation over tracks."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.metrics.band_statistics import N_COVARIANCES, STATISTIC_NAMES, band_features
from cyclegan_audio.metrics.genre_classifier.augmentation import low_pass, sample_cutoffs_hz
from cyclegan_audio.metrics.genre_classifier.network import OUTLIER
from cyclegan_audio.statistics.jackknife import track_folds

INNER_FOLDS = 3
C_VALUES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # C of scikit-learn, for standardised features
MAX_ITERATIONS = 1000
MIN_EIGENVALUE = 1e-9  # relative to the largest; smaller ones are rounding errors


@dataclasses.dataclass(frozen=True)
class LinearFit:
    """Weights (D,) and bias of a logistic regression, and the C that cross-validation chose."""

    weight: np.ndarray
    bias: float
    c: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Compute logits (N,) of features (N, D)."""
        return features @ self.weight + self.bias


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    strengths: Sequence[float] = C_VALUES,
    solver: str = "lbfgs",
    seed: int = 0,
) -> LinearFit:
    """Fit a logistic regression to features (N, D) and labels (N,) of 0 and 1.

    Args:
        features: (N, D), standardised.
        labels: (N,).
        groups: the track of each row; the inner folds that select C keep tracks together.
        strengths: values of C to select from; the strongest regularisation wins a tie.
        solver: solver of scikit-learn, `lbfgs` or the stochastic `saga`.
        seed: seed of folds and of the stochastic solver.
    """
    scores = _inner_scores(features, labels, np.asarray(groups), strengths, solver, seed)
    return next(_regularisation_path(features, labels, [strengths[int(np.argmax(scores))]], solver, seed))


def _inner_scores(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, strengths: Sequence[float],
    solver: str, seed: int,
) -> np.ndarray:  # fmt: skip
    """Compute the mean log likelihood of held-out tracks for each C; 0 if there are no folds."""
    likelihoods = np.zeros(len(strengths))
    folds = track_folds(labels, groups.tolist(), INNER_FOLDS, seed)
    if not folds:
        return likelihoods
    for train, test in folds:
        for index, fit in enumerate(
            _regularisation_path(features[train], labels[train], strengths, solver, seed)
        ):
            logits = fit.logits(features[test])
            likelihoods[index] -= float(np.logaddexp(0, np.where(labels[test] > 0, -logits, logits)).sum())
    return likelihoods / len(labels)


def _regularisation_path(
    features: np.ndarray, labels: np.ndarray, strengths: Sequence[float], solver: str, seed: int
) -> Iterator[LinearFit]:
    """Yield the fit for each C, each started from the previous one, in the row space of the features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        solver=solver, class_weight="balanced", max_iter=MAX_ITERATIONS, random_state=seed, warm_start=True
    )
    projected, basis = (
        project_to_row_space(features) if features.shape[1] > len(features) else (features, None)
    )
    for c in strengths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # inner folds score unconverged fits
            model.set_params(C=c).fit(projected, labels)
        weight = model.coef_[0].copy()
        yield LinearFit(weight if basis is None else weight @ basis, float(model.intercept_[0]), c)


def project_to_row_space(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project features (N, D) onto an orthonormal basis of their row space, of at most N dimensions.

    Distances and inner products of clips are preserved, so that a regression with an L2 penalty gives the
    same predictions, many times faster for large D.

    Returns:
        Projected features (N, K), and the basis (K, D), which maps weights (K,) to weights (D,).
    """
    values, vectors = np.linalg.eigh((features @ features.T).astype(float))
    nonzero = values > MIN_EIGENVALUE * values[-1]
    lengths = np.sqrt(values[nonzero])
    basis = (vectors[:, nonzero] / lengths).T.astype(features.dtype) @ features
    return vectors[:, nonzero] * lengths, basis


class LinearNet(nn.Module):
    """Logistic regression on band statistics and covariances: mels in dB (N, M, F) to logits (N,).

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
        """Compute standardised statistics (N, D) of mels (N, M, F), which are independent of genre labels."""
        return self.standardise(band_features(mels_db, self.frame_s))

    def standardise(self, statistics: Tensor) -> Tensor:
        """Standardise statistics (N, D) by the training clips, clipped so that no outlier dominates."""
        return ((statistics - self.mean) / self.scale).clamp(-OUTLIER, OUTLIER)

    def forward(self, mels_db: Tensor) -> Tensor:
        """Compute logits (N,) of mels (N, M, F)."""
        return self.embed(mels_db) @ self.weight + self.bias


def train_linear(
    mels_db: Tensor, labels: Tensor, groups: Sequence[str], band_hz: Tensor, frame_s: float, seed: int = 0
) -> tuple[LinearNet, Tensor]:
    """Train on mels (N, M, F) with labels (N,) of 0 and 1 and their tracks.

    Each clip is used twice, once with a random low-pass, so that predictions do not depend on bandwidth.

    Returns:
        The classifier, and cross-validated logits (N,) of the clips without low-pass, by regressions of the
        same C that were trained without the clip's fold of tracks (NaN if a genre has one track).
    """
    net = LinearNet(mels_db.shape[1], frame_s)
    random = torch.Generator().manual_seed(seed)
    cutoff_hz = sample_cutoffs_hz(len(mels_db), random)
    versions = (mels_db, low_pass(mels_db, band_hz, cutoff_hz))
    statistics = torch.cat([band_features(m, frame_s) for m in versions])
    net.mean.copy_(statistics.mean(0))
    net.scale.copy_(statistics.std(0, correction=0).clamp_min(1e-6))
    features = net.standardise(statistics).numpy()
    labels_twice, groups_twice = labels.repeat(2).numpy(), [*groups, *groups]
    fit = fit_logistic(features, labels_twice, groups_twice, seed=seed)
    net.weight.copy_(torch.from_numpy(fit.weight))
    net.bias.fill_(fit.bias)
    held_out = torch.full((len(labels_twice),), torch.nan)
    for train, test in track_folds(labels_twice, groups_twice, INNER_FOLDS, seed):
        fold_fit = next(_regularisation_path(features[train], labels_twice[train], [fit.c], "lbfgs", seed))
        held_out[test] = torch.from_numpy(fold_fit.logits(features[test])).float()
    return net, held_out[: len(labels)]
