"""Define metrics (`MetricSpec`) and compute them for clips.

To add a metric, write one function of a `MetricInput` and one `MetricSpec` that names it:

    def loudest_db(clips: MetricInput) -> Tensor:
        return clips.mels_db.amax((1, 2))

    LOUDEST = MetricSpec("loudest_db", "loudest point", STYLE, loudest_db, unit="dB", digits=1)

Add the entry to `METRICS` (metrics/registry.py), or pass `metrics=(*METRICS, LOUDEST)` to `evaluate` and
`compare` from outside the package. Tables, figures, summary, report.json and comparison follow from it.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.metrics import rhythm
from cyclegan_audio.metrics.genre_classifier.classifier import GenreClassifier
from cyclegan_audio.metrics.tagger import GenreAxis, TaggedSounds
from cyclegan_audio.statistics.estimates import Estimate

# Candidates are computed for each clip: the translation, baselines, and both after the vocoder.
MODEL, UNTOUCHED = "model", "untouched"
MATCHED_MOMENTS, NEAREST_REAL = "matched_moments", "nearest"
VOCODED_SOURCE, VOCODED = "vocoded_source", "vocoded"
OTHER_PIECE, REAL_TARGET = "other_piece", "real_target"
CANDIDATES = {
    MODEL: "translation",
    UNTOUCHED: "input untouched",
    MATCHED_MOMENTS: "equaliser",
    NEAREST_REAL: "nearest real clip",
    VOCODED_SOURCE: "input after the vocoder",
    VOCODED: "translation after the vocoder",
}
REFERENCES = {**CANDIDATES, OTHER_PIECE: "another piece", REAL_TARGET: "real target"}
GROUPS = STYLE, CONTENT, ARTEFACT = "style", "content", "artefact"
PER_CENT = "%"
TAGGER_SHARE = "tagger_share"
BLOCK = 64  # clips at once: bounds memory


@dataclasses.dataclass(frozen=True)
class MetricInput:
    """N clips of one candidate (translation, baseline or real clips), and features that metrics share.

    Attributes:
        mels_db: the clips (N, M, F) in dB.
        mel: the settings of the mels.
        source_db: the untranslated clips (N, M, F) in dB; None for real clips.
        target: the target genre.
        classifier, linear: classifiers of the two genres; None if they could not be trained.
        waveforms: the audio (1, T) of each clip at the mel's sample rate; None if there are only mels.
        intended_db: the mels (N, M, F) in dB that the vocoder received; None for original audio.
        tagged: what the independent tagger hears in the audio; None without it.
        axis: the line from the source genre to the target genre in the tagger's embedding.
    """

    mels_db: Tensor
    mel: MelSpectrogram
    source_db: Tensor | None = None
    target: str = ""
    classifier: GenreClassifier | None = None
    linear: GenreClassifier | None = None
    waveforms: Sequence[Tensor] | None = None
    intended_db: Tensor | None = None
    tagged: TaggedSounds | None = None
    axis: GenreAxis | None = None

    def split(self, size: int) -> Iterator["MetricInput"]:
        """Yield the clips in blocks of at most `size`."""
        for start in range(0, len(self.mels_db), size):
            rows = slice(start, start + size)
            yield dataclasses.replace(
                self,
                mels_db=self.mels_db[rows],
                source_db=None if self.source_db is None else self.source_db[rows],
                waveforms=None if self.waveforms is None else self.waveforms[rows],
                intended_db=None if self.intended_db is None else self.intended_db[rows],
                tagged=None if self.tagged is None else self.tagged[rows],
            )

    @cached_property
    def source(self) -> "MetricInput":
        """The untranslated clips."""
        assert self.source_db is not None
        return MetricInput(self.source_db, self.mel)

    @property
    def duration_s(self) -> float:
        """Duration of a clip in seconds."""
        return self.mels_db.shape[2] * self.mel.frame_s

    @cached_property
    def onset_strength(self) -> Tensor:
        """Onset strength (N, F) in dB."""
        return onset_strength(self.mels_db, self.mel)

    @cached_property
    def onsets_s(self) -> list[np.ndarray]:
        """Onset times of each clip in seconds."""
        return rhythm.detect_onsets(self.onset_strength, self.mel.frame_s)

    @cached_property
    def hihat_onsets_s(self) -> list[np.ndarray]:
        """Times in seconds of the onsets above 6 kHz of each clip."""
        strength = onset_strength(self.mels_db, self.mel, rhythm.HIHATS_ABOVE_HZ)
        return rhythm.detect_onsets(strength, self.mel.frame_s)

    @cached_property
    def tempo_bpm(self) -> Tensor:
        """Tempo (N,) of each clip in beats per minute."""
        return rhythm.estimate_tempo_bpm(self.onset_strength, self.mel.frame_s)

    def beats_s(self, bpm: Tensor) -> list[np.ndarray]:
        """Return the beat times of each clip in seconds at a tempo (N,)."""
        return rhythm.track_beats(self.onset_strength, bpm, self.mel.frame_s)

    @cached_property
    def genre_probability(self) -> np.ndarray | None:
        """Probability (N,) of the target genre by the genre classifier; None without one."""
        return None if self.classifier is None else self.classifier.probability_of(self.target, self.mels_db)

    @cached_property
    def linear_probability(self) -> np.ndarray | None:
        """Probability (N,) of the target genre by the linear classifier; None without one."""
        return None if self.linear is None else self.linear.probability_of(self.target, self.mels_db)


Scores = dict[str, np.ndarray]
MetricFunction = Callable[[MetricInput], Tensor | np.ndarray | list[float] | None]
EstimateLookup = Callable[[str], Estimate | None]  # of one metric: from a candidate to its estimate


@dataclasses.dataclass(frozen=True)
class SummaryRule:
    """When and how the summary at the top of a report mentions a metric.

    Attributes:
        explanation: one sentence for readers that states the threshold; may contain {label}.
        phrase: takes the metric and the estimates of the candidates, and returns a few words, or "" to leave
            the metric out.
    """

    explanation: str
    phrase: Callable[["MetricSpec", EstimateLookup], str]


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """A metric with one number per clip, and how reports show it.

    Attributes:
        name: key in report.json.
        label: for readers; may contain {target}.
        group: `STYLE` (is it the target genre?), `CONTENT` (is it still the same piece?) or `ARTEFACT`.
        function: takes a `MetricInput` and returns one number per clip (N,), NaN where it is undefined for a
            clip, or None where it is undefined for all. None if another section computes the numbers.
        uses_source: whether the function needs `source_db`; then there is no number for real clips.
        uses_waveforms: whether the function needs `waveforms`; then the translation and the equaliser are
            measured after the vocoder, and the input and real clips as original audio.
        unit: for readers.
        floor, ceiling: which of `REFERENCES` marks 0 % and 100 % of what is possible: a candidate,
            `OTHER_PIECE` (another clip of the source genre in place of the translation) or `REAL_TARGET`
            (held-out clips of the target genre).
        scale: factor from the value to the number shown.
        digits: decimals shown.
        low, high: bounds of the mean; intervals are cut there.
        summary: when the summary mentions the metric; None for never.
    """

    name: str
    label: str
    group: str
    function: MetricFunction | None = None
    uses_source: bool = False
    uses_waveforms: bool = False
    unit: str = ""
    floor: str = UNTOUCHED
    ceiling: str = REAL_TARGET
    scale: float = 1.0
    digits: int = 2
    low: float = -math.inf
    high: float = math.inf
    summary: SummaryRule | None = None

    def __post_init__(self) -> None:
        if self.function is not None and self.group not in GROUPS:
            raise ValueError(f"metric {self.name}: group must be one of {GROUPS}, got {self.group!r}")
        for end in (self.floor, self.ceiling):
            if end not in REFERENCES:
                raise ValueError(
                    f"metric {self.name}: floor or ceiling must be one of {[*REFERENCES]}, got {end!r}"
                )

    @property
    def is_proportion(self) -> bool:
        """Return whether the mean is a proportion from 0 to 1."""
        return self.unit == PER_CENT and (self.low, self.high) == (0.0, 1.0)

    @property
    def uses_other_piece(self) -> bool:
        """Return whether the metric is also computed for another piece in place of the translation."""
        return self.uses_source and (self.group == CONTENT or OTHER_PIECE in (self.floor, self.ceiling))

    def format_value(self, value: float) -> str:
        """Format a number for readers; a dash for NaN."""
        return "-" if value != value else f"{value * self.scale:z.{self.digits}f}"


def compute_metrics(metrics: Sequence[MetricSpec], clips: MetricInput) -> Scores:
    """Compute metrics of clips.

    Returns:
        Scores by name, (N,) float64: those that use waveforms if the clips have waveforms, else the others.

    Raises:
        ValueError: a function does not return one number per clip.
    """
    applicable = [
        metric
        for metric in metrics
        if not (metric.uses_source and clips.source_db is None)
        and metric.uses_waveforms == (clips.waveforms is not None)
    ]
    scores: list[Scores] = []
    for block in clips.split(BLOCK):
        scores.append({})
        for metric in applicable:
            values = None if metric.function is None else metric.function(block)
            if values is not None:
                scores[-1][metric.name] = _to_array(metric.name, values, len(block.mels_db))
    return join_scores(scores)


def join_scores(blocks: Sequence[Scores]) -> Scores:
    """Join the scores of blocks of clips, which have the same metrics."""
    return {name: np.concatenate([scores[name] for scores in blocks]) for name in blocks[0]}


def _to_array(name: str, values: Tensor | np.ndarray | list[float], n_clips: int) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (n_clips,):
        raise ValueError(
            f"metric {name} returned shape {numbers.shape}; return one number per clip, ({n_clips},)"
        )
    return numbers
