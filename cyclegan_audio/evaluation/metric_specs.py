"""What is measured of a translation, in the order of the report: names, units, and between which two ends."""

import dataclasses
import math

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
GENRE, PIECE, SOUND = "genre", "piece", "sound"
PER_CENT = "%"


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number a clip.

    Attributes:
        name: key in report.json.
        label: for readers; may hold {target}.
        group: genre, piece or sound.
        unit: for readers.
        floor, ceiling: whose values mark the two ends: a candidate, `other_piece` (another clip of the source
            genre in the translation's place) or `real_target` (held-out clips of the target genre).
        scale: what a value is multiplied by to be shown.
        digits: after the point.
        low, high: between which the mean can lie at all; intervals end there.
    """

    name: str
    label: str
    group: str
    unit: str = ""
    floor: str = UNTOUCHED
    ceiling: str = REAL
    scale: float = 1.0
    digits: int = 2
    low: float = -math.inf
    high: float = math.inf

    @property
    def is_share(self) -> bool:
        """Whether its mean is a share, from 0 to 1."""
        return self.unit == PER_CENT

    def shown(self, value: float) -> str:
        """The number as readers see it; a dash for NaN."""
        return "-" if value != value else f"{value * self.scale:.{self.digits}f}"


def _share(name: str, label: str, group: str, floor: str = UNTOUCHED, ceiling: str = REAL) -> Measure:
    return Measure(name, label, group, PER_CENT, floor, ceiling, scale=100.0, digits=0, low=0.0, high=1.0)


def _likeness(name: str, label: str, low: float = -1.0) -> Measure:
    return Measure(name, label, PIECE, floor=OTHER, ceiling=UNTOUCHED, low=low, high=1.0)


MEASURES = (
    _share("judge", "called {target} by the judge", GENRE),
    _share("judge_probability", "judge's probability of {target}", GENRE),
    _share("linear", "called {target} by the linear judge", GENRE),
    Measure("hats_per_s", "onsets above 6 kHz", GENRE, "/s", low=0.0),
    _share("roll_share", "onset intervals above 6 kHz as short as in rolls", GENRE),
    Measure("bandwidth_khz", "bandwidth", GENRE, "kHz", digits=1, low=0.0),
    Measure("roll_off_khz", "roll-off (95 % of the energy)", GENRE, "kHz", digits=2, low=0.0),
    Measure("top_end_db", "energy above 6 kHz", GENRE, "dB", digits=1),
    _likeness("onset_correlation", "onset strength, correlation"),
    _likeness("onset_f1", "onsets, F1 within 50 ms", low=0.0),
    _share("tempo", "same tempo, or twice or half", PIECE, OTHER, UNTOUCHED),
    _likeness("beat_f1", "beats, F1 within 70 ms", low=0.0),
    _likeness("chroma", "harmony, similarity of chroma"),
    _likeness("bass", "bass line, correlation below 250 Hz"),
    _share("filter_share", "change that a fixed filter explains", PIECE, MATCHED, NEAREST),
    Measure("checkerboard_db", "lattice at the up-sampling period", SOUND, "dB", digits=1),
    Measure("quiet_db", "quietest passages, under the loudest", SOUND, "dB", digits=1),
    Measure("silence_gain_db", "silent passages louder by", SOUND, "dB", digits=1),
    Measure("clicks_per_s", "clicks", SOUND, "/s", low=0.0),
    Measure("vocoder_error_db", "vocoder's error against its mel", SOUND, "dB", low=0.0),
)
BY_NAME = {measure.name: measure for measure in MEASURES}
