"""What the outcomes say: a verdict in words with its thresholds, and the numbers for classify.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cyclegan_audio.reports.separability.features import BANDS, PIXELS
from cyclegan_audio.reports.separability.protocols import APART, RANDOM, Clips, Outcome
from cyclegan_audio.statistics.estimates import Estimate

SEPARABLE = 0.6
TRIVIAL = 0.9
LEAK = 0.03
PAPER_ACCURACY = 0.9368  # of 380 clips: 24 errors
PAPER_INTERVAL = (0.908, 0.957)  # 95 %, Wilson
RULES = (
    "Thresholds: genres cannot be told apart where the 95 % interval of the better feature set, tracks kept "
    f"apart, reaches below {SEPARABLE:.0%}; a single feature does it where it alone reaches {TRIVIAL:.0%}, "
    f"tracks kept apart; the random draw flatters where it exceeds tracks apart by more than {LEAK:.0%}."
)

Key = tuple[str, str, str]


def by_kind(outcomes: Sequence[Outcome]) -> dict[Key, list[Outcome]]:
    """Group outcomes of all seeds by (features, protocol, solver), in order."""
    kinds: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault((outcome.features, outcome.protocol, outcome.solver), []).append(outcome)
    return kinds


def summary(outcomes: Sequence[Outcome], clips: Clips) -> dict[str, Any]:
    """Summarise the accuracy of one kind: by seed, mean and spread, and the mean interval of one seed."""
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
        "strengths_c": [c for outcome in outcomes for c in outcome.strengths],
        "confusion": confusion(outcomes, clips).tolist(),
    }


def confusion(outcomes: Sequence[Outcome], clips: Clips) -> np.ndarray:
    """Count verdicts (2, 2) of the first seed: true genre by row, verdict by column."""
    first = outcomes[0]
    counts = np.zeros((2, 2), dtype=int)
    np.add.at(counts, (clips.labels[first.rows].astype(int), (first.logits > 0).astype(int)), 1)
    return counts


def sentences(
    summaries: Mapping[Key, Mapping[str, Any]], trivial: Mapping[str, Estimate], genres: tuple[str, str]
) -> list[str]:
    """Write the verdict: whether the genres can be told apart, by what, and what to beware of."""
    apart = {name: summaries[name, APART, "lbfgs"] for name in (PIXELS, BANDS)}
    best = max(apart, key=lambda name: apart[name]["accuracy"])
    value = apart[best]
    a, b = genres
    reached = (
        f"{value['accuracy']:.1%} ({value['low']:.1%} to {value['high']:.1%}) by {best}, tracks kept apart"
    )
    said = [f"{a} and {b} can be told apart: {reached}."]
    if value["low"] < SEPARABLE:
        said = [
            f"Warning: {a} and {b} cannot be told apart with confidence: {reached}. Training a translation "
            "between them is pointless until more, or clearer, music tells them apart."
        ]
    for name, estimate in trivial.items():
        if estimate.mean >= TRIVIAL:
            said.append(
                f"Warning: {name} alone tells them apart ({estimate.mean:.1%}): a model will learn that "
                f"first. Bring both genres to the same {name}."
            )
    drawn = summaries[best, RANDOM, "lbfgs"]["accuracy"]
    if drawn > value["accuracy"] + LEAK:
        said.append(f"The random draw flatters: {drawn:.1%}, as neighbours in time stand on both sides.")
    return said


def solver_sentence(summaries: Mapping[Key, Mapping[str, Any]]) -> str:
    """Say which solver comes nearer to the paper's figure, on pixels drawn at random."""
    accuracies = {solver: summaries[PIXELS, RANDOM, solver]["accuracy"] for solver in ("lbfgs", "saga")}
    nearer = min(accuracies, key=lambda solver: abs(accuracies[solver] - PAPER_ACCURACY))
    said = ", ".join(f"{solver} {accuracy:.2%}" for solver, accuracy in accuracies.items())
    low, high = PAPER_INTERVAL
    return (
        f"The paper's figure for lo-fi and trap is {PAPER_ACCURACY:.2%} ({low:.1%} to {high:.1%}, n = 380); "
        f"here {said}: {nearer} is nearer."
    )
