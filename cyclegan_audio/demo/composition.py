"""Compose scores: draw tempo, arrangement and harmony in the style of a genre, and write each part."""

from __future__ import annotations

import numpy as np

from cyclegan_audio.demo.genres import STYLES, Style
from cyclegan_audio.demo.score import (
    BEATS_PER_BAR,
    GENRES,
    STEPS_PER_BAR,
    Chord,
    Hit,
    Note,
    Score,
    bars_needed,
)

STEP = BEATS_PER_BAR / STEPS_PER_BAR
BACK_BEATS = (4, 12)  # steps

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

# The scale, then chords as "semitones above the tonic:quality".
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


def voice_chord(root: int, quality: str, centre: float) -> tuple[int, ...]:
    """Return the keys of a chord, each tone in the octave nearest to `centre` (MIDI number)."""
    tones = INTERVALS[quality]
    voiced = tones[1:] if len(tones) > 4 else tones
    keys = {int(tone + root + 12 * round((centre - tone - root) / 12)) for tone in voiced}
    return tuple(sorted(keys))


def write_harmony(
    rng: np.random.Generator, style: str, bars: int
) -> tuple[list[Chord], list[list[int]], list[int], str]:
    """Write the chords of a song: two alternating progressions, with substitutions.

    Returns:
        The chords, for each chord the pitch classes of its scale and of its root, and the name of the key.
    """
    pool = PROGRESSIONS[style]
    first, second = rng.permutation(len(pool))[:2]
    tonic, centre = int(rng.integers(12)), float(rng.uniform(59.5, 65.0))
    is_quick = style in ("lofi", "rnb") and rng.random() < 0.4
    chord_beats = BEATS_PER_BAR / 2 if is_quick else float(BEATS_PER_BAR)
    mode = pool[first].split()[0]
    chords: list[Chord] = []
    scales: list[list[int]] = []
    roots: list[int] = []
    for index in range(int(bars * BEATS_PER_BAR / chord_beats)):
        words = pool[second if index // 8 % 3 == 1 else first].split()
        degree, quality = words[1 + index % 4].split(":")
        if index % 4 == 3 and rng.random() < 0.3:  # a varied turn-around
            degree, quality = words[1 + int(rng.integers(1, 4))].split(":")
        root = (tonic + int(degree)) % 12
        keys = voice_chord(root, quality, centre + float(rng.normal(0, 0.7)))
        chords.append(Chord(index * chord_beats, chord_beats, NOTE_NAMES[root] + quality, keys))
        scales.append([(tonic + step) % 12 for step in SCALES[words[0]]])
        roots.append(root)
    return chords, scales, roots, f"{NOTE_NAMES[tonic]} {mode}"


def compose_score(
    seed: int, index: int = 0, genre: str | None = None, seconds: float = 32.0, attempt: int = 0
) -> Score:
    """Compose the score of a song; the same arguments always give the same score.

    Without a genre the score suits all genres: 70-75 felt BPM and rhythms that each band can play.
    `attempt` gives another song with the same index.
    """
    style_name = genre or "shared"
    style = STYLES[style_name]
    entropy = (seed, (*GENRES, "shared").index(style_name), index, attempt)
    rng = np.random.default_rng(entropy)
    felt_bpm = round(float(rng.uniform(*style.felt_bpm)), 1)
    compound = rng.random() < style.compound_share
    swing = 2 / 3 if compound else round(float(rng.uniform(*style.swing)), 3)
    bars = bars_needed(felt_bpm, seconds)
    parts_by_bar, fills = arrange(rng, bars)
    harmony, scales, roots, key = write_harmony(rng, style_name, bars)
    kick, snare = write_drums(rng, style, parts_by_bar)
    chords = write_comping(rng, style, parts_by_bar, harmony)
    bass = write_bass(rng, style, parts_by_bar, roots, harmony[0].length, kick)
    melody = write_melody(rng, style, parts_by_bar, scales, harmony)
    return Score(
        score_id=f"{style_name}-{seed}-{index:03d}" + (f"-{attempt}" if attempt else ""),
        style=style_name,
        seed=entropy,
        felt_bpm=felt_bpm,
        swing=swing,
        swing_pair=1.0 if compound else 0.5,
        bars=bars,
        key=key,
        harmony=tuple(harmony),
        chords=tuple(chords),
        bass=tuple(bass),
        melody=tuple(melody),
        kick=tuple(kick),
        snare=tuple(snare),
        hats=tuple("hats" in parts for parts in parts_by_bar),
        fills=tuple(fills),
    )


def arrange(rng: np.random.Generator, bars: int) -> tuple[list[set[str]], list[bool]]:
    """Draw the parts that play in each bar (intro, phrases of 4 bars, a break), and the bars with a fill."""
    all_parts = {"kick", "snare", "hats", "chords", "bass", "melody"}
    entry = int(rng.integers(1, 3)) if bars > 4 else 0
    entries = [
        {"chords", "melody"},
        {"chords", "hats"},
        {"chords", "kick", "hats"},
        {"chords", "melody", "hats"},
    ]
    entry_parts = entries[int(rng.integers(len(entries)))]
    delay_s = ("melody", "bass", None, None, None)[int(rng.integers(5))]
    fill_period = 8 if rng.random() < 0.3 else 4
    parts_by_bar, fills = [], []
    for bar in range(bars):
        phrase, bar_of_phrase = divmod(bar - entry, 4)
        parts = set(all_parts)
        if bar < entry:
            parts = set(entry_parts)
        elif phrase == 0 and bar_of_phrase < 2 and delay_s:
            parts -= {delay_s}
        fills.append(bar == entry - 1 or (bar >= entry and (bar - entry + 1) % fill_period == 0))
        parts_by_bar.append(parts)
    if bars > 6:  # a break in the second half
        bar = int(rng.integers(bars // 2, bars - 1))
        parts_by_bar[bar] -= [{"kick", "bass"}, {"melody"}, {"kick", "snare"}, {"bass", "melody"}][
            int(rng.integers(4))
        ]
    return parts_by_bar, fills


def draw_offset(rng: np.random.Generator, style: Style, delay_s: float = 0.0) -> float:
    """Draw a note's deviation from the grid in seconds, at most three standard deviations."""
    return round(delay_s + style.timing_spread_s * float(np.clip(rng.normal(), -3, 3)), 5)


def draw_velocity(rng: np.random.Generator, mean: float, spread: float = 0.06) -> float:
    """Draw a velocity in (0, 1]."""
    return round(float(np.clip(mean + spread * rng.normal(), 0.15, 1.0)), 3)


def write_drums(
    rng: np.random.Generator, style: Style, parts_by_bar: list[set[str]]
) -> tuple[list[Hit], list[Hit]]:
    """Write kick and back beat: a two-bar pattern with variations."""
    patterns = [style.kicks[int(i)] for i in rng.permutation(len(style.kicks))[:3]]
    kick, snare = [], []
    for bar, parts in enumerate(parts_by_bar):
        steps = set(patterns[2] if bar % 8 >= 6 else patterns[bar % 2])
        if rng.random() < 0.35:
            steps ^= {int(rng.choice([2, 3, 6, 7, 10, 11, 13, 14, 15]))}
        first = bar * STEPS_PER_BAR
        if "kick" in parts:
            for step in sorted(steps - set(BACK_BEATS)):
                velocity = 0.95 if step % 8 == 0 else 0.8
                kick.append(Hit((first + step) * STEP, draw_velocity(rng, velocity), draw_offset(rng, style)))
        if "snare" in parts:
            for step in BACK_BEATS:
                delay_s = style.laid_back_s
                snare.append(
                    Hit(
                        (first + step) * STEP,
                        draw_velocity(rng, 0.9, 0.04),
                        draw_offset(rng, style, delay_s),
                    )
                )
    return kick, snare


def write_comping(
    rng: np.random.Generator,
    style: Style,
    parts_by_bar: list[set[str]],
    harmony: list[Chord],
) -> list[Note]:
    """Write the chords in a two-bar rhythm; each change of chord is played."""
    rhythms = [style.comps[int(i)] for i in rng.integers(len(style.comps), size=3)]
    chords = []
    for chord in harmony:
        beat, chord_beats = chord.beat, chord.length
        bar = int(beat // BEATS_PER_BAR)
        if "chords" not in parts_by_bar[bar]:
            continue
        rhythm = rhythms[2] if bar % 4 == 3 else rhythms[bar % 2]
        offsets = sorted({0.0} | {step * STEP - beat % BEATS_PER_BAR for step in rhythm})
        offsets = [offset for offset in offsets if 0 <= offset < chord_beats]
        for offset, next_onset in zip(offsets, [*offsets[1:], chord_beats], strict=True):
            short = offset > 0 and rng.random() < 0.5
            length = min(next_onset - offset, 0.6) if short else next_onset - offset
            velocity = 0.8 if offset == 0 else 0.62
            delay_s = style.laid_back_s / 2 if beat + offset > 0 else 0.0
            chords.append(
                Note(
                    beat + offset,
                    length,
                    chord.midi,
                    draw_velocity(rng, velocity),
                    draw_offset(rng, style, delay_s),
                )
            )
    return chords


def write_bass(
    rng: np.random.Generator,
    style: Style,
    parts_by_bar: list[set[str]],
    roots: list[int],
    chord_beats: float,
    kick: list[Hit],
) -> list[Note]:
    """Write the bass: roots with the kick, or a line that walks to the next root."""
    starts: list[tuple[float, int]] = []
    kicks = sorted(hit.beat for hit in kick)
    for index, root in enumerate(roots):
        beat = index * chord_beats
        if "bass" not in parts_by_bar[int(beat // BEATS_PER_BAR)]:
            continue
        low = style.bass_centre + (root - style.bass_centre + 6) % 12 - 6
        target = roots[(index + 1) % len(roots)]
        next_root = low + (target - low + 6) % 12 - 6
        starts += bass_under_chord(rng, style.bass, beat, chord_beats, low, next_root, kicks)
    notes = []
    for position, (beat, key) in enumerate(starts):
        next_onset = starts[position + 1][0] if position + 1 < len(starts) else beat + 2.0
        longest = 3.5 if style.bass == "kick" else 1.75
        length = min((next_onset - beat) * (1.0 if style.bass == "kick" else 0.92), longest)
        notes.append(Note(beat, length, (key,), draw_velocity(rng, 0.85), draw_offset(rng, style)))
    return notes


def bass_under_chord(
    rng: np.random.Generator,
    bass_style: str,
    beat: float,
    chord_beats: float,
    low: int,
    next_root: int,
    kicks: list[float],
) -> list[tuple[float, int]]:
    """Write bass notes under one chord as (beat, key): the root first, then notes of the style."""
    if bass_style == "walking":
        steps = [0.0, 1.5, 2.0, 3.0] if rng.random() < 0.6 else [0.0, 1.0, 2.0, 3.0]
        if chord_beats < BEATS_PER_BAR:
            steps = [0.0, 0.75, 1.0, 1.5]
        keys = [
            low,
            low + int(rng.choice([7, 12])),
            low + int(rng.choice([7, -5, 12])),
            next_root + int(rng.choice([-1, 1])),
        ]
        voiced = [(s, k) for s, k in zip(steps, keys, strict=True) if s == 0 or rng.random() < 0.8]
        return [(beat + s, k) for s, k in voiced if s < chord_beats]
    notes = [(beat, low)]
    for position in kicks:
        if beat < position < beat + chord_beats and (bass_style == "kick" or rng.random() < 0.75):
            leap = int(rng.choice([0, 0, 0, 12, 7] if bass_style == "kick" else [0, 0, 7, 12, 7]))
            notes.append((position, low + leap))
    if bass_style == "sparse" and rng.random() < 0.4 and chord_beats - 0.5 > notes[-1][0] - beat:
        notes.append((beat + chord_beats - 0.5, next_root + int(rng.choice([-1, 1, -2, 2]))))
    return notes


def write_melody(
    rng: np.random.Generator,
    style: Style,
    parts_by_bar: list[set[str]],
    scales: list[list[int]],
    harmony: list[Chord],
) -> list[Note]:
    """Write a melody from two-bar motifs: chord tones on the beat, tones of the scale between."""
    centre = float(rng.uniform(*style.melody_centre))
    motifs = [(draw_rhythm(rng, style), rng.normal(0, 2.6, STEPS_PER_BAR)) for _ in range(3)]
    key = centre
    notes = []
    for bar, parts in enumerate(parts_by_bar):
        rhythm, contour = motifs[2 if bar % 4 == 3 else bar % 2]
        if rng.random() < 0.2:
            rhythm, contour = draw_rhythm(rng, style), rng.normal(0, 2.6, STEPS_PER_BAR)
        if "melody" not in parts:
            continue
        for position, step in enumerate(rhythm):
            beat = (bar * STEPS_PER_BAR + step) * STEP
            index = min(int(beat // harmony[0].length), len(scales) - 1)
            pitches = allowed_keys(harmony[index], scales[index], strong=step % 4 == 0)
            target_key = key + contour[step] + rng.normal(0, 0.4) + 0.25 * (centre - key)
            key = pitches[int(np.argmin(np.abs(pitches - target_key)))]
            next_onset = rhythm[position + 1] if position + 1 < len(rhythm) else STEPS_PER_BAR
            length = min((next_onset - step) * STEP, 2.0) * float(rng.choice([1.0, 0.9, 0.6]))
            velocity = 0.78 if step % 4 == 0 else 0.66
            notes.append(
                Note(beat, length, (int(key),), draw_velocity(rng, velocity, 0.08), draw_offset(rng, style))
            )
    return notes


def allowed_keys(chord: Chord, scale: list[int], strong: bool) -> np.ndarray:
    """Return the keys allowed over a chord: its tones, and on weak beats the scale without clashes."""
    tones = {key % 12 for key in chord.midi}
    altered = tones - set(scale)
    passing = {pitch for pitch in scale if not {(pitch + 1) % 12, (pitch - 1) % 12} & altered}
    allowed = tones if strong else tones | passing
    return np.array([key for key in range(48, 96) if key % 12 in allowed])


def draw_rhythm(rng: np.random.Generator, style: Style) -> list[int]:
    """Draw the steps of a bar of melody; strong positions are more likely."""
    steps = np.arange(STEPS_PER_BAR)
    weight = np.where(
        steps % 4 == 0, 3.0, np.where(steps % 2 == 0, 2.0, 0.7 if style.bass != "kick" else 1.5)
    )
    count = int(rng.integers(*style.melody_notes))
    return sorted(int(s) for s in rng.choice(steps, size=count, replace=False, p=weight / weight.sum()))
