"""First lines of classify.html: the verdict as sentences, its thresholds, and numbers of the outcomes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_audio.reports.html import GOOD, POOR, Score
from cyclegan_audio.reports.separability.logistic_regression import (
    BANDS,
    PIXELS,
    RANDOM_SPLIT,
    SPLIT_BY_TRACK,
    LabelledClips,
    Outcome,
)
from cyclegan_audio.statistics.estimates import Estimate

MIN_SEPARABLE = 0.6
MAX_SINGLE_FEATURE = 0.9
MAX_LEAK = 0.03
PAPER_ACCURACY = 0.9368  # of 380 clips: 24 errors
PAPER_INTERVAL = (0.908, 0.957)  # 95 %, Wilson
RULES = (
    "Thresholds: the genres are not separable if the 95 % interval of the better feature set, split by "
    f"track, reaches below {MIN_SEPARABLE:.0%}. A single feature separates them if its accuracy, split by "
    f"track, is at least {MAX_SINGLE_FEATURE:.0%}. The random split is too optimistic if its accuracy "
    f"exceeds the split by track by more than {MAX_LEAK:.0%}."
)
OVERALL = (
    "Balanced accuracy on tracks that the classifier did not learn from. It should be clearly above "
    "guessing, or a model cannot learn the difference."
)
SINGLE = (
    "Balanced accuracy from {name} only. It should stay below {limit:.0%}, or a model learns {name} before "
    "any music."
)

Key = tuple[str, str, str]


def group_outcomes(outcomes: Sequence[Outcome]) -> dict[Key, list[Outcome]]:
    """Group outcomes of all seeds by (features, protocol, solver), in order."""
    groups: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.features, outcome.protocol, outcome.solver), []).append(outcome)
    return groups


def accuracy_summary(outcomes: Sequence[Outcome], clips: LabelledClips) -> dict[str, Any]:
    """Summarise accuracy over seeds: by seed, mean, standard deviation, and the mean interval of a seed."""
    estimates = [outcome.accuracy(clips) for outcome in outcomes]
    means = [value.mean for value in estimates]
    return {
        "features": outcomes[0].features,
        "protocol": outcomes[0].protocol,
        "solver": outcomes[0].solver,
        "accuracy": float(np.mean(means)),
        "low": float(np.mean([value.low for value in estimates])),
        "high": float(np.mean([value.high for value in estimates])),
        "sd_over_seeds": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        "by_seed": means,
        "clips_tested": estimates[0].n,
        "strengths_c": [c for outcome in outcomes for c in outcome.c_values],
        "confusion": confusion_matrix(outcomes, clips).tolist(),
    }


def confusion_matrix(outcomes: Sequence[Outcome], clips: LabelledClips) -> np.ndarray:
    """Count predictions (2, 2) of the first seed: true genre by row, predicted genre by column."""
    first = outcomes[0]
    counts = np.zeros((2, 2), dtype=int)
    np.add.at(counts, (clips.labels[first.rows].astype(int), (first.logits > 0).astype(int)), 1)
    return counts


def verdict_sentences(
    summaries: Mapping[Key, Mapping[str, Any]],
    single_features: Mapping[str, Estimate],
    genres: tuple[str, str],
) -> list[str]:
    """Return the verdict: whether the genres are separable, by which features, and warnings."""
    by_track = {name: summaries[name, SPLIT_BY_TRACK, "lbfgs"] for name in (PIXELS, BANDS)}
    best = max(by_track, key=lambda name: by_track[name]["accuracy"])
    value = by_track[best]
    a, b = genres
    accuracy = (
        f"{value['accuracy']:.1%} ({value['low']:.1%} to {value['high']:.1%}) by {best}, split by track"
    )
    sentences = [f"{a} and {b} are separable: {accuracy}."]
    if value["low"] < MIN_SEPARABLE:
        sentences = [
            f"Warning: {a} and {b} are not reliably separable: {accuracy}. Prepare more music, or music "
            "that is more typical of its genre, before you train a translation between them."
        ]
    for name, estimate in single_features.items():
        if estimate.mean >= MAX_SINGLE_FEATURE:
            sentences.append(
                f"Warning: {name} alone separates them ({estimate.mean:.1%}), so a model will learn that "
                f"first. Choose music whose {name} is similar in both genres."
            )
    random_accuracy = summaries[best, RANDOM_SPLIT, "lbfgs"]["accuracy"]
    if random_accuracy > value["accuracy"] + MAX_LEAK:
        sentences.append(
            f"The random split is too optimistic ({random_accuracy:.1%}): training and test share tracks."
        )
    return sentences


def separability_scores(
    summaries: Mapping[Key, Mapping[str, Any]], single_features: Mapping[str, Estimate]
) -> list[Score]:
    """Return the scorecard: accuracy split by track, from guessing to always right, and single features."""
    scores = []
    for name in (PIXELS, BANDS):
        value = summaries[name, SPLIT_BY_TRACK, "lbfgs"]
        is_separable = value["low"] >= MIN_SEPARABLE
        accuracy = Estimate(value["accuracy"], math.nan, value["low"], value["high"], 0, 0)
        verdict = ("yes", GOOD) if is_separable else ("not reliably", POOR)
        scores.append(_score(f"Told apart by {name}", *verdict, OVERALL, accuracy, MIN_SEPARABLE))
    for name, accuracy in single_features.items():
        verdict = ("yes", POOR) if accuracy.mean >= MAX_SINGLE_FEATURE else ("no", GOOD)
        definition = SINGLE.format(name=name, limit=MAX_SINGLE_FEATURE)
        scores.append(
            _score(f"Told apart by {name} alone", *verdict, definition, accuracy, MAX_SINGLE_FEATURE)
        )
    return scores


def _score(name: str, verdict: str, tone: str, definition: str, accuracy: Estimate, limit: float) -> Score:
    place, low, high, limit_place = (2 * x - 1 for x in (accuracy.mean, accuracy.low, accuracy.high, limit))
    value = f"{accuracy.mean:.0%} ({accuracy.low:.0%} to {accuracy.high:.0%})"
    return Score(
        name, verdict, tone, definition, (place, low, high), ("guessing", "always right"), limit_place, value
    )


def solver_sentence(summaries: Mapping[Key, Mapping[str, Any]]) -> str:
    """Return which solver is nearer to the paper's accuracy, on pixels with a random split."""
    accuracies = {solver: summaries[PIXELS, RANDOM_SPLIT, solver]["accuracy"] for solver in ("lbfgs", "saga")}
    nearer = min(accuracies, key=lambda solver: abs(accuracies[solver] - PAPER_ACCURACY))
    listed = ", ".join(f"{solver} {accuracy:.2%}" for solver, accuracy in accuracies.items())
    low, high = PAPER_INTERVAL
    return (
        f"The paper's accuracy for lo-fi and trap is {PAPER_ACCURACY:.2%} ({low:.1%} to {high:.1%}, n = "
        f"380); here {listed}: {nearer} is nearer."
    )
