"""Chords: their intervals, the progressions each genre leans on, and voicings that move little."""

from __future__ import annotations

import numpy as np

from cyclegan_audio.demo.score import BEATS_PER_BAR, Chord

NOTE_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")

INTERVALS: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "7": (0, 4, 7, 10),
    "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14),
    "9": (0, 4, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "madd9": (0, 3, 7, 14),
    "sus4": (0, 5, 7),
    "7b9": (0, 4, 7, 10, 13),
}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

# "semitones above the tonic : quality", a space between chords. The first word is the scale.
PROGRESSIONS: dict[str, tuple[str, ...]] = {
    "lofi": (
        "major 2:m9 7:13 0:maj9 9:m7",
        "major 5:maj7 4:m7 2:m9 0:maj9",
        "major 0:maj9 9:m9 2:m7 7:9",
        "major 5:maj9 7:6 4:m7 9:m9",
        "minor 0:m9 5:m7 10:9 3:maj7",
        "minor 8:maj7 7:m7 0:m9 10:6",
        "major 0:maj7 4:7 9:m9 5:maj9",
        "minor 0:m7 8:maj9 5:m9 7:7b9",
        "major 2:m7 4:m7 5:maj7 7:13",
        "major 4:m7 9:m9 2:m9 7:7b9",
    ),
    "trap": (
        "minor 0:m 8: 3: 10:",
        "minor 0:madd9 0:m 8: 7:m",
        "phrygian 0:m 1: 0:m 10:m",
        "minor 0:m 5:m 8: 7:",
        "minor 0:m 10: 8: 8:",
        "minor 0:madd9 3: 5:m 8:",
        "phrygian 0:m 8: 1: 0:m",
        "minor 8: 10: 0:m 0:madd9",
        "minor 0:m 0:m 5:m 7:m",
    ),
    "rnb": (
        "major 0: 9:m 5: 7:7",
        "major 0:6 4:m7 5:maj7 5:m6",
        "major 0: 0:7 5: 5:m",
        "major 2:m7 7:7 0:6 9:7",
        "major 0:maj7 2:m7 4:m7 2:m7",
        "major 5: 0: 7:7 0:7",
        "minor 0:m7 5:7 0:m7 7:7",
        "major 0: 4:7 9:m 5:6",
        "major 0:6 3:dim7 2:m7 7:9",
        "major 9:m7 2:m7 7:sus4 0:",
    ),
}
PROGRESSIONS["shared"] = (
    *PROGRESSIONS["lofi"][4:8],
    *PROGRESSIONS["trap"][3:6],
    *PROGRESSIONS["rnb"][:3],
    "minor 0:m7 8:maj7 3:maj7 10:",
    "minor 0:m9 5:m7 8:maj7 7:m7",
)


def voice(root: int, quality: str, centre: float) -> tuple[int, ...]:
    """Keys of a chord, each tone in the octave nearest to `centre` (MIDI number)."""
    tones = INTERVALS[quality]
    kept = tones[1:] if len(tones) > 4 else tones
    keys = {int(tone + root + 12 * round((centre - tone - root) / 12)) for tone in kept}
    return tuple(sorted(keys))


def write_harmony(
    rng: np.random.Generator, style: str, bars: int
) -> tuple[list[Chord], list[list[int]], list[int], str]:
    """Chords of a whole song: two progressions in turn, with substitutions.

    Returns the spans, the scale's pitch classes and the root's pitch class of each span, and the key's name.
    """
    pool = PROGRESSIONS[style]
    first, second = rng.permutation(len(pool))[:2]
    tonic, centre = int(rng.integers(12)), float(rng.uniform(59.5, 65.0))
    quick = style in ("lofi", "rnb") and rng.random() < 0.4
    span = BEATS_PER_BAR / 2 if quick else float(BEATS_PER_BAR)
    mode = pool[first].split()[0]
    chords: list[Chord] = []
    scales: list[list[int]] = []
    roots: list[int] = []
    for index in range(int(bars * BEATS_PER_BAR / span)):
        words = pool[second if index // 8 % 3 == 1 else first].split()
        degree, quality = words[1 + index % 4].split(":")
        if index % 4 == 3 and rng.random() < 0.3:  # a turn-around that is not the same each time
            degree, quality = words[1 + int(rng.integers(1, 4))].split(":")
        root = (tonic + int(degree)) % 12
        keys = voice(root, quality, centre + float(rng.normal(0, 0.7)))
        chords.append(Chord(index * span, span, NOTE_NAMES[root] + quality, keys))
        scales.append([(tonic + step) % 12 for step in SCALES[words[0]]])
        roots.append(root)
    return chords, scales, roots, f"{NOTE_NAMES[tonic]} {mode}"
