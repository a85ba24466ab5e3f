"""Which clips are worth keeping: small rules, each with its threshold in `conf/prepare.yaml`."""

import dataclasses
import math

from torch import Tensor

LOWEST_DB = -120.0  # what digital silence is given instead of minus infinity


def level_db(clip: Tensor) -> float:
    """RMS level of a clip (T,) in dB to full scale (a full-scale square wave has 0 dB); NaN stays NaN."""
    rms = float(clip.double().square().mean().sqrt())
    return rms if math.isnan(rms) else max(20 * math.log10(max(rms, 1e-12)), LOWEST_DB)


@dataclasses.dataclass(frozen=True)
class ScreeningRules:
    """Thresholds of the rules.

    Attributes:
        silence_db: clips with a lower RMS level (dBFS) are silence.
    """

    silence_db: float = -60.0

    def reason(self, clip_level_db: float) -> str:
        """Why a clip is dropped, or "" where it is kept."""
        if not math.isfinite(clip_level_db):
            return "samples are not finite"
        return "silence" if clip_level_db < self.silence_db else ""
