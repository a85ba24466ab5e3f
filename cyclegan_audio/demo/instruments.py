"""Play parts of a score: define instruments, drums and bands, and add their samples to tracks."""

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
    """A pitched instrument; it synthesises one sample per key (and force) and cuts it to each note's length.

    Attributes:
        play: play(hz, length_s), with from_hz= if it `glides`, and force= if it is `velocity_sensitive`.
        ring_s: length of a sample.
        spread: stereo distance between keys of a chord.
        strum_s: delay between neighbouring keys of a chord.
        shift: transposition in semitones.
        gate_s: maximum length of a note.
        samples: the samples so far.
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
    velocity_sensitive: bool = False
    gate_s: float | None = None
    samples: dict[tuple[int, int | None, float], Audio] = field(default_factory=dict)

    def sample(self, key: int, previous: int | None, velocity: float) -> Audio:
        """Return the sample of a key; synthesise it on first use."""
        options = {}
        if self.glides and previous is not None:
            options["from_hz"] = midi_hz(previous)
        if self.velocity_sensitive:
            options["force"] = round(velocity * 4) / 4
        key_name = (key, previous if self.glides else None, options.get("force", 0.0))
        if key_name not in self.samples:
            self.samples[key_name] = self.play(midi_hz(key), self.ring_s, **options)
        return self.samples[key_name]


@dataclass
class Drum:
    """A drum: several samples of one stroke, played in turn."""

    samples: Sequence[Audio]
    gain: float
    pan: float = 0.0


@dataclass
class Band:
    """The band of a song.

    Attributes:
        kit: drums by name.
        instruments: (part of the score, track, instrument).
        mix: mixes tracks (2, T) into a song (2, T), given the onsets of the kick in seconds.
        wow_s: largest shift of onsets by `mix`.
    """

    kit: dict[str, Drum]
    instruments: list[tuple[str, str, Instrument]]
    mix: Callable[[dict[str, Audio], list[float]], Audio]
    wow_s: float = 0.0


def round_robin(count: int, synthesise: Callable[..., Audio], *args: Any, **settings: float) -> list[Audio]:
    """Synthesise several samples of one stroke."""
    return [synthesise(*args, **settings) for _ in range(count)]


def pan_gains(pan: float) -> Audio:
    """Return left and right gain (2, 1) at equal power; -1 is left."""
    angle = (np.clip(pan, -1, 1) + 1) * np.pi / 4
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(2**0.5)


def add_sound(
    track: Audio, sound: Audio, start_s: float, gain: Audio, length_s: float | None, fade_s: float
) -> None:
    """Add a sample (T,) or (2, T) to a track (2, T); cut to `length_s`, it fades out in `fade_s`."""
    start = round(start_s * SAMPLE_RATE_HZ)
    n_kept = sound.shape[-1]
    if length_s is not None:
        n_kept = min(n_kept, round((length_s + fade_s) * SAMPLE_RATE_HZ))
    n_samples = min(n_kept, track.shape[-1] - start)
    if n_samples <= 0:
        return
    segment = gain * sound[..., :n_samples]
    fade = min(n_kept, max(1, round(fade_s * SAMPLE_RATE_HZ)))
    fade_start = n_kept - fade
    if fade_start < n_samples:
        ramp = np.linspace(1, 0, fade, dtype=np.float32)[: n_samples - fade_start]
        segment[:, fade_start:] *= ramp * ramp
    track[:, start : start + n_samples] += segment


def play_notes(track: Audio, score: Score, notes: Sequence[Note], instrument: Instrument) -> None:
    """Add a part of the score to a track."""
    before: Note | None = None
    for note in notes:
        start_s = score.onset_s(note)
        length_s = score.time_s(note.beat + note.length) - score.time_s(note.beat)
        if instrument.gate_s is not None:
            length_s = min(length_s, instrument.gate_s)
        level = instrument.gain * note.velocity**1.5
        glide_from = None
        if before is not None and note.beat - (before.beat + before.length) < 0.05:
            glide_from = before.midi[0] + instrument.shift
        for number, key in enumerate(note.midi):
            sound = instrument.sample(key + instrument.shift, glide_from, note.velocity)
            position = (number + 0.5) / len(note.midi) - 0.5
            gain = np.float32(level) * pan_gains(instrument.pan + 2 * instrument.spread * position)
            add_sound(
                track, sound, start_s + number * instrument.strum_s, gain, length_s, instrument.release_s
            )
        before = note


def play_hits(
    track: Audio, score: Score, hits: Sequence[Hit], drum: Drum, chokes: Sequence[float] = ()
) -> None:
    """Add hits of a drum to a track; the next of `chokes` (sorted seconds) cuts it, as for an open hat."""
    for number, hit in enumerate(hits):
        start_s = score.onset_s(hit)
        choke = int(np.searchsorted(chokes, start_s + 0.02))
        length_s = chokes[choke] - start_s if choke < len(chokes) else None
        gain = np.float32(drum.gain * hit.velocity**1.4) * pan_gains(drum.pan)
        add_sound(track, drum.samples[number % len(drum.samples)], start_s, gain, length_s, FADE_S)
