"""Writing a score in the manner of a genre, or in one that all genres can play."""

from __future__ import annotations

import numpy as np

from cyclegan_audio.data.demo.harmony import write_harmony
from cyclegan_audio.data.demo.parts import write_bass, write_comping, write_drums, write_melody
from cyclegan_audio.data.demo.score import GENRES, Score, bars_needed
from cyclegan_audio.data.demo.styles import STYLES


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
