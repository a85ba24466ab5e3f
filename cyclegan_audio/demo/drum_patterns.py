"""Play each genre's cymbals, ghost notes and fills over a score: one drummer per genre."""

from __future__ import annotations

import numpy as np

from cyclegan_audio.demo.score import BEATS_PER_BAR, STEPS_PER_BAR, Hit, Score


class Drummer:
    """Adds hits to the bars of a score.

    Attributes:
        song_draws: random numbers (20,) that stay the same throughout the song.
        velocity_spread: standard deviation of velocities.
        timing_spread_s: standard deviation of onsets.
    """

    velocity_spread = 0.0
    timing_spread_s = 0.0

    def __init__(self, score: Score, rng: np.random.Generator) -> None:
        self.score = score
        self.rng = rng
        self.song_draws = rng.random(20)
        self.bar = 0
        self.added: dict[str, list[Hit]] = {}

    def play(self) -> dict[str, list[Hit]]:
        """Return all added hits by instrument, sorted by time."""
        for bar in range(self.score.bars):
            self.bar = bar
            if not self.score.hats[bar]:
                continue
            self.hats()
            self.ornaments()
            if self.score.fills[bar]:
                self.fill()
        return {name: sorted(hits, key=lambda hit: hit.beat) for name, hits in sorted(self.added.items())}

    def add_hit(self, name: str, step: float, velocity: float, late_s: float = 0.0) -> None:
        """Add a hit at a step (sixteenth) of the current bar, with random velocity and timing."""
        beat = (self.bar + step / STEPS_PER_BAR) * BEATS_PER_BAR
        velocity = float(np.clip(velocity + self.velocity_spread * self.rng.normal(), 0.05, 1.0))
        offset_s = late_s + self.timing_spread_s * float(np.clip(self.rng.normal(), -3, 3))
        self.added.setdefault(name, []).append(Hit(beat, round(velocity, 3), round(offset_s, 5)))

    def after_fill(self) -> bool:
        """Return whether the previous bar ended in a fill."""
        return self.bar > 0 and self.score.fills[self.bar - 1]

    def hats(self) -> None:
        """Add the pulse of the current bar."""
        raise NotImplementedError

    def ornaments(self) -> None:
        """Add occasional hits to the current bar."""
        raise NotImplementedError

    def fill(self) -> None:
        """Add a fill to the current bar."""
        raise NotImplementedError


class LofiDrummer(Drummer):
    """Swung eighths slightly behind the beat, occasional open hats, a soft drag as a fill."""

    velocity_spread = 0.07
    timing_spread_s = 0.005

    def hats(self) -> None:
        """Add eighths with off-beat accents."""
        for eighth in range(8):
            if eighth == 7 and self.bar % 2 == int(self.song_draws[0] * 2):
                self.add_hit("hat_open", 14, 0.5, 0.006)
            elif self.rng.random() > 0.06:
                self.add_hit("hat_closed", 2 * eighth, 0.75 if eighth % 2 else 0.5, 0.006)
            if self.rng.random() < 0.07:
                self.add_hit("hat_closed", 2 * eighth + 1, 0.35, 0.006)

    def ornaments(self) -> None:
        """Add rim clicks between the beats in some songs."""
        for step in (3, 6, 11, 14):
            if self.song_draws[1] < 0.4 and self.rng.random() < 0.5:
                self.add_hit("rim", step, 0.35)

    def fill(self) -> None:
        """Add soft snare strokes up to the bar line."""
        for step, velocity in ((13, 0.35), (14, 0.5), (15, 0.4)):
            self.add_hit("snare_ghost", step, velocity)


class TrapDrummer(Drummer):
    """Machine-like sixteenths with rolls; a counted eighth is a sixteenth of the felt bar."""

    def hats(self) -> None:
        """Add 2 strokes per felt eighth, or a roll of 4 (counted sixteenths), 6 (triplets) or 8."""
        thresholds = (0.10, 0.21, 0.26 + 0.18 * self.song_draws[0])
        for eighth in range(8):
            is_pattern = self.rng.random() < 0.8
            number = self.song_draws[4 + eighth + 8 * (self.bar % 2)] if is_pattern else self.rng.random()
            n_strokes = (8, 6, 4, 2)[int(np.searchsorted(thresholds, number))]
            if self.score.fills[self.bar] and eighth >= 6:
                n_strokes = 8 if eighth == 7 else 6
            rise = float(self.rng.choice([-0.35, 0.0, 0.35])) if n_strokes > 2 else 0.0
            for stroke in range(n_strokes):
                accent = 0.8 if stroke == 0 else 0.62
                velocity = accent + rise * (stroke / n_strokes - 0.5)
                self.add_hit("hat_closed", 2 * (eighth + stroke / n_strokes), velocity)

    def ornaments(self) -> None:
        """Add open hats, percussion in some songs, and a crash at the start of a phrase."""
        if self.rng.random() < 0.35:
            self.add_hit("hat_open", float(self.rng.choice([6, 10, 14])), 0.6)
        for step in (3, 11, 14):
            if self.song_draws[1] < 0.5 and self.rng.random() < 0.4:
                self.add_hit("perc", step, 0.5)
        if self.bar == 0 or self.after_fill():
            self.add_hit("crash", 0, 0.6)

    def fill(self) -> None:
        """Add a snare roll."""
        n_strokes = 6 if self.song_draws[2] < 0.5 else 8
        for stroke in range(n_strokes):
            self.add_hit("snare_roll", 14 + 2 * stroke / n_strokes, 0.35 + 0.06 * stroke)


class RnbDrummer(Drummer):
    """An acoustic kit: ride or hats, ghost notes on the snare, tambourine, and tom fills."""

    velocity_spread = 0.06
    timing_spread_s = 0.006

    def hats(self) -> None:
        """Add ride or hats in eighths (triplets in 12/8), and the pedal hat on the back beat."""
        cymbal = "ride" if self.song_draws[0] < 0.55 else "hat_closed"
        steps = (0, 1, 2) if self.score.compound else (0, 2)  # swing turns these straight steps into thirds
        for beat in range(BEATS_PER_BAR):
            for step in steps:
                self.add_hit(cymbal, 4 * beat + step, 0.72 if step == 0 else 0.45)
            if beat % 2 and cymbal == "ride":
                self.add_hit("hat_pedal", 4 * beat, 0.4)

    def ornaments(self) -> None:
        """Add ghost notes, in most songs a tambourine on back beats or throughout, a crash after a fill."""
        for step in (3, 7, 9, 11, 15):
            if self.rng.random() < 0.3:
                self.add_hit("snare_ghost", step, 0.22)
        for step in range(0, STEPS_PER_BAR, 2):
            is_back_beat = step % 8 == 4
            if self.song_draws[1] < 0.65 and (is_back_beat or self.song_draws[2] < 0.5):
                self.add_hit("tambourine", step, 0.75 if is_back_beat else 0.32, 0.004)
        if self.after_fill():
            self.add_hit("crash", 0, 0.65)

    def fill(self) -> None:
        """Add strokes down the toms."""
        steps = (12.5, 13.0, 14.0, 14.5, 15.0) if self.song_draws[3] < 0.5 else (13.0, 14.0, 15.0)
        for index, step in enumerate(steps):
            drum = ("tom_high", "tom_mid", "tom_low")[index * 3 // len(steps)]
            self.add_hit(drum, step, 0.6 + 0.05 * index)


DRUMMERS: dict[str, type[Drummer]] = {"lofi": LofiDrummer, "trap": TrapDrummer, "rnb": RnbDrummer}
