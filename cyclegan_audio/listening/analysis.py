"""What the listeners said: mean scores, differences between systems, and ABX, each with its interval."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cyclegan_audio.listening.responses import Abx, Answers, Rating
from cyclegan_audio.statistics.estimates import Estimate, two_way_mean
from cyclegan_audio.statistics.significance import holm

LOW, HIGH = 0.0, 100.0
ALL = "both directions"


@dataclasses.dataclass(frozen=True)
class Mean:
    """The score of a system in a question and a direction (or `ALL`)."""

    question: str
    way: str
    system: str
    role: str
    score: Estimate


@dataclasses.dataclass(frozen=True)
class Contrast:
    """`second` minus `first` in a question, by the same listeners on the same items; p corrected by Holm."""

    question: str
    first: str
    second: str
    difference: Estimate
    p: float
    corrected: float


@dataclasses.dataclass(frozen=True)
class Told:
    """ABX of two systems over all listeners, with the exact interval (Clopper, Pearson) of the share right.

    p is that of as many right ones by guessing; the trials of one listener are taken as independent.
    """

    systems: tuple[str, str]
    right: int
    n: int
    low: float
    high: float
    p: float
    corrected: float
    by_listener: dict[str, tuple[int, int]]


def means(answers: Sequence[Answers]) -> list[Mean]:
    """Average the scores of every system by question and direction, both directions first."""
    ratings = [rating for one in answers for rating in one.ratings]
    out = []
    for name, question in answers[0].questions.items():
        own = [rating for rating in ratings if rating.question == name]
        for way in (ALL, *sorted({rating.way for rating in own})):
            here = [rating for rating in own if way in (ALL, rating.way)]
            for system in dict.fromkeys(_systems(question, answers[0].runs)):
                scores = [rating for rating in here if rating.system == system]
                if scores:
                    score, _ = _over([(rating, rating.score) for rating in scores])
                    out.append(Mean(name, way, system, _role(question, system), score.clamp(LOW, HIGH)))
    return out


def contrasts(answers: Sequence[Answers]) -> list[Contrast]:
    """Compare the other runs with the first one, and every run with the question's baselines."""
    runs = answers[0].runs
    ratings = [rating for one in answers for rating in one.ratings]
    found = []
    for name, question in answers[0].questions.items():
        pairs = [(runs[0], run) for run in runs[1:]] + [(b, run) for b in question["beside"] for run in runs]
        for first, second in pairs:
            score = {
                (r.listener, r.way, r.item): r.score
                for r in ratings
                if (r.question, r.system) == (name, first)
            }
            other = [r for r in ratings if (r.question, r.system) == (name, second)]
            both = [(r, r.score - score[key]) for r in other if (key := (r.listener, r.way, r.item)) in score]
            if both:
                found.append((name, first, second, *_over(both)))
    corrected = holm([p for *_, p in found])
    return [Contrast(*values, better) for values, better in zip(found, corrected, strict=True)]


def _over(values: Sequence[tuple[Rating, float]]) -> tuple[Estimate, float]:
    return two_way_mean(
        [value for _, value in values],
        [rating.listener for rating, _ in values],
        [f"{rating.way} {rating.item}" for rating, _ in values],
    )


def _systems(question: dict[str, Any], runs: Sequence[str]) -> list[str]:
    return [question["hidden"], *runs, *question["beside"], question["anchor"]]


def _role(question: dict[str, Any], system: str) -> str:
    roles = {question["anchor"]: "anchor", question["hidden"]: "hidden best"}
    return roles.get(system, "baseline" if system in question["beside"] else "run")


def told_apart(answers: Sequence[Answers]) -> list[Told]:
    """Test each pair of systems by ABX."""
    from scipy.stats import binomtest

    trials = [trial for one in answers for trial in one.abx]
    tests = []
    for systems in dict.fromkeys(trial.systems for trial in trials):
        own = [trial for trial in trials if trial.systems == systems]
        right = sum(trial.is_right for trial in own)
        low, high = binomtest(right, len(own)).proportion_ci(0.95, "exact")
        p = float(binomtest(right, len(own), alternative="greater").pvalue)
        tests.append((systems, right, len(own), float(low), float(high), p, _counts(own)))
    corrected = holm([test[5] for test in tests])
    return [Told(*test[:6], better, test[6]) for test, better in zip(tests, corrected, strict=True)]


def _counts(trials: Sequence[Abx]) -> dict[str, tuple[int, int]]:
    """(right, all) by listener."""
    out = {}
    for name in dict.fromkeys(trial.listener for trial in trials):
        own = [trial.is_right for trial in trials if trial.listener == name]
        out[name] = sum(own), len(own)
    return out
