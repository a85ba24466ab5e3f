"""Which clips are worth keeping: small rules, each with its switch and threshold in `conf/prepare.yaml`."""

from cyclegan_audio.corpus.screening.duplicates import NearDuplicates
from cyclegan_audio.corpus.screening.level_rules import (
    Cancelling,
    Clipping,
    DeadChannel,
    DirectCurrent,
    Gap,
    MonoAsStereo,
    Silence,
)
from cyclegan_audio.corpus.screening.rules import Features, ScreeningRules
from cyclegan_audio.corpus.screening.song_change import SongChange
from cyclegan_audio.corpus.screening.voice import Voice

__all__ = [
    "Cancelling",
    "Clipping",
    "DeadChannel",
    "DirectCurrent",
    "Features",
    "Gap",
    "MonoAsStereo",
    "NearDuplicates",
    "ScreeningRules",
    "Silence",
    "SongChange",
    "Voice",
]
