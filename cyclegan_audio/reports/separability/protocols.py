"""How clips are shared between training and test: the paper's random draw, and tracks kept apart."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cyclegan_audio.metrics.genre_classifier.linear import OUTLIER, LinearFit, fit_logistic
from cyclegan_audio.reports.separability.features import Features
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.proportions import balanced_accuracy
from cyclegan_audio.statistics.resampling import track_folds
from cyclegan_audio.utils.errors import UserError

RANDOM, APART = "random draw", "tracks apart"


@dataclasses.dataclass(frozen=True)
class Clips:
    """What a protocol knows of N clips: genre as 0 or 1 (N,), and the track (or block of time) of each."""

    labels: np.ndarray
    tracks: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One seed of one protocol: the logits of the clips that were tested.

    Attributes:
        rows: which clips, (n,).
        logits: of the second genre, each by a fit that has not seen the clip.
        weight: (D,) of the features as given, the mean over fits.
        strengths: C that each fit chose.
    """

    features: str
    protocol: str
    solver: str
    seed: int
    rows: np.ndarray
    logits: np.ndarray
    weight: np.ndarray
    strengths: tuple[float, ...]

    def accuracy(self, clips: Clips) -> Estimate:
        """Compute balanced accuracy; with a random draw each clip counts as a track of its own."""
        labels = clips.labels[self.rows]
        groups = self.rows if self.protocol == RANDOM else clips.tracks[self.rows]
        correct = (self.logits > 0) == (labels > 0)
        return balanced_accuracy(correct.tolist(), labels.tolist(), [str(group) for group in groups])


def draw_sizes(clips: Clips, n_train: int, n_test: int) -> tuple[int, int]:
    """Choose clips a genre for training and test: as wanted, or in that proportion of the smaller genre."""
    available = int(min((clips.labels == label).sum() for label in (0, 1)))
    if available >= n_train + n_test:
        return n_train, n_test
    train = round(available * n_train / (n_train + n_test))
    if train < 2 or available - train < 1:
        raise UserError(f"{available} clips of a genre are too few to train and test on; prepare more music")
    return train, available - train


def random_draw(
    features: Features,
    clips: Clips,
    sizes: tuple[int, int],
    seed: int,
    solver: str = "lbfgs",
    strengths: Sequence[float] | None = None,
) -> Outcome:
    """Follow the paper's protocol: clips drawn at random, neighbours in time on both sides."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(clips.labels == label))[: sum(sizes)] for label in (0, 1)]
    train, test = (
        np.concatenate(part) for part in zip(*((d[: sizes[0]], d[sizes[0] :]) for d in drawn), strict=True)
    )
    fit, logits = _fit_and_judge(
        features, clips.labels, np.arange(len(clips)).astype(str), train, test, solver, seed, strengths
    )
    return Outcome(features.name, RANDOM, solver, seed, test, logits, fit.weight, (fit.c,))


def tracks_apart(features: Features, clips: Clips, n_folds: int, seed: int) -> Outcome:
    """Cross-validate over tracks: every clip is tested once, by a fit that knows nothing of its track.

    Raises:
        UserError: a genre has a single track.
    """
    folds = track_folds(clips.labels, clips.tracks.tolist(), n_folds, seed)
    if not folds:
        raise UserError(
            "a genre has clips of one track only, so that tracks cannot be kept apart; prepare more tracks, "
            "or shorter blocks by split.by=block split.block_s=60"
        )
    logits, weights, strengths = np.zeros(len(clips)), [], []
    for train, test in folds:
        fit, logits[test] = _fit_and_judge(features, clips.labels, clips.tracks, train, test, "lbfgs", seed)
        weights.append(fit.weight)
        strengths.append(fit.c)
    rows, weight = np.arange(len(clips)), np.mean(weights, axis=0)
    return Outcome(features.name, APART, "lbfgs", seed, rows, logits, weight, tuple(strengths))


def _fit_and_judge(
    features: Features,
    labels: np.ndarray,
    groups: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    solver: str,
    seed: int,
    strengths: Sequence[float] | None = None,
) -> tuple[LinearFit, np.ndarray]:
    """Fit on rows `train`, C chosen inside them; returns the fit and the logits (n,) of rows `test`."""
    x = features.values
    if features.standardise:
        x = np.clip((x - x[train].mean(0)) / np.maximum(x[train].std(0), 1e-9), -OUTLIER, OUTLIER)
    chosen = strengths or features.strengths
    fit = fit_logistic(x[train], labels[train], groups[train].tolist(), chosen, solver, seed)
    return fit, fit.logits(x[test])


def run_protocols(
    feature_sets: Sequence[Features],
    clips: Clips,
    sizes: tuple[int, int],
    n_seeds: int,
    n_folds: int,
    on_fit: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Yield all outcomes: each feature set by both protocols and all seeds; pixels by two solvers.

    The stochastic solver minimises the same loss with the C that was chosen for L-BFGS.
    """
    for features in feature_sets:
        for seed in range(n_seeds):
            drawn = random_draw(features, clips, sizes, seed)
            yield drawn
            if features is feature_sets[0]:
                yield random_draw(features, clips, sizes, seed, "saga", drawn.strengths)
            on_fit()
            yield tracks_apart(features, clips, n_folds, seed)
            on_fit()
