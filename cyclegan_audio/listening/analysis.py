"""Analysis of a listening test: mean scores, differences between systems, and ABX, with intervals."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cyclegan_audio.listening.responses import (
    SCREENING_RULE,
    AbxTrial,
    ListenerResponses,
    Rating,
    miss_rate,
)
from cyclegan_audio.statistics.estimates import Estimate, two_way_mean
from cyclegan_audio.statistics.significance import format_p, holm
from cyclegan_audio.utils.printing import echo, text_table

LOW, HIGH = 0.0, 100.0
ALL = "both directions"
FEW_LISTENERS = 6
EXPLANATION = (
    "The 95 % intervals generalise to other listeners and other clips: errors are clustered by listener and "
    "by clip (Student's t by the fewer of both). p is corrected by Holm over all rows of its table."
)


@dataclasses.dataclass(frozen=True)
class MeanScore:
    """Mean score of a system for a question in a direction (or `ALL`)."""

    question: str
    direction: str
    system: str
    role: str
    score: Estimate


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Score of `second` minus `first` for a question, by the same listeners on the same clips; p by Holm."""

    question: str
    first: str
    second: str
    difference: Estimate
    p: float
    p_corrected: float


@dataclasses.dataclass(frozen=True)
class AbxResult:
    """ABX result of two systems over all listeners.

    Attributes:
        systems: the pair, in alphabetical order.
        right, n: correct and all trials.
        low, high: exact 95 % interval (Clopper, Pearson) of the share of correct trials.
        p: probability of at least `right` correct trials by guessing; trials count as independent.
        p_corrected: p corrected by Holm over all pairs.
        by_listener: (correct, all) trials of each listener.
    """

    systems: tuple[str, str]
    right: int
    n: int
    low: float
    high: float
    p: float
    p_corrected: float
    by_listener: dict[str, tuple[int, int]]


def mean_scores(responses: Sequence[ListenerResponses]) -> list[MeanScore]:
    """Average the scores of every system by question and direction, both directions first."""
    ratings = [rating for one in responses for rating in one.ratings]
    out = []
    for name, question in responses[0].questions.items():
        of_question = [rating for rating in ratings if rating.question == name]
        for direction in (ALL, *sorted({rating.direction for rating in of_question})):
            in_direction = [rating for rating in of_question if direction in (ALL, rating.direction)]
            for system in dict.fromkeys(_systems(question, responses[0].runs)):
                of_system = [rating for rating in in_direction if rating.system == system]
                if of_system:
                    score, _ = _clustered_mean([(rating, rating.score) for rating in of_system])
                    role = _role(question, system)
                    out.append(MeanScore(name, direction, system, role, score.clamp(LOW, HIGH)))
    return out


def compare_systems(responses: Sequence[ListenerResponses]) -> list[Contrast]:
    """Compare the other runs with the first run, and every run with the baselines of the question."""
    runs = responses[0].runs
    ratings = [rating for one in responses for rating in one.ratings]
    contrasts = []
    for name, question in responses[0].questions.items():
        pairs = [(runs[0], run) for run in runs[1:]]
        pairs += [(baseline, run) for baseline in question["baselines"] for run in runs]
        for first, second in pairs:
            first_scores = {
                (r.listener, r.direction, r.item): r.score
                for r in ratings
                if (r.question, r.system) == (name, first)
            }
            second_ratings = [r for r in ratings if (r.question, r.system) == (name, second)]
            differences = [
                (r, r.score - first_scores[key])
                for r in second_ratings
                if (key := (r.listener, r.direction, r.item)) in first_scores
            ]
            if differences:
                contrasts.append((name, first, second, *_clustered_mean(differences)))
    p_corrected = holm([p for *_, p in contrasts])
    return [Contrast(*values, p) for values, p in zip(contrasts, p_corrected, strict=True)]


def _clustered_mean(values: Sequence[tuple[Rating, float]]) -> tuple[Estimate, float]:
    return two_way_mean(
        [value for _, value in values],
        [rating.listener for rating, _ in values],
        [f"{rating.direction} {rating.item}" for rating, _ in values],
    )


def _systems(question: dict[str, Any], runs: Sequence[str]) -> list[str]:
    return [question["hidden"], *runs, *question["baselines"], question["anchor"]]


def _role(question: dict[str, Any], system: str) -> str:
    roles = {question["anchor"]: "anchor", question["hidden"]: "hidden best"}
    return roles.get(system, "baseline" if system in question["baselines"] else "run")


def abx_results(responses: Sequence[ListenerResponses]) -> list[AbxResult]:
    """Test each pair of systems by ABX."""
    from scipy.stats import binomtest

    trials = [trial for one in responses for trial in one.abx]
    tests = []
    for systems in dict.fromkeys(trial.systems for trial in trials):
        of_pair = [trial for trial in trials if trial.systems == systems]
        right = sum(trial.is_right for trial in of_pair)
        low, high = binomtest(right, len(of_pair)).proportion_ci(0.95, "exact")
        p = float(binomtest(right, len(of_pair), alternative="greater").pvalue)
        tests.append((systems, right, len(of_pair), float(low), float(high), p, _count_by_listener(of_pair)))
    p_corrected = holm([test[5] for test in tests])
    return [AbxResult(*test[:6], p, test[6]) for test, p in zip(tests, p_corrected, strict=True)]


def _count_by_listener(trials: Sequence[AbxTrial]) -> dict[str, tuple[int, int]]:
    """Count (correct, all) trials of each listener."""
    out = {}
    for name in dict.fromkeys(trial.listener for trial in trials):
        is_right = [trial.is_right for trial in trials if trial.listener == name]
        out[name] = sum(is_right), len(is_right)
    return out


def analysis_numbers(responses: Sequence[ListenerResponses], notes: Sequence[str]) -> dict[str, Any]:
    """Return the analysis as plain values for analysis.json."""
    listeners = {one.listener: {"hidden_reference_missed": miss_rate(one)} for one in responses}
    count = len(responses)
    few = (
        f"there {'are' if count > 1 else 'is'} only {count} listener{'s' * (count > 1)}: intervals are rough"
    )
    few += ", and cover other clips only" * (count == 1)
    return {
        "test": responses[0].test,
        "listeners": listeners,
        "screening": SCREENING_RULE,
        "notes": [*notes, *([few] if count < FEW_LISTENERS else [])],
        "explanation": EXPLANATION,
        "means": [dataclasses.asdict(mean) for mean in mean_scores(responses)],
        "contrasts": [dataclasses.asdict(contrast) for contrast in compare_systems(responses)],
        "abx": [dataclasses.asdict(result) for result in abx_results(responses)],
    }


def print_analysis(numbers: dict[str, Any]) -> None:
    """Print the tables of `analysis_numbers`."""
    from rich.console import Console

    means = [
        [mean["question"], mean["system"], mean["role"], _format_interval(mean["score"])]
        for mean in numbers["means"]
        if mean["direction"] == ALL
    ]
    differences = [
        [row["question"], row["second"], row["first"], _format_interval(row["difference"], "+"),
         format_p(row["p_corrected"])]
        for row in numbers["contrasts"]
    ]  # fmt: skip
    abx = [
        [" and ".join(row["systems"]), f"{row['right']} of {row['n']}",
         f"{100 * row['right'] / row['n']:.0f} % ({100 * row['low']:.0f} to {100 * row['high']:.0f})",
         format_p(row["p_corrected"])]
        for row in numbers["abx"]
    ]  # fmt: skip
    echo(*numbers["notes"])
    console = Console()
    console.print(text_table("Scores, 0 to 100", ("question", "system", "role", "mean (95 %)"), means))
    if differences:
        header = ["question", "system", "against", "difference (95 %)", "p"]
        console.print(text_table("Differences", header, differences))
    if abx:
        header = ["systems", "correct", "share (95 %, exact)", "p"]
        console.print(text_table("ABX: can listeners hear a difference?", header, abx))
    console.print(numbers["explanation"], markup=False, highlight=False)


def _format_interval(value: dict[str, Any], sign: str = "") -> str:
    is_known = value["low"] == value["low"]
    ends = f" ({value['low']:{sign}.1f} to {value['high']:{sign}.1f})" if is_known else ""
    return f"{value['mean']:{sign}.1f}{ends}"
