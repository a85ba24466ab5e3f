"""Habits of each genre's composer, as numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A genre's habits.

    `kicks` and `comps` are rhythms of one felt bar in sixteenths; `bass` names a manner of
    `parts.bass_span`; centres are MIDI numbers; `melody_notes` is the range of notes in a bar;
    `looseness_s` is the spread of a player's timing, `laid_back_s` how late the back beat comes;
    `compound_share` is the share of songs in 12/8.
    """

    felt_bpm: tuple[float, float]
    swing: tuple[float, float]
    compound_share: float
    kicks: tuple[tuple[int, ...], ...]
    comps: tuple[tuple[int, ...], ...]
    bass: str
    bass_centre: int
    melody_notes: tuple[int, int]
    melody_centre: tuple[int, int]
    looseness_s: float
    laid_back_s: float


STYLES = {
    "lofi": Style(
        felt_bpm=(70, 88),
        swing=(0.55, 0.64),
        compound_share=0.0,
        kicks=((0, 7, 10), (0, 3, 10), (0, 10), (0, 2, 10, 11), (0, 7, 8, 13), (0, 6, 10, 15), (0, 9, 10)),
        comps=((0,), (0, 6), (0, 10), (0, 3, 10), (0, 7), (0, 6, 11)),
        bass="sparse",
        bass_centre=40,
        melody_notes=(3, 7),
        melody_centre=(67, 76),
        looseness_s=0.006,
        laid_back_s=0.010,
    ),
    "trap": Style(
        felt_bpm=(65, 75),
        swing=(0.5, 0.5),
        compound_share=0.0,
        kicks=(
            (0, 6, 14),
            (0, 3, 10),
            (0, 7, 10, 14),
            (0, 6, 9, 11),
            (0, 10),
            (0, 3, 8, 14),
            (0, 2, 7, 10),
            (0, 11, 14),
        ),
        comps=((0,), (0,), (0, 8), (0, 14)),
        bass="kick",
        bass_centre=34,
        melody_notes=(5, 11),
        melody_centre=(72, 82),
        looseness_s=0.0,
        laid_back_s=0.0,
    ),
    "rnb": Style(
        felt_bpm=(60, 80),
        swing=(0.5, 0.57),
        compound_share=0.4,
        kicks=((0, 8), (0, 6, 8), (0, 8, 10), (0, 2, 8), (0, 8, 14), (0, 7, 8, 10), (0, 6, 8, 14)),
        comps=((0, 4, 8, 12), (0, 8), (0, 6, 12), (0, 4, 12), (0, 2, 8, 12), (0, 8, 14)),
        bass="walking",
        bass_centre=38,
        melody_notes=(4, 9),
        melody_centre=(64, 74),
        looseness_s=0.007,
        laid_back_s=0.004,
    ),
    "shared": Style(
        felt_bpm=(70, 75),
        swing=(0.5, 0.58),
        compound_share=0.0,
        kicks=((0, 7, 10), (0, 6, 8), (0, 3, 10), (0, 10, 14), (0, 6, 9), (0, 8, 11), (0, 2, 10)),
        comps=((0,), (0, 6), (0, 8), (0, 10), (0, 4, 12)),
        bass="sparse",
        bass_centre=37,
        melody_notes=(3, 8),
        melody_centre=(67, 77),
        looseness_s=0.003,
        laid_back_s=0.003,
    ),
}
