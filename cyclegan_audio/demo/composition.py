"""Composing a score in the manner of a genre, or in one that all genres can play.

`compose_score` draws tempo, arrangement and harmony; the functions after it write each part over these.
"""

from __future__ import annotations

import numpy as np

from cyclegan_audio.demo.genres import STYLES, Style
from cyclegan_audio.demo.harmony import write_harmony
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
BACK_BEATS = (4, 12)


def compose_score(
    seed: int, index: int = 0, genre: str | None = None, seconds: float = 32.0, attempt: int = 0
) -> Score:
    """Write the score of one song; the same arguments always give the same score.

    Without a genre the score suits all of them: 70-75 felt BPM and rhythms that each band can play.
    `attempt` draws another song in the same place.
    """
    style_name = genre or "shared"
    style = STYLES[style_name]
    entropy = (seed, (*GENRES, "shared").index(style_name), index, attempt)
    rng = np.random.default_rng(entropy)
    felt_bpm = round(float(rng.uniform(*style.felt_bpm)), 1)
    compound = rng.random() < style.compound_share
    swing = 2 / 3 if compound else round(float(rng.uniform(*style.swing)), 3)
    bars = bars_needed(felt_bpm, seconds)
    playing, fills = arrange(rng, bars)
    harmony, scales, roots, key = write_harmony(rng, style_name, bars)
    kick, snare = write_drums(rng, style, playing)
    chords = write_comping(rng, style, playing, harmony)
    bass = write_bass(rng, style, playing, roots, harmony[0].length, kick)
    melody = write_melody(rng, style, playing, scales, harmony)
    return Score(
        score_id=f"{style_name}-{seed}-{index:03d}"
        if attempt == 0
        else f"{style_name}-{seed}-{index:03d}-{attempt}",
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
        hats=tuple("hats" in parts for parts in playing),
        fills=tuple(fills),
    )


def arrange(rng: np.random.Generator, bars: int) -> tuple[list[set[str]], list[bool]]:
    """Which parts play in each bar (an entry, phrases of 4 bars, a break), and which bars end in a fill."""
    everything = {"kick", "snare", "hats", "chords", "bass", "melody"}
    entry = int(rng.integers(1, 3)) if bars > 4 else 0
    entries = [
        {"chords", "melody"},
        {"chords", "hats"},
        {"chords", "kick", "hats"},
        {"chords", "melody", "hats"},
    ]
    entering = entries[int(rng.integers(len(entries)))]
    late = ("melody", "bass", None, None, None)[int(rng.integers(5))]
    every = 8 if rng.random() < 0.3 else 4
    playing, fills = [], []
    for bar in range(bars):
        phrase, within = divmod(bar - entry, 4)
        parts = set(everything)
        if bar < entry:
            parts = set(entering)
        elif phrase == 0 and within < 2 and late:
            parts -= {late}
        fills.append(bar == entry - 1 or (bar >= entry and (bar - entry + 1) % every == 0))
        playing.append(parts)
    if bars > 6:  # a break in the second half
        bar = int(rng.integers(bars // 2, bars - 1))
        playing[bar] -= [{"kick", "bass"}, {"melody"}, {"kick", "snare"}, {"bass", "melody"}][
            int(rng.integers(4))
        ]
    return playing, fills


def deviation(rng: np.random.Generator, style: Style, late_s: float = 0.0) -> float:
    """A player's distance from the grid in seconds, at most three spreads."""
    return round(late_s + style.looseness_s * float(np.clip(rng.normal(), -3, 3)), 5)


def loudness(rng: np.random.Generator, around: float, spread: float = 0.06) -> float:
    """A velocity in (0, 1]."""
    return round(float(np.clip(around + spread * rng.normal(), 0.15, 1.0)), 3)


def write_drums(
    rng: np.random.Generator, style: Style, playing: list[set[str]]
) -> tuple[list[Hit], list[Hit]]:
    """Kick and back beat: one two-bar pattern, varied."""
    patterns = [style.kicks[int(i)] for i in rng.permutation(len(style.kicks))[:3]]
    kick, snare = [], []
    for bar, parts in enumerate(playing):
        steps = set(patterns[2] if bar % 8 >= 6 else patterns[bar % 2])
        if rng.random() < 0.35:
            steps ^= {int(rng.choice([2, 3, 6, 7, 10, 11, 13, 14, 15]))}
        first = bar * STEPS_PER_BAR
        if "kick" in parts:
            for step in sorted(steps - set(BACK_BEATS)):
                around = 0.95 if step % 8 == 0 else 0.8
                kick.append(Hit((first + step) * STEP, loudness(rng, around), deviation(rng, style)))
        if "snare" in parts:
            for step in BACK_BEATS:
                late = style.laid_back_s
                snare.append(
                    Hit((first + step) * STEP, loudness(rng, 0.9, 0.04), deviation(rng, style, late))
                )
    return kick, snare


def write_comping(
    rng: np.random.Generator,
    style: Style,
    playing: list[set[str]],
    harmony: list[Chord],
) -> list[Note]:
    """When the chords are struck: a rhythm of two bars over the harmony; always on a change of chord."""
    rhythms = [style.comps[int(i)] for i in rng.integers(len(style.comps), size=3)]
    chords = []
    for chord in harmony:
        beat, span = chord.beat, chord.length
        bar = int(beat // BEATS_PER_BAR)
        if "chords" not in playing[bar]:
            continue
        rhythm = rhythms[2] if bar % 4 == 3 else rhythms[bar % 2]
        offsets = sorted({0.0} | {step * STEP - beat % BEATS_PER_BAR for step in rhythm})
        offsets = [offset for offset in offsets if 0 <= offset < span]
        for offset, following in zip(offsets, [*offsets[1:], span], strict=True):
            short = offset > 0 and rng.random() < 0.5
            length = min(following - offset, 0.6) if short else following - offset
            around = 0.8 if offset == 0 else 0.62
            late = style.laid_back_s / 2 if beat + offset > 0 else 0.0
            chords.append(
                Note(beat + offset, length, chord.midi, loudness(rng, around), deviation(rng, style, late))
            )
    return chords


def write_bass(
    rng: np.random.Generator,
    style: Style,
    playing: list[set[str]],
    roots: list[int],
    span: float,
    kick: list[Hit],
) -> list[Note]:
    """One note at a time: roots with the kick, or a line that walks to the next root."""
    starts: list[tuple[float, int]] = []
    kicks = sorted(hit.beat for hit in kick)
    for index, root in enumerate(roots):
        beat = index * span
        if "bass" not in playing[int(beat // BEATS_PER_BAR)]:
            continue
        low = style.bass_centre + (root - style.bass_centre + 6) % 12 - 6
        target = roots[(index + 1) % len(roots)]
        onto = low + (target - low + 6) % 12 - 6
        starts += [(b, key) for b, key in bass_span(rng, style.bass, beat, span, low, onto, kicks)]
    notes = []
    for place, (beat, key) in enumerate(starts):
        following = starts[place + 1][0] if place + 1 < len(starts) else beat + 2.0
        longest = 3.5 if style.bass == "kick" else 1.75
        length = min((following - beat) * (1.0 if style.bass == "kick" else 0.92), longest)
        notes.append(Note(beat, length, (key,), loudness(rng, 0.85), deviation(rng, style)))
    return notes


def bass_span(
    rng: np.random.Generator, manner: str, beat: float, span: float, low: int, onto: int, kicks: list[float]
) -> list[tuple[float, int]]:
    """Bass notes under one chord as (beat, key): root first, then the manner's own."""
    if manner == "walking":
        steps = [0.0, 1.5, 2.0, 3.0] if rng.random() < 0.6 else [0.0, 1.0, 2.0, 3.0]
        if span < BEATS_PER_BAR:
            steps = [0.0, 0.75, 1.0, 1.5]
        keys = [
            low,
            low + int(rng.choice([7, 12])),
            low + int(rng.choice([7, -5, 12])),
            onto + int(rng.choice([-1, 1])),
        ]
        kept = [(s, k) for s, k in zip(steps, keys, strict=True) if s == 0 or rng.random() < 0.8]
        return [(beat + s, k) for s, k in kept if s < span]
    notes = [(beat, low)]
    for place in kicks:
        if beat < place < beat + span and (manner == "kick" or rng.random() < 0.75):
            leap = int(rng.choice([0, 0, 0, 12, 7] if manner == "kick" else [0, 0, 7, 12, 7]))
            notes.append((place, low + leap))
    if manner == "sparse" and rng.random() < 0.4 and span - 0.5 > notes[-1][0] - beat:
        notes.append((beat + span - 0.5, onto + int(rng.choice([-1, 1, -2, 2]))))
    return notes


def write_melody(
    rng: np.random.Generator,
    style: Style,
    playing: list[set[str]],
    scales: list[list[int]],
    harmony: list[Chord],
) -> list[Note]:
    """A two-bar idea that returns over other chords: chord tones on the beat, the scale between."""
    centre = float(rng.uniform(*style.melody_centre))
    ideas = [(draw_rhythm(rng, style), rng.normal(0, 2.6, STEPS_PER_BAR)) for _ in range(3)]
    key = centre
    notes = []
    for bar, parts in enumerate(playing):
        rhythm, contour = ideas[2 if bar % 4 == 3 else bar % 2]
        if rng.random() < 0.2:
            rhythm, contour = draw_rhythm(rng, style), rng.normal(0, 2.6, STEPS_PER_BAR)
        if "melody" not in parts:
            continue
        for place, step in enumerate(rhythm):
            beat = (bar * STEPS_PER_BAR + step) * STEP
            index = min(int(beat // harmony[0].length), len(scales) - 1)
            pitches = fitting(harmony[index], scales[index], strong=step % 4 == 0)
            wanted = key + contour[step] + rng.normal(0, 0.4) + 0.25 * (centre - key)
            key = pitches[int(np.argmin(np.abs(pitches - wanted)))]
            following = rhythm[place + 1] if place + 1 < len(rhythm) else STEPS_PER_BAR
            length = min((following - step) * STEP, 2.0) * float(rng.choice([1.0, 0.9, 0.6]))
            around = 0.78 if step % 4 == 0 else 0.66
            notes.append(Note(beat, length, (int(key),), loudness(rng, around, 0.08), deviation(rng, style)))
    return notes


def fitting(chord: Chord, scale: list[int], strong: bool) -> np.ndarray:
    """Keys that a melody may play over a chord: its tones, and on weak beats the scale without clashes."""
    tones = {key % 12 for key in chord.midi}
    altered = tones - set(scale)
    passing = {pitch for pitch in scale if not {(pitch + 1) % 12, (pitch - 1) % 12} & altered}
    allowed = tones if strong else tones | passing
    return np.array([key for key in range(48, 96) if key % 12 in allowed])


def draw_rhythm(rng: np.random.Generator, style: Style) -> list[int]:
    """Steps of one bar of melody, more likely on strong places."""
    steps = np.arange(STEPS_PER_BAR)
    weight = np.where(
        steps % 4 == 0, 3.0, np.where(steps % 2 == 0, 2.0, 0.7 if style.bass != "kick" else 1.5)
    )
    count = int(rng.integers(*style.melody_notes))
    return sorted(int(s) for s in rng.choice(steps, size=count, replace=False, p=weight / weight.sum()))
