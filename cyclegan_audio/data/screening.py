"""Which clips are worth keeping: small rules, each with its threshold in `conf/prepare.yaml`."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cyclegan_audio.data.pieces import Piece
from cyclegan_audio.errors import require_number

LOWEST_DB = -120.0  # what digital silence is given instead of minus infinity

Features = dict[str, Any]


def level_db(clip: Tensor) -> float:
    """RMS level of a clip (T,) in dB to full scale (a full-scale square wave has 0 dB); NaN stays NaN."""
    rms = float(clip.double().square().mean().sqrt())
    return rms if math.isnan(rms) else max(20 * math.log10(max(rms, 1e-12)), LOWEST_DB)


@dataclasses.dataclass(frozen=True)
class ScreeningRules:
    """Thresholds of the rules, asked at three moments; "" means that a clip is kept.

    Attributes:
        silence_db: clips with a lower RMS level (dBFS) are silence.
        recorded: features that stay in a clip's record, for `check_corpus` and reports.
    """

    silence_db: float = -60.0

    recorded = ("level_db",)

    def __post_init__(self) -> None:
        require_number("screening.silence_db", self.silence_db)

    def check_clip(self, piece: Piece) -> tuple[str, Features]:
        """Why a clip is dropped on its own, and what the later checks need to know of it."""
        if piece.mono is None:
            return "", {}
        level = level_db(piece.mono)
        if not math.isfinite(level):
            return "samples are not finite", {"level_db": None}
        return "silence" if level < self.silence_db else "", {"level_db": level}

    def check_track(self, starts_s: Sequence[float], features: Sequence[Features]) -> list[str]:
        """Reasons that show only beside a file's other clips; asked once a file with all its clips."""
        del features
        return [""] * len(starts_s)

    def check_corpus(self, records: Sequence[Any]) -> Mapping[str, str]:
        """Reasons by clip_id that show only beside other files (`TrackRecord`s), for clips kept until now."""
        del records
        return {}
