"""Logistic regression of genres: features of clips, and protocols of training and test."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.band_statistics import STATISTIC_NAMES, band_features
from cyclegan_audio.metrics.genre_classifier.linear import (
    OUTLIER,
    LinearFit,
    fit_logistic,
    project_to_row_space,
)
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.jackknife import track_folds
from cyclegan_audio.statistics.proportions import balanced_accuracy
from cyclegan_audio.utils.errors import UserError

IMAGE_SIZE = (256, 256)  # as in the paper
PIXELS, BANDS = "pixels", "band statistics"
RANDOM_SPLIT, SPLIT_BY_TRACK = "random split", "split by track"


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of N clips.

    Attributes:
        name: pixels or band statistics.
        values: (N, D).
        standardise: whether to scale each feature to mean 0 and standard deviation 1 over the training clips,
            and to clip outliers.
        c_values: values of C (inverse strength of the penalty) to choose from.
        to_image: (D, P) maps weights to an image; None where the weights are the image.
        shape: shape of the image: bands and frames, or statistics and bands (without covariances of bands).
    """

    name: str
    values: np.ndarray
    standardise: bool
    c_values: tuple[float, ...]
    to_image: np.ndarray | None
    shape: tuple[int, int]

    def weight_image(self, weight: np.ndarray) -> np.ndarray:
        """Turn weights (D,) into an image of `shape`, low bands first."""
        image = weight if self.to_image is None else weight @ self.to_image
        return image[: self.shape[0] * self.shape[1]].reshape(self.shape)


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
        features, protocol, solver, seed: settings of the fits.
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


def pixel_features(mels_db: Tensor, c_values: tuple[float, ...]) -> Features:
    """Turn mels (N, M, F) into grey images of 256 x 256, each scaled from its minimum (0) to its maximum (1).

    The 65,536 pixels are projected onto the N directions that N clips span. Distances and products of clips
    do not change, so a regression with an L2 penalty gives the same predictions, many times faster.
    """
    low, high = mels_db.amin((1, 2), keepdim=True), mels_db.amax((1, 2), keepdim=True)
    grey = (mels_db - low) / (high - low).clamp_min(1e-6)
    image = F.interpolate(grey[:, None], IMAGE_SIZE, mode="bilinear", align_corners=False).flatten(1)
    image -= image.mean(0)
    projected, to_image = project_to_row_space(image.numpy())
    return Features(PIXELS, projected, False, c_values, to_image, IMAGE_SIZE)


def band_statistics_features(mels_db: Tensor, frame_s: float, c_values: tuple[float, ...]) -> Features:
    """Compute statistics of each band over time and covariances of bands: (N, M, F) to (N, D)."""
    statistics = band_features(mels_db, frame_s).double().numpy()
    return Features(BANDS, statistics, True, c_values, None, (len(STATISTIC_NAMES), mels_db.shape[1]))


def single_feature(values: Tensor, name: str) -> Features:
    """Use one number for each clip (N,) as the only feature."""
    return Features(name, values[:, None].double().numpy(), True, (1.0,), None, (1, 1))


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
