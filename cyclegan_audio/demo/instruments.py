"""Players: they put the one-shots of a voice or a drum into a track where the score says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cyclegan_audio.demo.score import SAMPLE_RATE_HZ, Hit, Note, Score
from cyclegan_audio.demo.synthesis import Audio, midi_hz

FADE_S = 0.004


@dataclass
class Instrument:
    """A pitched instrument: `play(hz, length_s)`, with from_hz= if it `glides`, force= if it has `touch`.

    One sample of `ring_s` seconds is made for each key (and force) and cut to the note's length, or to
    `gate_s`. `strum_s` lies between neighbouring keys of a chord, `shift` is in semitones, `spread` is how
    far keys stand apart in the stereo picture.
    """

    play: Callable[..., Audio]
    ring_s: float = 2.5
    gain: float = 0.3
    release_s: float = 0.08
    pan: float = 0.0
    spread: float = 0.0
    strum_s: float = 0.0
    shift: int = 0
    glides: bool = False
    touch: bool = False
    gate_s: float | None = None
    made: dict[tuple[int, int | None, float], Audio] = field(default_factory=dict)

    def sample(self, key: int, previous: int | None, velocity: float) -> Audio:
        """The one-shot of a key, made once."""
        extra = {}
        if self.glides and previous is not None:
            extra["from_hz"] = midi_hz(previous)
        if self.touch:
            extra["force"] = round(velocity * 4) / 4
        name = (key, previous if self.glides else None, extra.get("force", 0.0))
        if name not in self.made:
            self.made[name] = self.play(midi_hz(key), self.ring_s, **extra)
        return self.made[name]


@dataclass
class Drum:
    """A drum: several takes of one stroke, played in turn."""

    takes: Sequence[Audio]
    gain: float
    pan: float = 0.0


@dataclass
class Band:
    """Drums by instrument, voices as (part of the score, track, voice), and the mix.

    `mix` makes a song (2, T) of tracks (2, T); it also gets the onsets of the kick in seconds. `wow_s` is how
    far it moves onsets in time at most.
    """

    kit: dict[str, Drum]
    voices: list[tuple[str, str, Instrument]]
    mix: Callable[[dict[str, Audio], list[float]], Audio]
    wow_s: float = 0.0


def round_robin(count: int, make: Callable[..., Audio], *args: Any, **numbers: float) -> list[Audio]:
    """Several takes of one stroke."""
    return [make(*args, **numbers) for _ in range(count)]


def sides(pan: float) -> Audio:
    """Left and right gain (2, 1) at equal power; -1 is left."""
    angle = (np.clip(pan, -1, 1) + 1) * np.pi / 4
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(2**0.5)


def place(
    track: Audio, sound: Audio, start_s: float, gain: Audio, length_s: float | None, fade_s: float
) -> None:
    """Add a one-shot (T,) or (2, T) to a track (2, T); one cut short fades out in `fade_s`."""
    start = round(start_s * SAMPLE_RATE_HZ)
    keep = sound.shape[-1]
    if length_s is not None:
        keep = min(keep, round((length_s + fade_s) * SAMPLE_RATE_HZ))
    room = min(keep, track.shape[-1] - start)
    if room <= 0:
        return
    piece = gain * sound[..., :room]
    fade = min(keep, max(1, round(fade_s * SAMPLE_RATE_HZ)))
    begin = keep - fade
    if begin < room:
        ramp = np.linspace(1, 0, fade, dtype=np.float32)[: room - begin]
        piece[:, begin:] *= ramp * ramp
    track[:, start : start + room] += piece


def play_notes(track: Audio, score: Score, notes: Sequence[Note], voice: Instrument) -> None:
    """Play a part of the score."""
    before: Note | None = None
    for note in notes:
        start_s = score.onset_s(note)
        length_s = score.time_s(note.beat + note.length) - score.time_s(note.beat)
        if voice.gate_s is not None:
            length_s = min(length_s, voice.gate_s)
        level = voice.gain * note.velocity**1.5
        tied = before is not None and note.beat - (before.beat + before.length) < 0.05
        for number, key in enumerate(note.midi):
            previous = before.midi[0] + voice.shift if before is not None and tied else None
            sound = voice.sample(key + voice.shift, previous, note.velocity)
            across = (number + 0.5) / len(note.midi) - 0.5
            gain = np.float32(level) * sides(voice.pan + 2 * voice.spread * across)
            place(track, sound, start_s + number * voice.strum_s, gain, length_s, voice.release_s)
        before = note


def play_hits(
    track: Audio, score: Score, hits: Sequence[Hit], drum: Drum, chokes: Sequence[float] = ()
) -> None:
    """Play a drum; the next of `chokes` (seconds, sorted) silences it, as a closing hat does."""
    for number, hit in enumerate(hits):
        start_s = score.onset_s(hit)
        after = int(np.searchsorted(chokes, start_s + 0.02))
        length_s = chokes[after] - start_s if after < len(chokes) else None
        gain = np.float32(drum.gain * hit.velocity**1.4) * sides(drum.pan)
        place(track, drum.takes[number % len(drum.takes)], start_s, gain, length_s, FADE_S)
