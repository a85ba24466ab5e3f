"""Translations of demo songs against what the score says was played: onsets and hi-hats."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics import rhythm
from cyclegan_audio.reports.evaluation.scoring import by_track
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import Estimate

SONGS = "songs"  # beside the demo corpus
HIGH = ("hat", "ride", "crash", "tambourine", "shaker", "snare", "clap")  # parts with energy above 6 kHz
SAME_STROKE_S = 0.03
HOW = (
    "The demo songs come with a record of every stroke and note. Onsets found in each mel against all events "
    "of the source's band, and onsets above 6 kHz against the cymbals and snares that the target's band "
    "plays to the same score: F1 within 50 ms. Toward the target the second should rise from the input's to "
    "the ground truth's."
)
NONE = "Only demo songs come with a record of what was played; this corpus has none beside it."
WHICH = {"untouched": "input untouched", "model": "translation", "truth": "ground truth"}


def score_section(evaluated: EvaluationData) -> Section:
    """Compare onsets and hi-hats with the scores of the paired demo clips."""
    section = Section("score", "Against the score", [HOW])
    for way in evaluated.directions:
        found = against_score(way, evaluated.corpus)
        if found is None:
            section.paragraphs = [NONE]
            return section
        rows = [
            [label, *(str(found[measure][key]) for measure in ("onset_f1", "target_hats_f1"))]
            for key, label in WHICH.items()
        ]
        header = [
            "",
            f"all events of {way.source}'s band, F1",
            f"cymbals and snares of {way.target}'s band, F1",
        ]
        section.tables.append(Table(f"{way}, {len(way.paired)} paired clips", header, rows))
        section.numbers[str(way)] = {
            measure: {key: value.to_dict() for key, value in values.items()}
            for measure, values in found.items()
        }
    return section


def against_score(way: DirectionResult, corpus: Corpus) -> dict[str, dict[str, Estimate]] | None:
    """Compute F1 by metric (`onset_f1`, `target_hats_f1`) and by `WHICH`; None where a clip has no record."""
    events = [(_record(corpus, pair.clip), _record(corpus, pair.truth)) for pair in way.paired]
    if not events or any(own is None or other is None for own, other in events):
        return None
    clips = [dataclasses.replace(pair.clip, track=str(pair.clip.score)) for pair in way.paired]
    mels = {
        "untouched": torch.stack([pair.real_db for pair in way.paired]),
        "model": torch.stack([pair.fake_db for pair in way.paired]),
        "truth": torch.stack([pair.truth_db for pair in way.paired]),
    }
    everything = [_within(own, clip, ("",)) for (own, _), clip in zip(events, clips, strict=True)]
    cymbals = [_within(other, clip, HIGH) for (_, other), clip in zip(events, clips, strict=True)]
    out: dict[str, dict[str, Estimate]] = {}
    for name, wanted, above_hz in (
        ("onset_f1", everything, 0.0),
        ("target_hats_f1", cymbals, rhythm.HIHATS_ABOVE_HZ),
    ):
        for key, mels_db in mels.items():
            value = by_track(_f1(mels_db, wanted, corpus, above_hz), clips)
            assert value is not None  # F1 is never NaN
            out.setdefault(name, {})[key] = value
    return out


def _f1(mels_db: Tensor, wanted: Sequence[np.ndarray], corpus: Corpus, above_hz: float) -> np.ndarray:
    found = rhythm.detect_onsets(rhythm.onset_strength(mels_db, corpus.mel, above_hz), corpus.mel.frame_s)
    return np.array([rhythm.f1_score(a, b, rhythm.TOLERANCE_S) for a, b in zip(found, wanted, strict=True)])


def _record(corpus: Corpus, clip: Clip) -> dict[str, list[float]] | None:
    """Times in s by instrument, from the file beside the song; None where there is none."""
    folder = corpus.folder.parent / SONGS / ("paired" if clip.score else "") / clip.genre
    path = (folder / Path(clip.source).name).with_suffix(".json")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["onsets_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _within(record: dict[str, list[float]] | None, clip: Clip, parts: Sequence[str]) -> np.ndarray:
    """Times from the clip's start of the events of instruments named like `parts`, joint strokes once."""
    times = sorted(
        time - clip.start_s
        for name, values in (record or {}).items()
        if any(part in name for part in parts)
        for time in values
        if clip.start_s <= time < clip.start_s + clip.duration_s
    )
    apart = [t for i, t in enumerate(times) if i == 0 or t - times[i - 1] > SAME_STROKE_S]
    return np.array(apart)
