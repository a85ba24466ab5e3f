"""Sections that compare translations with a ground truth: paired clips, and scores of demo songs."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics import rhythm
from cyclegan_audio.metrics.paired_error import AUDIBLE_RANGE_DB, MATCHED_MEAN, MODEL, UNTOUCHED, PairedScores
from cyclegan_audio.reports.evaluation.scoring import mean_over_tracks
from cyclegan_audio.reports.evaluation.summary import GROUND_TRUTH_RULES, RHYTHM_NAME
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import Estimate

PAIRED_LABELS = {
    MODEL: "translation",
    UNTOUCHED: "untouched input",
    MATCHED_MEAN: "input with matched mean spectrum",
}
PAIRED_EXPLANATION = (
    "Each translation is compared with the same score played by the target genre's band. The error is the "
    f"mean |dB| over mel bands and frames. Levels below the audible floor ({AUDIBLE_RANGE_DB:g} dB under a "
    "full-scale sine in the same band) count as the floor. The matched-mean baseline shifts each band by "
    "the difference between the mean spectra of the two genres' training clips; it does not use the pair. "
    "Brackets: 95 % intervals over scores (Student's t)."
)
NO_PAIRS = (
    "This corpus has no paired clips, so there is no ground truth. The demo songs include paired clips."
)
FLATTER = (
    "{name}: the rhythm error is lower than the baseline's, but the correlation with the ground truth is not "
    "higher. The translation is flatter, not better in time."
)
SONGS = "songs"  # folder of the demo songs, beside the demo corpus
HIGH_PARTS = ("hat", "ride", "crash", "tambourine", "shaker", "snare", "clap")  # energy above 6 kHz
SAME_STROKE_S = 0.03
SCORE_EXPLANATION = (
    "The demo songs come with a record of every stroke and note. The first column compares the onsets of "
    "each mel with all events of the source genre's band. The second compares onsets above 6 kHz with the "
    "cymbals and snares that the target genre's band plays from the same score. Both give F1 within 50 ms. "
    "A good translation moves the second column from the input's value towards the ground truth's."
)
NO_RECORD = "Only demo songs come with a record of their strokes and notes; this corpus has none."
SCORE_LABELS = {"untouched": "input untouched", "model": "translation", "truth": "ground truth"}


def paired_section(evaluated: EvaluationData) -> Section:
    """Return the paired error and the rhythm error of each direction."""
    section = Section("paired", "Comparison with the ground truth")
    scores = evaluated.paired_scores
    if not scores:
        section.missing = NO_PAIRS
        return section
    section.paragraphs += [PAIRED_EXPLANATION, GROUND_TRUTH_RULES]
    section.numbers = {key: value.to_dict() for key, value in scores.items()}
    for name, value in scores.items():
        section.tables.append(_paired_table(name, value))
        is_better = value.rhythm_correlation[MODEL].mean > value.rhythm_correlation[MATCHED_MEAN].mean
        if value.beats_filter and not is_better:
            section.paragraphs.append(FLATTER.format(name=name))
    return section


def _paired_table(name: str, scores: PairedScores) -> Table:
    n = scores.error_db[MODEL]
    return Table(
        f"Error against the ground truth, {name} ({n.n} clips of {n.groups} scores)",
        [
            "",
            "paired error (dB)",
            "improvement by translation (dB)",
            f"{RHYTHM_NAME} (dB)",
            "improvement by translation (dB)",
            "rhythm correlation",
        ],
        [
            [
                label,
                str(scores.error_db[key]),
                str(scores.gain_db.get(key, "")),
                str(scores.rhythm_db[key]),
                str(scores.rhythm_gain_db.get(key, "")),
                str(scores.rhythm_correlation[key]),
            ]
            for key, label in PAIRED_LABELS.items()
        ],
    )


def score_section(evaluated: EvaluationData) -> Section:
    """Compare onsets and hi-hats with the scores of the paired demo clips."""
    section = Section("score", "Comparison with the score", [SCORE_EXPLANATION])
    for direction in evaluated.directions:
        alignment = score_alignment(direction, evaluated.corpus)
        if alignment is None:
            section.missing = NO_RECORD
            return section
        rows = [
            [label, *(str(alignment[metric][key]) for metric in ("onset_f1", "target_hats_f1"))]
            for key, label in SCORE_LABELS.items()
        ]
        header = [
            "",
            f"all events of the {direction.source} band, F1",
            f"cymbals and snares of the {direction.target} band, F1",
        ]
        section.tables.append(Table(f"{direction}, {len(direction.paired)} paired clips", header, rows))
        section.numbers[str(direction)] = {
            metric: {key: value.to_dict() for key, value in values.items()}
            for metric, values in alignment.items()
        }
    return section


def score_alignment(direction: DirectionResult, corpus: Corpus) -> dict[str, dict[str, Estimate]] | None:
    """Compute F1 of onsets against the score.

    Returns:
        Metric (`onset_f1`, `target_hats_f1`) to key of `SCORE_LABELS` to F1; None where a clip has no record.
    """
    events = [
        (_read_events(corpus, pair.clip), _read_events(corpus, pair.truth)) for pair in direction.paired
    ]
    if not events or any(source is None or target is None for source, target in events):
        return None
    clips = [dataclasses.replace(pair.clip, track=str(pair.clip.score)) for pair in direction.paired]
    mels = {
        "untouched": torch.stack([pair.real_db for pair in direction.paired]),
        "model": torch.stack([pair.fake_db for pair in direction.paired]),
        "truth": torch.stack([pair.truth_db for pair in direction.paired]),
    }
    all_events = [
        _event_times_s(source, clip, ("",)) for (source, _), clip in zip(events, clips, strict=True)
    ]
    cymbals = [
        _event_times_s(target, clip, HIGH_PARTS) for (_, target), clip in zip(events, clips, strict=True)
    ]
    out: dict[str, dict[str, Estimate]] = {}
    for name, reference_s, above_hz in (
        ("onset_f1", all_events, 0.0),
        ("target_hats_f1", cymbals, rhythm.HIHATS_ABOVE_HZ),
    ):
        for key, mels_db in mels.items():
            value = mean_over_tracks(_onset_f1(mels_db, reference_s, corpus, above_hz), clips)
            assert value is not None  # F1 is never NaN
            out.setdefault(name, {})[key] = value
    return out


def _onset_f1(
    mels_db: Tensor, reference_s: Sequence[np.ndarray], corpus: Corpus, above_hz: float
) -> np.ndarray:
    detected_s = rhythm.detect_onsets(onset_strength(mels_db, corpus.mel, above_hz), corpus.mel.frame_s)
    pairs = zip(detected_s, reference_s, strict=True)
    return np.array(
        [rhythm.f1_score(detected, reference, rhythm.TOLERANCE_S) for detected, reference in pairs]
    )


def _read_events(corpus: Corpus, clip: Clip) -> dict[str, list[float]] | None:
    """Read event times in s by instrument from the file beside the song; None where there is none."""
    folder = corpus.folder.parent / SONGS / ("paired" if clip.score else "") / clip.genre
    path = (folder / Path(clip.source).name).with_suffix(".json")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["onsets_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _event_times_s(events: dict[str, list[float]] | None, clip: Clip, parts: Sequence[str]) -> np.ndarray:
    """Return event times in s of instruments named like `parts` from the clip start, joint strokes once."""
    times = sorted(
        time - clip.start_s
        for name, values in (events or {}).items()
        if any(part in name for part in parts)
        for time in values
        if clip.start_s <= time < clip.start_s + clip.duration_s
    )
    distinct = [t for i, t in enumerate(times) if i == 0 or t - times[i - 1] > SAME_STROKE_S]
    return np.array(distinct)
