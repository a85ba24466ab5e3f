"""What a metric is: one function of clips, and how its numbers are named, bounded and shown."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from cyclegan_audio.metrics.metric_input import MetricInput
from cyclegan_audio.statistics.estimates import Estimate

MODEL, UNTOUCHED, MATCHED, NEAREST = "model", "untouched", "matched_moments", "nearest"
VOCODER, HEARD = "vocoder", "heard"
OTHER, REAL = "other_piece", "real_target"
CANDIDATES = {
    MODEL: "translation",
    UNTOUCHED: "input untouched",
    MATCHED: "equaliser",
    NEAREST: "nearest real clip",
    VOCODER: "vocoder alone",
    HEARD: "translation as heard",
}
ENDS = {**CANDIDATES, OTHER: "another piece", REAL: "real target"}
GROUPS = GENRE, PIECE, SOUND = "genre", "piece", "sound"
PER_CENT = "%"
BLOCK = 64  # clips at once: bounds memory

Scores = dict[str, np.ndarray]
MetricFunction = Callable[[MetricInput], Tensor | np.ndarray | list[float] | None]
EstimateOf = Callable[[str], Estimate | None]


@dataclasses.dataclass(frozen=True)
class InWords:
    """What the first lines of a report say of a metric.

    Attributes:
        rule: one sentence for the page, when what is written; may hold {label}.
        phrase: from the metric, and from candidates to their estimates, to a few words; "" where the numbers
            are not worth a word.
    """

    rule: str
    phrase: Callable[["MetricSpec", EstimateOf], str]


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """One number a clip.

    Attributes:
        name: key in report.json.
        label: for readers; may hold {target}.
        group: genre, piece or sound.
        function: from a `MetricInput` to one number a clip (N,), NaN where nothing can be said of a clip, or
            to None where nothing can be said of any; None where a section of its own computes the numbers.
        uses_source: whether the function takes `source_db`: then there is no number for real clips.
        uses_sound: whether it takes `waveforms`: then there are numbers for the input, the vocoder alone and
            the translation as heard only, and for some of the clips.
        unit: for readers.
        floor, ceiling: whose values mark the two ends: a candidate, `other_piece` (another clip of the source
            genre in the translation's place) or `real_target` (held-out clips of the target genre).
        scale: what a value is multiplied by to be shown.
        digits: after the point.
        low, high: between which the mean can lie at all; intervals end there.
        words: what the first lines say of it; None where they say nothing.
    """

    name: str
    label: str
    group: str
    function: MetricFunction | None = None
    uses_source: bool = False
    uses_sound: bool = False
    unit: str = ""
    floor: str = UNTOUCHED
    ceiling: str = REAL
    scale: float = 1.0
    digits: int = 2
    low: float = -math.inf
    high: float = math.inf
    words: InWords | None = None

    def __post_init__(self) -> None:
        if self.function is not None and self.group not in GROUPS:
            raise ValueError(f"metric {self.name}: group must be one of {GROUPS}, got {self.group!r}")
        for end in (self.floor, self.ceiling):
            if end not in ENDS:
                raise ValueError(
                    f"metric {self.name}: floor or ceiling must be one of {[*ENDS]}, got {end!r}"
                )

    @property
    def is_share(self) -> bool:
        """Whether its mean is a share, from 0 to 1."""
        return self.unit == PER_CENT

    @property
    def uses_other_piece(self) -> bool:
        """Whether it is also computed of another piece in the translation's place."""
        return self.uses_source and (self.group == PIECE or OTHER in (self.floor, self.ceiling))

    def shown(self, value: float) -> str:
        """Format a number for readers; a dash for NaN."""
        return "-" if value != value else f"{value * self.scale:.{self.digits}f}"


def compute_metrics(metrics: Sequence[MetricSpec], clips: MetricInput) -> Scores:
    """Compute metrics of clips by name, (N,) float64 each: those of sound where there is any, else of mels.

    Raises:
        ValueError: a function does not give one number a clip.
    """
    able = [
        metric
        for metric in metrics
        if not (metric.uses_source and clips.source_db is None)
        and metric.uses_sound == (clips.waveforms is not None)
    ]
    parts: list[Scores] = []
    for block in clips.split(BLOCK):
        parts.append({})
        for metric in able:
            values = None if metric.function is None else metric.function(block)
            if values is not None:
                parts[-1][metric.name] = _numbers(metric.name, values, len(block.mels_db))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _numbers(name: str, values: Tensor | np.ndarray | list[float], n_clips: int) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (n_clips,):
        raise ValueError(f"metric {name} gave shape {numbers.shape}; return one number a clip, ({n_clips},)")
    return numbers
