"""Screening rules that drop unusable clips, each with its switch and thresholds in `conf/prepare.yaml`."""

from cyclegan_audio.corpus.screening.level_rules import (
    Clipping,
    DCOffset,
    DeadChannel,
    DualMono,
    Gap,
    PhaseCancellation,
    Silence,
)
from cyclegan_audio.corpus.screening.near_duplicates import NearDuplicates
from cyclegan_audio.corpus.screening.rules import Features, ScreeningRules
from cyclegan_audio.corpus.screening.song_change import SongChange
from cyclegan_audio.corpus.screening.voice import VoiceActivity

__all__ = [
    "Clipping",
    "DCOffset",
    "DeadChannel",
    "DualMono",
    "Features",
    "Gap",
    "NearDuplicates",
    "PhaseCancellation",
    "ScreeningRules",
    "Silence",
    "SongChange",
    "VoiceActivity",
]
