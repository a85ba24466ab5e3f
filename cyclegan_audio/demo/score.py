"""Represent a score: tempo, harmony, and the notes of every part, without timbre.

Positions are in felt quarter notes ("beats") from the start of the song, straight, before swing. A bar has
four beats. Trap is felt in half time: a song counted at 140 BPM has a felt tempo of 70, and a felt bar is two
counted bars, so that its clap on the counted 3 is the back beat that other genres play on 2 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GENRES = ("lofi", "trap", "rnb")
SAMPLE_RATE_HZ = 44_100
BEATS_PER_BAR = 4
STEPS_PER_BAR = 16
MAIN_PARTS = ("kick", "snare", "chords", "bass", "melody")


@dataclass(frozen=True)
class Hit:
    """A drum stroke at `beat`; `offset_s` is its deviation from the grid."""

    beat: float
    velocity: float
    offset_s: float = 0.0


@dataclass(frozen=True)
class Note:
    """One or more keys played together; `length` is in beats."""

    beat: float
    length: float
    midi: tuple[int, ...]
    velocity: float
    offset_s: float = 0.0


@dataclass(frozen=True)
class Chord:
    """A chord of the harmony, whether or not a part plays it; `length` is in beats."""

    beat: float
    length: float
    name: str
    midi: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """The score of a song.

    Attributes:
        style: genre that it was composed for, or "shared".
        seed: seed of its random numbers.
        felt_bpm: tempo in felt beats per minute.
        swing: share of a pair of short notes that the first one takes (0.5 straight, 2/3 triplets).
        swing_pair: length of a pair in beats.
        hats: for each bar whether cymbals play.
        fills: for each bar whether it ends in a fill.
    """

    score_id: str
    style: str
    seed: tuple[int, ...]
    felt_bpm: float
    swing: float
    swing_pair: float
    bars: int
    key: str
    harmony: tuple[Chord, ...]
    chords: tuple[Note, ...]
    bass: tuple[Note, ...]
    melody: tuple[Note, ...]
    kick: tuple[Hit, ...]
    snare: tuple[Hit, ...]
    hats: tuple[bool, ...]
    fills: tuple[bool, ...]

    @property
    def beat_s(self) -> float:
        """Return the length of a felt beat in seconds."""
        return 60.0 / self.felt_bpm

    @property
    def compound(self) -> bool:
        """Return whether beats have three parts (a slow 12/8)."""
        return self.swing_pair == 1.0

    def time_s(self, beat: float) -> float:
        """Return the time in seconds of a straight position, with swing (piecewise linear in each pair)."""
        pair, phase = divmod(beat / self.swing_pair, 1.0)
        warped = self.swing * min(1.0, 2 * phase) + (1 - self.swing) * max(0.0, 2 * phase - 1)
        return (pair + warped) * self.swing_pair * self.beat_s

    def onset_s(self, event: Hit | Note) -> float:
        """Return the onset of an event in seconds, with swing and its deviation."""
        return max(0.0, self.time_s(event.beat) + event.offset_s)

    def events(self, name: str) -> tuple[Hit, ...] | tuple[Note, ...]:
        """Return the events of one of `MAIN_PARTS`."""
        parts: dict[str, tuple[Hit, ...] | tuple[Note, ...]] = {
            "kick": self.kick,
            "snare": self.snare,
            "chords": self.chords,
            "bass": self.bass,
            "melody": self.melody,
        }
        return parts[name]


def bar_contents(score: Score, grid: int = 12) -> list[tuple[tuple[str, int, tuple[int, ...]], ...]]:
    """Return for each bar its sorted events: (part, position in the bar in 1/`grid` beats, keys).

    Tempo, velocity and deviations do not count.
    """
    bars: list[list[tuple[str, int, tuple[int, ...]]]] = [[] for _ in range(score.bars)]
    for name in MAIN_PARTS:
        for event in score.events(name):
            bar, phase = divmod(event.beat, BEATS_PER_BAR)
            keys = event.midi if isinstance(event, Note) else ()
            bars[int(bar)].append((name, round(phase * grid), keys))
    return [tuple(sorted(bar)) for bar in bars]


def bars_needed(felt_bpm: float, seconds: float) -> int:
    """Return the number of felt bars that start within `seconds`."""
    return max(1, math.ceil(seconds * felt_bpm / 60.0 / BEATS_PER_BAR))
