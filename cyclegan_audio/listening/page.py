"""Folder of a listening test: the page, its sounds and test.json; it needs no server."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan_audio.audio.io import save
from cyclegan_audio.listening.questions import EXAMPLES, QUESTIONS, SOURCE, VOCODED_SOURCE, Question
from cyclegan_audio.listening.stimuli import Item, match_loudness
from cyclegan_audio.reports.html import template_environment
from cyclegan_audio.utils.atomic import atomic_folder
from cyclegan_audio.utils.errors import UserError

FORMAT = 2
PAGE, DESIGN, SOUNDS = "index.html", "test.json", "sounds"
RATE, ABX = "rate", "abx"


def write_test(folder: Path, items: Iterable[Item], runs: Sequence[str], rate: int, n_abx: int) -> Path:
    """Write the page, its sounds and `test.json` into a new folder, all or nothing; return the page.

    Args:
        folder: must not exist.
        items: the clips by every system.
        runs: names of the systems under test.
        rate: sample rate of the sounds in Hz.
        n_abx: ABX trials of each pair: the first run against each other run, or for a single run the source
            against the source through the vocoder.

    Raises:
        UserError: the folder exists or cannot be written, or a sound is silent.
    """
    if folder.exists():
        raise UserError(f"{folder} exists and may contain answers; choose another with --out")
    try:
        with atomic_folder(folder) as part:
            (part / SOUNDS).mkdir()
            design = _design(part / SOUNDS, list(items), list(runs), rate, n_abx)
            text = json.dumps(design, indent=1)
            (part / DESIGN).write_text(text + "\n", encoding="utf-8")
            page = template_environment("cyclegan_audio.listening").get_template("test.html.j2")
            (part / PAGE).write_text(page.render(title="Listening test", design=design), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the listening test cannot be written to {folder} ({error}); "
            "free disk space there, or choose another folder"
        ) from error
    return folder / PAGE


def _design(
    folder: Path, items: Sequence[Item], runs: Sequence[str], rate: int, n_abx: int
) -> dict[str, Any]:
    """Write the sounds and return all trials as plain values."""
    waveforms = [sound for item in items for sound in (*item.sounds.values(), *item.examples)]
    matched, lufs = match_loudness(waveforms, rate)
    files = iter([_write_sound(folder, sound, rate) for sound in matched])
    trials: list[dict[str, Any]] = []
    item_files = [
        ({name: next(files) for name in item.sounds}, [next(files) for _ in item.examples]) for item in items
    ]
    for question in QUESTIONS:
        for item, (by_system, examples) in zip(items, item_files, strict=True):
            trials.append(_rating_trial(question, item, by_system, examples, list(runs)))
    pairs = [(runs[0], other) for other in runs[1:]] or [(SOURCE, VOCODED_SOURCE)]
    for a, b in pairs:
        for number in range(n_abx):
            item, (by_system, _) = items[number % len(items)], item_files[number % len(items)]
            common = {"kind": ABX, "direction": item.direction, "item": item.name}
            trials.append({**common, "a": _stimulus(a, by_system), "b": _stimulus(b, by_system)})
    design = {
        "format": FORMAT,
        "runs": list(runs),
        "loudness_lufs": round(lufs, 2),
        "questions": {question.name: question.to_dict() for question in QUESTIONS},
        "trials": trials,
    }
    return {"test": hashlib.sha256(json.dumps(design).encode()).hexdigest()[:12], **design}


def _rating_trial(
    question: Question, item: Item, files: dict[str, str], examples: list[str], runs: list[str]
) -> dict[str, Any]:
    genres = {"source": item.source, "target": item.target}
    texts = {key: getattr(question, key).format(**genres) for key in ("text", "low", "high")}
    return {
        "kind": RATE,
        "question": question.name,
        "direction": item.direction,
        "item": item.name,
        **texts,
        "references": examples if question.reference == EXAMPLES else [files[question.reference]],
        "stimuli": [_stimulus(system, files) for system in question.systems(runs)],
    }


def _stimulus(system: str, files: dict[str, str]) -> dict[str, str]:
    return {"system": system, "file": files[system]}


def _write_sound(folder: Path, sound: Tensor, rate: int) -> str:
    """Write a sound to a WAV file named by its hash, so that the name does not reveal the system."""
    name = hashlib.sha256(sound.numpy().tobytes()).hexdigest()[:12]
    path = folder / f"{name}.wav"
    if not path.exists():
        save(path, sound, rate)
    return f"{folder.name}/{path.name}"
