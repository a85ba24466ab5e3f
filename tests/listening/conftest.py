"""Fixture: files of answers in the format of the page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cyclegan_audio.listening.questions import QUESTIONS

SCORES = {"source": 100, "new": 80, "old": 60, "equaliser": 50, "another piece": 10}


@pytest.fixture
def answer(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the file of a listener: one question on two items, and ABX."""

    def write(listener: str, scores: dict[str, int] | None = None, right: int = 5, **changes: Any) -> Path:
        ratings = [
            {"question": "piece", "direction": "a to b", "item": item, "system": system, "score": score}
            for item in ("1", "2")
            for system, score in {**SCORES, **(scores or {})}.items()
        ]
        abx = [
            {"direction": "a to b", "item": "1", "a": ("old", "new")[i % 2], "b": ("new", "old")[i % 2],
             "x": "a", "answer": "a" if i < right else "b"}
            for i in range(6)
        ]  # fmt: skip
        questions = {question.name: question.to_dict() for question in QUESTIONS if question.name == "piece"}
        result = {
            "format": 2, "test": "t", "listener": listener, "seed": 1, "started": "1", "finished": "2",
            "runs": ["old", "new"], "questions": questions,
            "ratings": ratings, "abx": abx, **changes,
        }  # fmt: skip
        path = tmp_path / f"{listener}{changes.get('finished', '')}.json"
        path.write_text(json.dumps(result))
        return path

    return write
