"""Every metric of a report, each in one entry.

To add one, add a `MetricSpec` to `METRICS`, or give `metrics=(*METRICS, mine)` to `evaluate` and `compare`.
The report with its tables, figures and first lines, report.json and the comparison follow from the entry.
"""

from functools import partial

import numpy as np

from cyclegan_audio.metrics import artefacts, chroma, metric_phrases, onsets, spectral
from cyclegan_audio.metrics.genre_classifier.classifier import CALLED_FROM
from cyclegan_audio.metrics.metric_input import MetricInput
from cyclegan_audio.metrics.metric_spec import (
    GENRE,
    MATCHED,
    NEAREST,
    OTHER,
    PER_CENT,
    PIECE,
    REAL,
    SOUND,
    UNTOUCHED,
    InWords,
    MetricFunction,
    MetricSpec,
)
from cyclegan_audio.metrics.paired_error import audible_floor_db, mean_abs_db
from cyclegan_audio.utils.devices import parallel_map


def _share(
    name: str,
    label: str,
    group: str,
    function: MetricFunction,
    floor: str = UNTOUCHED,
    ceiling: str = REAL,
    uses_source: bool = False,
    words: InWords | None = None,
) -> MetricSpec:
    return MetricSpec(
        name, label, group, function, uses_source, unit=PER_CENT, floor=floor, ceiling=ceiling, scale=100.0,
        digits=0, low=0.0, high=1.0, words=words,
    )  # fmt: skip


def _likeness(
    name: str, label: str, function: MetricFunction, low: float = -1.0, words: InWords | None = None
) -> MetricSpec:
    return MetricSpec(
        name, label, PIECE, function, True, floor=OTHER, ceiling=UNTOUCHED, low=low, high=1.0, words=words
    )


def _called(probability: np.ndarray | None) -> np.ndarray | None:
    """1 for each clip that is called target, else 0."""
    return None if probability is None else (probability > CALLED_FROM).astype(float)


def _f1(times_s: list[np.ndarray], source_s: list[np.ndarray], tolerance_s: float) -> list[float]:
    return [onsets.f1(a, b, tolerance_s) for a, b in zip(times_s, source_s, strict=True)]


def _beat_f1(clips: MetricInput) -> list[float]:
    """Compare beats of both at the source's tempo, so that only their places count."""
    bpm = clips.source.tempo_bpm
    return _f1(clips.beats_s(bpm), clips.source.beats_s(bpm), onsets.BEAT_TOLERANCE_S)


def _clicks_per_s(clips: MetricInput) -> list[float]:
    calls = (partial(artefacts.clicks_per_s, s, clips.mel.sample_rate) for s in clips.waveforms or ())
    return [float(value) for value in parallel_map(calls)]


def _vocoder_error_db(clips: MetricInput) -> list[float] | None:
    if clips.intended_db is None:
        return None
    floor_db = audible_floor_db(clips.mel)
    pairs = zip(clips.mels_db, clips.intended_db, strict=True)
    return [mean_abs_db(made.maximum(floor_db), wanted.maximum(floor_db)) for made, wanted in pairs]


METRICS = (  # in each group in the order of the tables; all in the order of the first lines
    _share(
        "genre_classifier",
        "called {target} by the genre classifier",
        GENRE,
        lambda clips: _called(clips.genre_probability),
    ),
    _share(
        "genre_probability",
        "genre classifier's probability of {target}",
        GENRE,
        lambda clips: clips.genre_probability,
    ),
    _share(
        "linear",
        "called {target} by the linear classifier",
        GENRE,
        lambda clips: _called(clips.linear_probability),
    ),
    _likeness(
        "onset_correlation",
        "onset strength, correlation",
        lambda clips: onsets.row_correlation(clips.source.novelty, clips.novelty),
    ),
    _likeness(
        "onset_f1",
        "onsets, F1 within 50 ms",
        lambda clips: _f1(clips.onsets_s, clips.source.onsets_s, onsets.TOLERANCE_S),
        low=0.0,
        words=metric_phrases.DRUMS,
    ),
    _share(
        "tempo",
        "same tempo, or twice or half",
        PIECE,
        lambda clips: onsets.tempo_agrees(clips.source.tempo_bpm, clips.tempo_bpm),
        OTHER,
        UNTOUCHED,
        uses_source=True,
    ),
    _likeness("beat_f1", "beats, F1 within 70 ms", _beat_f1, low=0.0),
    _likeness(
        "chroma",
        "harmony, similarity of chroma",
        lambda clips: chroma.chroma_similarity(clips.source.mels_db, clips.mels_db, clips.mel),
        words=metric_phrases.HARMONY,
    ),
    _likeness(
        "bass",
        "bass line, correlation below 250 Hz",
        lambda clips: chroma.bass_similarity(clips.source.mels_db, clips.mels_db, clips.mel),
        words=metric_phrases.BASS,
    ),
    MetricSpec(
        "hats_per_s",
        "onsets above 6 kHz",
        GENRE,
        lambda clips: [onsets.onset_rate(times_s, clips.duration_s) for times_s in clips.hat_onsets_s],
        unit="/s",
        low=0.0,
        words=metric_phrases.HATS,
    ),
    _share(
        "roll_share",
        "onset intervals above 6 kHz as short as in rolls",
        GENRE,
        lambda clips: [onsets.roll_share(times_s) for times_s in clips.hat_onsets_s],
    ),
    MetricSpec(
        "bandwidth_khz",
        "bandwidth",
        GENRE,
        lambda clips: spectral.bandwidth_hz(clips.mels_db, clips.mel).double() / 1000,
        unit="kHz",
        digits=1,
        low=0.0,
    ),
    MetricSpec(
        "roll_off_khz",
        "roll-off (95 % of the energy)",
        GENRE,
        lambda clips: spectral.roll_off_hz(clips.mels_db, clips.mel).double() / 1000,
        unit="kHz",
        low=0.0,
    ),
    MetricSpec(
        "high_band_db",
        "energy above 6 kHz",
        GENRE,
        lambda clips: spectral.high_band_db(clips.mels_db, clips.mel),
        unit="dB",
        digits=1,
        words=metric_phrases.TOP_END,
    ),
    _share(
        "filter_share",
        "change that a fixed filter explains",
        PIECE,
        lambda clips: spectral.filter_share(clips.source.mels_db, clips.mels_db),
        MATCHED,
        NEAREST,
        uses_source=True,
        words=metric_phrases.FILTER,
    ),
    MetricSpec(
        "checkerboard_db",
        "lattice at the up-sampling period",
        SOUND,
        lambda clips: artefacts.checkerboard_db(clips.mels_db),
        unit="dB",
        digits=1,
        words=metric_phrases.LATTICE,
    ),
    MetricSpec(
        "quiet_db",
        "quietest passages, under the loudest",
        SOUND,
        lambda clips: artefacts.noise_floor_db(clips.mels_db),
        unit="dB",
        digits=1,
        words=metric_phrases.NOISE,
    ),
    MetricSpec(
        "silence_gain_db",
        "silent passages louder by",
        SOUND,
        lambda clips: artefacts.silence_gain_db(clips.source.mels_db, clips.mels_db),
        uses_source=True,
        unit="dB",
        digits=1,
    ),
    MetricSpec("clicks_per_s", "clicks", SOUND, _clicks_per_s, uses_sound=True, unit="/s", low=0.0),
    MetricSpec(
        "vocoder_error_db",
        "vocoder's error against its mel",
        SOUND,
        _vocoder_error_db,
        uses_sound=True,
        unit="dB",
        low=0.0,
        words=metric_phrases.VOCODER_FAULTS,
    ),
)
