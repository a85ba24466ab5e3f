"""Trap: drum machine, gliding 808, bells or plucks over wide strings; bright and clean."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cyclegan_audio.data.demo import drums, effects, synth
from cyclegan_audio.data.demo.playing import Band, Drum, Voice, takes
from cyclegan_audio.data.demo.score import BEATS_PER_BAR, Score


def trap_band(score: Score, rng: np.random.Generator) -> Band:
    """The band, with instruments drawn for one song."""
    u = rng.uniform
    kit, voices = trap_kit(rng), trap_voices(rng, BEATS_PER_BAR * score.beat_s)
    hall = effects.room(rng, decay_s=u(1.2, 2.0), predelay_s=0.02, damp_hz=9000)
    delay_s, body_hz = 0.75 * score.beat_s, u(150, 250)

    def mix(tracks: dict[str, synth.Audio], kicks: list[float]) -> synth.Audio:
        samples = tracks["drums"].shape[-1]
        lead = tracks["lead"] + effects.echo(tracks["lead"], delay_s)
        music = effects.cut(tracks["keys"] + lead, body_hz, "highpass")
        wet = effects.reverb(music + 0.18 * effects.cut(tracks["drums"], 400, "highpass"), hall)
        bass = tracks["bass"] * effects.duck(samples, kicks, depth=0.5, recover_s=0.12)
        music = music * effects.duck(samples, kicks, depth=0.2) + 0.3 * wet
        return effects.finish(effects.saturate(music + effects.saturate(bass, 1.2) + tracks["drums"], 1.1))

    return Band(kit, voices, mix)


def trap_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """A machine's kit: one take of everything, the clap layered with a snare."""
    u = rng.uniform
    kick = {"low_hz": u(46, 54), "high_hz": u(220, 330), "ring_s": u(0.07, 0.11), "click": 0.5}
    hat = {"base_hz": u(330, 420), "low_hz": u(7000, 8500), "noise": u(0.3, 0.8)}
    clap = drums.clap(rng, tail_s=u(0.08, 0.14))
    crack = drums.snare(
        rng, tone_hz=u(190, 240), ring_s=0.06, wires_s=u(0.07, 0.11), wires=1.1, bright_hz=15000
    )
    length = max(clap.size, crack.size)
    layers = np.pad(clap, (0, length - clap.size)) + u(0.2, 0.7) * np.pad(crack, (0, length - crack.size))
    return {
        "kick": Drum(takes(1, drums.kick, rng, **kick), 0.85),
        "snare": Drum([synth.scaled(layers)], 0.75),
        "snare_roll": Drum([crack], 0.4, 0.15),
        "hat_closed": Drum(takes(1, drums.hat, rng, ring_s=u(0.014, 0.026), **hat), 0.32, 0.12),
        "hat_open": Drum(takes(1, drums.hat, rng, ring_s=u(0.12, 0.2), **hat), 0.28, -0.15),
        "perc": Drum(takes(1, drums.rim, rng, hz=u(900, 2600)), 0.3, 0.45),
        "crash": Drum(takes(1, drums.crash, rng), 0.22, -0.2),
    }


def trap_voices(rng: np.random.Generator, bar_s: float) -> list[tuple[str, str, Voice]]:
    """Strings with a pluck above them, the 808, and a bell or a pluck as the lead."""
    u = rng.uniform
    leads: list[tuple[Callable[..., synth.Audio], float]] = [
        (partial(synth.bell, ratio=u(3.4, 3.6), index=u(1.6, 2.6)), 0.3),
        (partial(synth.bell, ratio=2.0, index=u(1.0, 2.0)), 0.3),
        (partial(synth.synth_pluck, bright=u(0.6, 1.2)), 0.5),
    ]
    lead, gain = leads[int(rng.integers(len(leads)))]
    pad = partial(synth.strings, bright=u(1.1, 1.7))
    deep = partial(synth.gliding_808, drive=u(1.5, 3.0))
    octave = int(rng.choice([0, 0, -12]))
    return [
        ("chords", "keys", Voice(pad, bar_s + 0.3, 0.15, 0.2)),
        ("chords", "keys", Voice(synth.synth_pluck, 1.2, 0.08, 0.1, spread=0.5, shift=12)),
        ("bass", "bass", Voice(deep, 3.2, 0.56, 0.05, glides=True)),
        ("melody", "lead", Voice(lead, 1.8, gain, 0.25, pan=u(-0.3, 0.3), shift=octave)),
    ]
