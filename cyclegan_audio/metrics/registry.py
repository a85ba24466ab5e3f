"""List every metric of a report (`METRICS`), one `MetricSpec` each.

To add a metric, write a function of a `MetricInput` and add one entry to `METRICS`; or leave the package as
it is and pass `metrics=(*METRICS, mine)` to `evaluate` and `compare`. Tables, figures, summary, report.json
and comparison follow from the entry. `metric_spec` shows an example.
"""

from functools import partial

import numpy as np
from torch import Tensor

from cyclegan_audio.metrics import artefacts, rhythm, spectral, summary_rules
from cyclegan_audio.metrics.genre_classifier.classifier import DECISION_THRESHOLD
from cyclegan_audio.metrics.metric_spec import (
    ARTEFACT,
    CONTENT,
    MATCHED_MOMENTS,
    NEAREST_REAL,
    OTHER_PIECE,
    PER_CENT,
    REAL_TARGET,
    STYLE,
    TAGGER_SHARE,
    UNTOUCHED,
    MetricFunction,
    MetricInput,
    MetricSpec,
    SummaryRule,
)
from cyclegan_audio.metrics.paired_error import audible_floor_db, mean_abs_db
from cyclegan_audio.utils.devices import parallel_map


def _proportion(
    name: str,
    label: str,
    group: str,
    function: MetricFunction,
    floor: str = UNTOUCHED,
    ceiling: str = REAL_TARGET,
    uses_source: bool = False,
    summary: SummaryRule | None = None,
) -> MetricSpec:
    return MetricSpec(
        name, label, group, function, uses_source, unit=PER_CENT, floor=floor, ceiling=ceiling, scale=100.0,
        digits=0, low=0.0, high=1.0, summary=summary,
    )  # fmt: skip


def _similarity(
    name: str, label: str, function: MetricFunction, low: float = -1.0, summary: SummaryRule | None = None
) -> MetricSpec:
    return MetricSpec(
        name, label, CONTENT, function, uses_source=True, floor=OTHER_PIECE, ceiling=UNTOUCHED, low=low,
        high=1.0, summary=summary,
    )  # fmt: skip


def _decibels(
    name: str, label: str, group: str, function: MetricFunction, uses_source: bool = False,
    summary: SummaryRule | None = None,
) -> MetricSpec:  # fmt: skip
    return MetricSpec(name, label, group, function, uses_source, unit="dB", digits=1, summary=summary)


def _decisions(probability: np.ndarray | None) -> np.ndarray | None:
    """Return 1 for each clip that is classified as the target, else 0."""
    return None if probability is None else (probability > DECISION_THRESHOLD).astype(float)


def _f1(times_s: list[np.ndarray], source_s: list[np.ndarray], tolerance_s: float) -> list[float]:
    return [rhythm.f1_score(a, b, tolerance_s) for a, b in zip(times_s, source_s, strict=True)]


def _beat_f1(clips: MetricInput) -> list[float]:
    """Compare the beats of both at the tempo of the source, so that only their times count."""
    bpm = clips.source.tempo_bpm
    return _f1(clips.beats_s(bpm), clips.source.beats_s(bpm), rhythm.BEAT_TOLERANCE_S)


def _clicks_per_s(clips: MetricInput) -> list[float]:
    calls = (partial(artefacts.clicks_per_s, w, clips.mel.sample_rate) for w in clips.waveforms or ())
    return [float(value) for value in parallel_map(calls)]


def _vocoder_error_db(clips: MetricInput) -> list[float] | None:
    if clips.intended_db is None:
        return None
    floor_db = audible_floor_db(clips.mel)
    pairs = zip(clips.mels_db, clips.intended_db, strict=True)
    return [mean_abs_db(a.maximum(floor_db), b.maximum(floor_db)) for a, b in pairs]


def _tagger_share(clips: MetricInput) -> Tensor | None:
    if clips.tagged is None or clips.axis is None:
        return None
    return clips.axis.position(clips.tagged.embeddings)


METRICS = (  # within a group: order of the tables; over all: order of the summary
    _proportion(
        "genre_classifier",
        "classified as {target} by the genre classifier",
        STYLE,
        lambda clips: _decisions(clips.genre_probability),
    ),
    _proportion(
        "genre_probability",
        "genre classifier's probability of {target}",
        STYLE,
        lambda clips: clips.genre_probability,
    ),
    _proportion(
        "linear",
        "classified as {target} by the linear classifier",
        STYLE,
        lambda clips: _decisions(clips.linear_probability),
    ),
    MetricSpec(
        TAGGER_SHARE,
        "of the way to {target} by the independent tagger",
        STYLE,
        _tagger_share,
        uses_waveforms=True,
        unit=PER_CENT,
        scale=100.0,
        digits=0,
    ),
    _similarity(
        "onset_correlation",
        "onset strength, correlation",
        lambda clips: rhythm.row_correlation(clips.source.onset_strength, clips.onset_strength),
    ),
    _similarity(
        "onset_f1",
        "onsets, F1 within 50 ms",
        lambda clips: _f1(clips.onsets_s, clips.source.onsets_s, rhythm.TOLERANCE_S),
        low=0.0,
        summary=summary_rules.DRUMS,
    ),
    _proportion(
        "tempo",
        "same tempo (or double or half)",
        CONTENT,
        lambda clips: rhythm.tempo_agrees(clips.source.tempo_bpm, clips.tempo_bpm),
        OTHER_PIECE,
        UNTOUCHED,
        uses_source=True,
    ),
    _similarity("beat_f1", "beats, F1 within 70 ms", _beat_f1, low=0.0),
    _similarity(
        "chroma",
        "harmony, similarity of chroma",
        lambda clips: spectral.chroma_similarity(clips.source.mels_db, clips.mels_db, clips.mel),
        summary=summary_rules.HARMONY,
    ),
    _similarity(
        "bass",
        "bass line, correlation below 250 Hz",
        lambda clips: spectral.bass_similarity(clips.source.mels_db, clips.mels_db, clips.mel),
        summary=summary_rules.BASS,
    ),
    MetricSpec(
        "hats_per_s",
        "onsets above 6 kHz",
        STYLE,
        lambda clips: [rhythm.onset_rate(times_s, clips.duration_s) for times_s in clips.hihat_onsets_s],
        unit="/s",
        low=0.0,
        summary=summary_rules.HIHATS,
    ),
    _proportion(
        "roll_share",
        "rolls among onset intervals above 6 kHz",
        STYLE,
        lambda clips: [rhythm.roll_fraction(times_s) for times_s in clips.hihat_onsets_s],
    ),
    MetricSpec(
        "bandwidth_khz",
        "bandwidth",
        STYLE,
        lambda clips: spectral.bandwidth_hz(clips.mels_db, clips.mel).double() / 1000,
        unit="kHz",
        digits=1,
        low=0.0,
    ),
    MetricSpec(
        "roll_off_khz",
        "roll-off (95 % of the energy)",
        STYLE,
        lambda clips: spectral.roll_off_hz(clips.mels_db, clips.mel).double() / 1000,
        unit="kHz",
        low=0.0,
    ),
    _decibels(
        "high_band_db",
        "energy above 6 kHz",
        STYLE,
        lambda clips: spectral.high_band_db(clips.mels_db, clips.mel),
        summary=summary_rules.HIGH_BAND,
    ),
    _proportion(
        "filter_share",
        "change explained by a fixed filter",
        CONTENT,
        lambda clips: spectral.fixed_filter_fraction(clips.source.mels_db, clips.mels_db),
        MATCHED_MOMENTS,
        NEAREST_REAL,
        uses_source=True,
        summary=summary_rules.FIXED_FILTER,
    ),
    _decibels(
        "checkerboard_db",
        "checkerboard at the upsampling period",
        ARTEFACT,
        lambda clips: artefacts.checkerboard_db(clips.mels_db),
        summary=summary_rules.CHECKERBOARD,
    ),
    _decibels(
        "noise_floor_db",
        "quietest passages, relative to the loudest",
        ARTEFACT,
        lambda clips: artefacts.noise_floor_db(clips.mels_db),
        summary=summary_rules.NOISE,
    ),
    _decibels(
        "silence_gain_db",
        "gain of silent passages",
        ARTEFACT,
        lambda clips: artefacts.silence_gain_db(clips.source.mels_db, clips.mels_db),
        uses_source=True,
    ),
    MetricSpec("clicks_per_s", "clicks", ARTEFACT, _clicks_per_s, uses_waveforms=True, unit="/s", low=0.0),
    MetricSpec(
        "vocoder_error_db",
        "vocoder error against its input mel",
        ARTEFACT,
        _vocoder_error_db,
        uses_waveforms=True,
        unit="dB",
        low=0.0,
        summary=summary_rules.VOCODER_ERROR,
    ),
)
