"""Answers that came back: read, checked, and without listeners who did not hear the reference."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.listening.page import FORMAT
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

REFERENCE_SCORE = 90
REFERENCE_MISSED = 0.15
RULE = (
    f"left out is who rates the hidden reference below {REFERENCE_SCORE} in more than "
    f"{100 * REFERENCE_MISSED:g} % of the trials (ITU-R BS.1534-3, 4.1.2)"
)


@dataclasses.dataclass(frozen=True)
class Rating:
    """One score, 0 to 100."""

    listener: str
    question: str
    way: str
    item: str
    system: str
    score: float


@dataclasses.dataclass(frozen=True)
class Abx:
    """One ABX trial; systems in alphabetical order."""

    listener: str
    systems: tuple[str, str]
    is_right: bool


@dataclasses.dataclass(frozen=True)
class Answers:
    """All that one listener said."""

    listener: str
    test: str
    finished: str
    runs: list[str]
    questions: dict[str, dict[str, Any]]
    ratings: list[Rating]
    abx: list[Abx]


def read(paths: Sequence[str | Path]) -> tuple[list[Answers], list[str]]:
    """Read the answers in files, one a listener (the last of several), with notes on what is not used.

    Raises:
        UserError: a file is damaged, of another kind, or answers another test than the others.
    """
    found: dict[str, Answers] = {}
    notes = []
    first: tuple[str, str | Path] | None = None
    for path in paths:
        answers = _read(Path(path))
        first = first or (answers.test, path)
        if answers.test != first[0]:
            raise UserError(f"{path} answers another listening test than {first[1]}; analyse each test alone")
        earlier = found.get(answers.listener)
        if earlier is not None:
            notes.append(f"{answers.listener} has answered more than once: the last answers count")
        if earlier is None or earlier.finished < answers.finished:
            found[answers.listener] = answers
    return list(found.values()), list(dict.fromkeys(notes))


def _read(path: Path) -> Answers:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        name = str(content["listener"])
        ratings = [
            Rating(
                name, str(r["question"]), str(r["way"]), str(r["item"]), str(r["system"]), _score(r["score"])
            )
            for r in content["ratings"]
        ]
        abx = [_abx(name, trial) for trial in content["abx"]]
        questions = {
            key: {part: value[part] for part in ("hidden", "anchor", "beside", "is_screened")}
            for key, value in content["questions"].items()
        }
        if any(rating.question not in questions for rating in ratings):
            raise ValueError("an unknown question")
        return Answers(
            name,
            str(content["test"]),
            str(content["finished"]),
            [str(run) for run in content["runs"]],
            questions,
            ratings,
            abx,
        )
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; check the path{suggest_path(path)}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no file of answers of a listening test ({error!r}); ask the listener for it "
            f"again, or leave it out{suggest_path(path)}"
        ) from error


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f"the score {value!r}")
    return float(value)


def _abx(listener: str, trial: Any) -> Abx:
    if trial["x"] not in ("a", "b") or trial["answer"] not in ("a", "b"):
        raise ValueError("an ABX trial without an answer")
    a, b = sorted((str(trial["a"]), str(trial["b"])))
    return Abx(listener, (a, b), trial["x"] == trial["answer"])


def miss_rate(answers: Answers) -> float:
    """Return the share of trials in which the hidden reference got less than 90; NaN where there is none."""
    hidden = [
        rating.score < REFERENCE_SCORE
        for rating in answers.ratings
        if answers.questions[rating.question]["is_screened"]
        and rating.system == answers.questions[rating.question]["hidden"]
    ]
    return sum(hidden) / len(hidden) if hidden else math.nan


def post_screen(answers: Sequence[Answers]) -> tuple[list[Answers], list[str]]:
    """Keep those who heard the hidden reference, with a note on each who did not."""
    lost = [a for a in answers if miss_rate(a) > REFERENCE_MISSED]
    notes = [
        f"{a.listener} is left out: missed the hidden reference in {100 * miss_rate(a):.0f} %" for a in lost
    ]
    return [a for a in answers if a not in lost], notes
