"""Render a score to audio with the band of a genre, and describe its events."""

from __future__ import annotations

from typing import Any

import numpy as np

from cyclegan_audio.demo.drum_patterns import DRUMMERS
from cyclegan_audio.demo.genres import BANDS
from cyclegan_audio.demo.instruments import play_hits, play_notes
from cyclegan_audio.demo.score import BEATS_PER_BAR, GENRES, SAMPLE_RATE_HZ, Hit, Note, Score
from cyclegan_audio.demo.synthesis import Audio
from cyclegan_audio.utils.errors import UserError


def render_song(score: Score, genre: str, seconds: float = 32.0) -> tuple[Audio, dict[str, Any]]:
    """Render a score with the band of a genre.

    Compose the score for the same number of seconds: after its last bar there is silence. The same arguments
    give the same bits.

    Returns:
        The song (2, T) float32 in [-0.99, 0.99] at 44.1 kHz, T = round(44100 * seconds), and its events as
        plain lists and dicts (see `describe_song`).

    Raises:
        UserError: the genre is unknown.
    """
    if genre not in GENRES:
        raise UserError(f"no demo band plays {genre!r}; choose from {', '.join(GENRES)}")
    rng = np.random.default_rng((*score.seed, GENRES.index(genre), 1))
    samples = round(seconds * SAMPLE_RATE_HZ)
    hits = {"kick": list(score.kick), "snare": list(score.snare), **DRUMMERS[genre](score, rng).play()}
    band = BANDS[genre](score, rng)
    tracks = {
        name: np.zeros((2, samples), np.float32)
        for name in ("drums", *(track for _, track, _ in band.instruments))
    }
    closing_s = sorted(
        score.onset_s(hit) for name in ("hat_closed", "hat_pedal") for hit in hits.get(name, ())
    )
    for name, strokes in hits.items():
        chokes = closing_s if name == "hat_open" else ()
        play_hits(tracks["drums"], score, strokes, band.kit[name], chokes)
    for part, track, instrument in band.instruments:
        notes = [event for event in score.events(part) if isinstance(event, Note)]
        play_notes(tracks[track], score, notes, instrument)
    song = band.mix(tracks, [score.onset_s(hit) for hit in score.kick])
    song = np.clip(song, -0.99, 0.99).astype(np.float32)
    return song, describe_song(score, genre, seconds, hits, band.wow_s)


def describe_song(
    score: Score, genre: str, seconds: float, hits: dict[str, list[Hit]], wow_s: float
) -> dict[str, Any]:
    """Describe a rendered song: tempo and bars as the genre counts them, events in seconds.

    `onsets_s` has the onsets of every instrument; `notes` has [start_s, end_s, [midi], velocity] of the
    pitched parts. Events after the end of the song are left out. `wow_s` is the largest deviation of the
    audio from these times.
    """
    bars_per_felt_bar = 2 if genre == "trap" else 1
    bar_s = BEATS_PER_BAR / bars_per_felt_bar * score.beat_s
    starts = [bar * bar_s for bar in range(score.bars * bars_per_felt_bar) if bar * bar_s < seconds]
    notes = {part: note_rows(score, part, seconds) for part in ("chords", "bass", "melody")}
    onsets = {name: sorted(round(score.onset_s(hit), 5) for hit in strokes) for name, strokes in hits.items()}
    onsets |= {part: [row[0] for row in rows] for part, rows in notes.items()}
    return {
        "genre": genre,
        "score_id": score.score_id,
        "style": score.style,
        "key": score.key,
        "seconds": seconds,
        "tempo_bpm": round(score.felt_bpm * bars_per_felt_bar, 3),
        "felt_bpm": score.felt_bpm,
        "swing": round(score.swing, 4),
        "swing_pair_beats": score.swing_pair,
        "time_signature": "12/8" if score.compound else "4/4",
        "bars": len(starts),
        "bar_starts_s": [round(start, 5) for start in starts],
        "wow_s": round(float(wow_s), 5),
        "chords": chord_rows(score, seconds),
        "onsets_s": {name: [t for t in times if t < seconds] for name, times in sorted(onsets.items())},
        "notes": notes,
    }


def note_rows(score: Score, part: str, seconds: float) -> list[list[Any]]:
    """Return [start_s, end_s, [midi], velocity] of each note that starts before the song's end."""
    rows: list[list[Any]] = []
    for note in score.events(part):
        start_s = score.onset_s(note)
        if isinstance(note, Note) and start_s < seconds:
            end_s = start_s + score.time_s(note.beat + note.length) - score.time_s(note.beat)
            rows.append([round(start_s, 5), round(min(end_s, seconds), 5), list(note.midi), note.velocity])
    return rows


def chord_rows(score: Score, seconds: float) -> list[dict[str, Any]]:
    """Return start, end, name and keys of each chord of the harmony."""
    rows = []
    for chord in score.harmony:
        start_s, end_s = score.time_s(chord.beat), score.time_s(chord.beat + chord.length)
        if start_s < seconds:
            row = {"start_s": round(start_s, 5), "end_s": round(min(end_s, seconds), 5)}
            rows.append({**row, "name": chord.name, "midi": list(chord.midi)})
    return rows
