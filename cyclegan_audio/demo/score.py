"""What a demo song plays, apart from how it sounds: tempo, harmony, and the notes of every part.

Positions are in felt quarter notes ("beats") from the start of the song, straight, before swing. A bar has
four beats. Trap is felt in half time: a song counted at 140 BPM has a felt tempo of 70, and one felt bar is
two counted bars, so that its clap on the counted 3 is the back beat that the other genres play on 2 and 4.
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
    """One stroke of a drum; `offset_s` is the player's deviation from the grid."""

    beat: float
    velocity: float
    offset_s: float = 0.0


@dataclass(frozen=True)
class Note:
    """One or several keys pressed together; `length` in beats."""

    beat: float
    length: float
    midi: tuple[int, ...]
    velocity: float
    offset_s: float = 0.0


@dataclass(frozen=True)
class Chord:
    """A span of the harmony: what is in force, whether or not somebody plays it."""

    beat: float
    length: float
    name: str
    midi: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """A whole song without timbre.

    `swing` is the share of a pair of short notes that the first one takes (0.5 straight, 2/3 triplets); a
    pair lasts `swing_pair` beats. `hats[bar]` says whether cymbals play, `fills[bar]` whether the bar ends
    in a fill. `style` is the genre it was written for, or "shared".
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
        """Length of a felt beat in seconds."""
        return 60.0 / self.felt_bpm

    @property
    def compound(self) -> bool:
        """Whether the beats fall into three: a slow 12/8."""
        return self.swing_pair == 1.0

    def time_s(self, beat: float) -> float:
        """Seconds of a straight position once swing has bent it (piecewise linear inside each pair)."""
        pair, within = divmod(beat / self.swing_pair, 1.0)
        bent = self.swing * min(1.0, 2 * within) + (1 - self.swing) * max(0.0, 2 * within - 1)
        return (pair + bent) * self.swing_pair * self.beat_s

    def onset_s(self, event: Hit | Note) -> float:
        """When an event sounds, in seconds, with swing and the player's deviation."""
        return max(0.0, self.time_s(event.beat) + event.offset_s)

    def part(self, name: str) -> tuple[Hit, ...] | tuple[Note, ...]:
        """The events of one of `MAIN_PARTS`."""
        parts: dict[str, tuple[Hit, ...] | tuple[Note, ...]] = {
            "kick": self.kick,
            "snare": self.snare,
            "chords": self.chords,
            "bass": self.bass,
            "melody": self.melody,
        }
        return parts[name]


def bar_contents(score: Score, grid: int = 12) -> list[tuple[tuple[str, int, tuple[int, ...]], ...]]:
    """Each bar's events of the main parts, sorted: (part, position in the bar in 1/`grid` beats, keys).

    Neither tempo, velocity nor deviation counts, so two songs that differ in this differ by what is played.
    """
    bars: list[list[tuple[str, int, tuple[int, ...]]]] = [[] for _ in range(score.bars)]
    for name in MAIN_PARTS:
        for event in score.part(name):
            bar, within = divmod(event.beat, BEATS_PER_BAR)
            keys = event.midi if isinstance(event, Note) else ()
            bars[int(bar)].append((name, round(within * grid), keys))
    return [tuple(sorted(bar)) for bar in bars]


def bars_needed(felt_bpm: float, seconds: float) -> int:
    """How many felt bars begin within `seconds`."""
    return max(1, math.ceil(seconds * felt_bpm / 60.0 / BEATS_PER_BAR))
