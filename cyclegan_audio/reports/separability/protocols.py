"""Protocols of training and test clips: the paper's random split, and cross-validation by track."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cyclegan_audio.metrics.genre_classifier.linear import OUTLIER, LinearFit, fit_logistic
from cyclegan_audio.reports.separability.features import Features
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.folds import track_folds
from cyclegan_audio.statistics.proportions import balanced_accuracy
from cyclegan_audio.utils.errors import UserError

RANDOM_SPLIT, SPLIT_BY_TRACK = "random split", "split by track"


@dataclasses.dataclass(frozen=True)
class LabelledClips:
    """N clips of a protocol: genre as 0 or 1 (N,), and the track (or block of time) of each (N,)."""

    labels: np.ndarray
    tracks: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Test result of one protocol with one seed.

    Attributes:
        features, protocol, solver, seed: what was fitted and how.
        rows: indices (n,) of the tested clips.
        logits: logits (n,) of the second genre, each by a fit without this clip.
        weight: weights (D,) of the features, the mean over fits.
        c_values: the C of each fit.
    """

    features: str
    protocol: str
    solver: str
    seed: int
    rows: np.ndarray
    logits: np.ndarray
    weight: np.ndarray
    c_values: tuple[float, ...]

    def accuracy(self, clips: LabelledClips) -> Estimate:
        """Compute balanced accuracy with an interval over tracks, or over clips for a random split."""
        labels = clips.labels[self.rows]
        groups = self.rows if self.protocol == RANDOM_SPLIT else clips.tracks[self.rows]
        correct = (self.logits > 0) == (labels > 0)
        return balanced_accuracy(correct.tolist(), labels.tolist(), [str(group) for group in groups])


def split_sizes(clips: LabelledClips, n_train: int, n_test: int) -> tuple[int, int]:
    """Return clips of each genre to train and test on; with too few clips keep the proportion.

    Raises:
        UserError: there are fewer than two clips to train on, or none to test on.
    """
    available = int(min((clips.labels == label).sum() for label in (0, 1)))
    if available >= n_train + n_test:
        return n_train, n_test
    train = round(available * n_train / (n_train + n_test))
    if train < 2 or available - train < 1:
        raise UserError(f"{available} clips of a genre are too few to train and test; prepare more music")
    return train, available - train


def random_split(
    features: Features,
    clips: LabelledClips,
    sizes: tuple[int, int],
    seed: int,
    solver: str = "lbfgs",
    c_values: Sequence[float] | None = None,
) -> Outcome:
    """Split clips at random as the paper does, so neighbouring clips are in both training and test."""
    rng = np.random.default_rng(seed)
    split = [rng.permutation(np.flatnonzero(clips.labels == label))[: sum(sizes)] for label in (0, 1)]
    train, test = (
        np.concatenate(part) for part in zip(*((d[: sizes[0]], d[sizes[0] :]) for d in split), strict=True)
    )
    fit, logits = _fit_and_predict(
        features, clips.labels, np.arange(len(clips)).astype(str), train, test, solver, seed, c_values
    )
    return Outcome(features.name, RANDOM_SPLIT, solver, seed, test, logits, fit.weight, (fit.c,))


def cross_validate_tracks(features: Features, clips: LabelledClips, n_folds: int, seed: int) -> Outcome:
    """Cross-validate by track: every clip is tested once, by a fit without its track.

    Raises:
        UserError: a genre has a single track.
    """
    folds = track_folds(clips.labels, clips.tracks.tolist(), n_folds, seed)
    if not folds:
        raise UserError(
            "a genre has a single track, so clips cannot be split by track; prepare more tracks, "
            "or shorter blocks with split.by=block split.block_s=60"
        )
    logits, weights, c_values = np.zeros(len(clips)), [], []
    for train, test in folds:
        fit, logits[test] = _fit_and_predict(features, clips.labels, clips.tracks, train, test, "lbfgs", seed)
        weights.append(fit.weight)
        c_values.append(fit.c)
    rows, weight = np.arange(len(clips)), np.mean(weights, axis=0)
    return Outcome(features.name, SPLIT_BY_TRACK, "lbfgs", seed, rows, logits, weight, tuple(c_values))


def _fit_and_predict(
    features: Features,
    labels: np.ndarray,
    groups: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    solver: str,
    seed: int,
    c_values: Sequence[float] | None = None,
) -> tuple[LinearFit, np.ndarray]:
    """Fit on rows `train` with C chosen on them; return the fit and the logits (n,) of rows `test`."""
    x = features.values
    if features.standardise:
        x = np.clip((x - x[train].mean(0)) / np.maximum(x[train].std(0), 1e-9), -OUTLIER, OUTLIER)
    choices = c_values or features.c_values
    fit = fit_logistic(x[train], labels[train], groups[train].tolist(), choices, solver, seed)
    return fit, fit.logits(x[test])


def run_protocols(
    feature_sets: Sequence[Features],
    clips: LabelledClips,
    sizes: tuple[int, int],
    n_seeds: int,
    n_folds: int,
    on_fit: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Yield all outcomes: each feature set by both protocols and all seeds; pixels by two solvers.

    The stochastic solver minimises the same loss with the C that L-BFGS chose.
    """
    for features in feature_sets:
        for seed in range(n_seeds):
            split = random_split(features, clips, sizes, seed)
            yield split
            if features is feature_sets[0]:
                yield random_split(features, clips, sizes, seed, "saga", split.c_values)
            on_fit()
            yield cross_validate_tracks(features, clips, n_folds, seed)
            on_fit()
