"""Responses of listeners: read and check their files, and exclude those who miss the hidden reference."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.listening.page import FORMAT
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path
from cyclegan_audio.utils.regular_files import check_file

REFERENCE_SCORE = 90
MAX_MISS_RATE = 0.15
_MAX_BYTES = 16 << 20  # of a file; that of a long test has about 1e5
SCREENING_RULE = (
    f"listeners who rate the hidden reference below {REFERENCE_SCORE} in more than "
    f"{100 * MAX_MISS_RATE:g} % of the trials are excluded (ITU-R BS.1534-3, 4.1.2)"
)


@dataclasses.dataclass(frozen=True)
class Rating:
    """One score, 0 to 100."""

    listener: str
    question: str
    direction: str
    item: str
    system: str
    score: float


@dataclasses.dataclass(frozen=True)
class AbxTrial:
    """One ABX trial; systems in alphabetical order."""

    listener: str
    systems: tuple[str, str]
    is_right: bool


@dataclasses.dataclass(frozen=True)
class ListenerResponses:
    """All responses of one listener."""

    listener: str
    test: str
    finished: str
    runs: list[str]
    questions: dict[str, dict[str, Any]]
    ratings: list[Rating]
    abx: list[AbxTrial]


def read_responses(paths: Sequence[str | Path]) -> tuple[list[ListenerResponses], list[str]]:
    """Read files of answers, the latest of each listener; return responses and notes on unused files.

    Raises:
        UserError: a file is damaged, of another kind, or of another test than the others.
    """
    by_listener: dict[str, ListenerResponses] = {}
    notes = []
    first: tuple[str, str | Path] | None = None
    for path in paths:
        responses = _read(Path(path))
        first = first or (responses.test, path)
        if responses.test != first[0]:
            raise UserError(
                f"{path} belongs to another listening test than {first[1]}; analyse each test separately"
            )
        earlier = by_listener.get(responses.listener)
        if earlier is not None:
            notes.append(f"{responses.listener} answered more than once; the latest answers are used")
        if earlier is None or earlier.finished < responses.finished:
            by_listener[responses.listener] = responses
    return list(by_listener.values()), list(dict.fromkeys(notes))


def _read(path: Path) -> ListenerResponses:
    try:
        check_file(path, _MAX_BYTES)
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        name = str(content["listener"])
        ratings = [
            Rating(
                name,
                str(r["question"]),
                str(r["direction"]),
                str(r["item"]),
                str(r["system"]),
                _score(r["score"]),
            )
            for r in content["ratings"]
        ]
        abx = [_abx(name, trial) for trial in content["abx"]]
        questions = {key: _question(value) for key, value in content["questions"].items()}
        if any(rating.question not in questions for rating in ratings):
            raise ValueError("an unknown question")
        return ListenerResponses(
            name,
            str(content["test"]),
            str(content["finished"]),
            _texts(content["runs"]),
            questions,
            ratings,
            abx,
        )
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; check the path{suggest_path(path)}") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, UserError) as error:
        reason = str(error)[:80]
        raise UserError(
            f"{path} is not a file of answers of a listening test ({reason!r}); ask the listener for it "
            f"again, or omit it{suggest_path(path)}"
        ) from error


def _question(value: Any) -> dict[str, Any]:
    return {
        "hidden": str(value["hidden"]),
        "anchor": str(value["anchor"]),
        "baselines": _texts(value["baselines"]),
        "is_screened": bool(value["is_screened"]),
    }


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return [str(value) for value in values]


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f"the score {value!r}")
    return float(value)


def _abx(listener: str, trial: Any) -> AbxTrial:
    if trial["x"] not in ("a", "b") or trial["answer"] not in ("a", "b"):
        raise ValueError("an ABX trial without an answer")
    a, b = sorted((str(trial["a"]), str(trial["b"])))
    return AbxTrial(listener, (a, b), trial["x"] == trial["answer"])


def miss_rate(responses: ListenerResponses) -> float:
    """Return the share of trials with the hidden reference rated below 90; NaN without such trials."""
    hidden = [
        rating.score < REFERENCE_SCORE
        for rating in responses.ratings
        if responses.questions[rating.question]["is_screened"]
        and rating.system == responses.questions[rating.question]["hidden"]
    ]
    return sum(hidden) / len(hidden) if hidden else math.nan


def post_screen(responses: Sequence[ListenerResponses]) -> tuple[list[ListenerResponses], list[str]]:
    """Exclude listeners who missed the hidden reference, with a note on each."""
    excluded = [a for a in responses if miss_rate(a) > MAX_MISS_RATE]
    notes = [
        f"{a.listener} is excluded: missed the hidden reference in {100 * miss_rate(a):.0f} %"
        for a in excluded
    ]
    return [a for a in responses if a not in excluded], notes
