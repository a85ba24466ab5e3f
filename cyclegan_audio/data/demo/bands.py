"""The band of each genre."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cyclegan_audio.data.demo.lofi import lofi_band
from cyclegan_audio.data.demo.playing import Band
from cyclegan_audio.data.demo.rnb import rnb_band
from cyclegan_audio.data.demo.score import Score
from cyclegan_audio.data.demo.trap import trap_band

BANDS: dict[str, Callable[[Score, np.random.Generator], Band]] = {
    "lofi": lofi_band,
    "trap": trap_band,
    "rnb": rnb_band,
}
