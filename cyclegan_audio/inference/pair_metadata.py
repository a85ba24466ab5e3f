"""The card of a pair: what makes its weights usable alone, in checkpoints, shipped pairs and exports."""

from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.directions import DIRECTIONS

FORMAT = 2
CARD = "pair.json"


def make_card(
    genres: tuple[str, str],
    mel: MelSpectrogram,
    window_frames: int,
    config: Mapping[str, Any],
    training_intervals: Mapping[str, Any],
    directions: Sequence[str] = DIRECTIONS,
) -> dict[str, Any]:
    """The plain description that makes a checkpoint usable alone."""
    return {
        "format": FORMAT,
        "genres": list(genres),
        "directions": list(directions),
        "mel": mel.to_dict(),
        "window_frames": window_frames,
        "config": dict(config),
        "training_intervals": dict(training_intervals),
    }
