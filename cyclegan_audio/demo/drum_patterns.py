"""What each genre's drummer adds to a score: hats, ride, ghost notes and fills, by the genre's rule."""

from __future__ import annotations

import numpy as np

from cyclegan_audio.demo.score import BEATS_PER_BAR, STEPS_PER_BAR, Hit, Score


class Drummer:
    """Adds hits to the bars of a score. `manner` is drawn once and stays the same throughout the song."""

    touch = 0.0
    looseness_s = 0.0

    def __init__(self, score: Score, rng: np.random.Generator) -> None:
        self.score = score
        self.rng = rng
        self.manner = rng.random(20)
        self.bar = 0
        self.added: dict[str, list[Hit]] = {}

    def play(self) -> dict[str, list[Hit]]:
        """All hits by instrument, in order of time."""
        for bar in range(self.score.bars):
            self.bar = bar
            if not self.score.hats[bar]:
                continue
            self.hats()
            self.colours()
            if self.score.fills[bar]:
                self.fill()
        return {name: sorted(hits, key=lambda hit: hit.beat) for name, hits in sorted(self.added.items())}

    def put(self, name: str, step: float, velocity: float, late_s: float = 0.0) -> None:
        """One hit at a step (sixteenth) of the present bar, with this drummer's unevenness."""
        beat = (self.bar + step / STEPS_PER_BAR) * BEATS_PER_BAR
        velocity = float(np.clip(velocity + self.touch * self.rng.normal(), 0.05, 1.0))
        offset_s = late_s + self.looseness_s * float(np.clip(self.rng.normal(), -3, 3))
        self.added.setdefault(name, []).append(Hit(beat, round(velocity, 3), round(offset_s, 5)))

    def after_fill(self) -> bool:
        """Whether the bar before ended in a fill."""
        return self.bar > 0 and self.score.fills[self.bar - 1]

    def hats(self) -> None:
        """The pulse of this bar."""
        raise NotImplementedError

    def colours(self) -> None:
        """What comes on top now and then."""
        raise NotImplementedError

    def fill(self) -> None:
        """The end of a phrase."""
        raise NotImplementedError


class LofiDrummer(Drummer):
    """Swung, dusty eighths that drag a little, an open hat now and then, a stumbling drag as a fill."""

    touch = 0.07
    looseness_s = 0.005

    def hats(self) -> None:
        """Eighths with the accent off the beat."""
        for eighth in range(8):
            if eighth == 7 and self.bar % 2 == int(self.manner[0] * 2):
                self.put("hat_open", 14, 0.5, 0.006)
            elif self.rng.random() > 0.06:
                self.put("hat_closed", 2 * eighth, 0.75 if eighth % 2 else 0.5, 0.006)
            if self.rng.random() < 0.07:
                self.put("hat_closed", 2 * eighth + 1, 0.35, 0.006)

    def colours(self) -> None:
        """A rim click between the beats in some songs."""
        for step in (3, 6, 11, 14):
            if self.manner[1] < 0.4 and self.rng.random() < 0.5:
                self.put("rim", step, 0.35)

    def fill(self) -> None:
        """Soft strokes of the snare up to the bar line."""
        for step, velocity in ((13, 0.35), (14, 0.5), (15, 0.4)):
            self.put("snare_ghost", step, velocity)


class TrapDrummer(Drummer):
    """Machine sixteenths broken by stutters; a counted eighth is a sixteenth of the felt bar."""

    def hats(self) -> None:
        """A felt eighth has 2 strokes, or a roll of 4 (counted sixteenths), 6 (triplets) or 8."""
        edges = (0.10, 0.21, 0.26 + 0.18 * self.manner[0])
        for eighth in range(8):
            usual = self.rng.random() < 0.8
            draw = self.manner[4 + eighth + 8 * (self.bar % 2)] if usual else self.rng.random()
            pieces = (8, 6, 4, 2)[int(np.searchsorted(edges, draw))]
            if self.score.fills[self.bar] and eighth >= 6:
                pieces = 8 if eighth == 7 else 6
            rise = float(self.rng.choice([-0.35, 0.0, 0.35])) if pieces > 2 else 0.0
            for piece in range(pieces):
                accent = 0.8 if piece == 0 else 0.62
                velocity = accent + rise * (piece / pieces - 0.5)
                self.put("hat_closed", 2 * (eighth + piece / pieces), velocity)

    def colours(self) -> None:
        """Open hats, a percussive click in some songs, a crash where a phrase begins."""
        if self.rng.random() < 0.35:
            self.put("hat_open", float(self.rng.choice([6, 10, 14])), 0.6)
        for step in (3, 11, 14):
            if self.manner[1] < 0.5 and self.rng.random() < 0.4:
                self.put("perc", step, 0.5)
        if self.bar == 0 or self.after_fill():
            self.put("crash", 0, 0.6)

    def fill(self) -> None:
        """A roll of the snare."""
        pieces = 6 if self.manner[2] < 0.5 else 8
        for piece in range(pieces):
            self.put("snare_roll", 14 + 2 * piece / pieces, 0.35 + 0.06 * piece)


class RnbDrummer(Drummer):
    """A player at a kit: ride or hats, ghost notes on the snare, tambourine, toms into the next phrase."""

    touch = 0.06
    looseness_s = 0.006

    def hats(self) -> None:
        """Ride or hats in eighths (triplets in 12/8), and the pedal on the back beat."""
        top = "ride" if self.manner[0] < 0.55 else "hat_closed"
        grid = (0, 1, 2) if self.score.compound else (0, 2)  # straight steps that swing bends into thirds
        for beat in range(BEATS_PER_BAR):
            for step in grid:
                self.put(top, 4 * beat + step, 0.72 if step == 0 else 0.45)
            if beat % 2 and top == "ride":
                self.put("hat_pedal", 4 * beat, 0.4)

    def colours(self) -> None:
        """Ghost notes; in most songs a tambourine on the back beat or all through; a crash after a fill."""
        for step in (3, 7, 9, 11, 15):
            if self.rng.random() < 0.3:
                self.put("snare_ghost", step, 0.22)
        for step in range(0, STEPS_PER_BAR, 2):
            back = step % 8 == 4
            if self.manner[1] < 0.65 and (back or self.manner[2] < 0.5):
                self.put("tambourine", step, 0.75 if back else 0.32, 0.004)
        if self.after_fill():
            self.put("crash", 0, 0.65)

    def fill(self) -> None:
        """Down the toms."""
        steps = (12.5, 13.0, 14.0, 14.5, 15.0) if self.manner[3] < 0.5 else (13.0, 14.0, 15.0)
        for place, step in enumerate(steps):
            drum = ("tom_high", "tom_mid", "tom_low")[place * 3 // len(steps)]
            self.put(drum, step, 0.6 + 0.05 * place)


DRUMMERS: dict[str, type[Drummer]] = {"lofi": LofiDrummer, "trap": TrapDrummer, "rnb": RnbDrummer}
