"""Lo-fi: dusty sampler drums, tine piano, a soft lead, then tape that wobbles and vinyl that crackles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cyclegan_audio.data.demo import drums, effects, synth
from cyclegan_audio.data.demo.playing import Band, Drum, Voice, takes
from cyclegan_audio.data.demo.score import Score


def lofi_band(score: Score, rng: np.random.Generator) -> Band:
    """The band, with instruments drawn for one song."""
    u = rng.uniform
    kit, voices = lofi_kit(rng), lofi_voices(rng)
    top_hz, rate_hz, wow_s = u(4800, 5900), u(0.45, 0.8), u(0.001, 0.0018)
    response = effects.room(rng, decay_s=u(0.5, 0.9), damp_hz=3500)
    dust = {"clicks_per_s": u(6, 16), "crackle_db": u(-14, -9), "hiss_db": u(-55, -49)}
    pan_hz, depth = u(3, 5), u(0.1, 0.25)

    def mix(tracks: dict[str, synth.Audio], kicks: list[float]) -> synth.Audio:
        samples = tracks["drums"].shape[-1]
        keys = effects.tremolo(tracks["keys"], rng, rate_hz=pan_hz, depth=depth) + tracks["lead"]
        keys = keys + 0.22 * effects.reverb(keys, response)
        pumping = effects.duck(samples, kicks, depth=0.45)
        music = effects.saturate((keys + tracks["bass"]) * pumping, 1.4)
        total = effects.saturate(music + effects.saturate(tracks["drums"], 1.6), 0.9)
        total = effects.wow(effects.cut(total, top_hz, "lowpass", 4), rng, depth_s=wow_s, rate_hz=rate_hz)
        record = effects.cut(effects.vinyl(rng, samples, **dust), 4200, "lowpass", 3)
        return effects.finish(total, under=record)

    return Band(kit, voices, mix, wow_s)


def lofi_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """Short, dark drums, two or three takes each."""
    u = rng.uniform
    kick = {"low_hz": u(48, 58), "high_hz": u(130, 190), "ring_s": u(0.09, 0.14), "click": 0.25}
    snare = {"tone_hz": u(170, 215), "ring_s": u(0.05, 0.08), "wires_s": u(0.06, 0.1)}
    ghost = {"tone_hz": 195, "ring_s": 0.05, "wires_s": 0.06}
    hat = {"base_hz": u(260, 330), "low_hz": u(3000, 4000), "noise": 0.9}
    return {
        "kick": Drum(takes(2, drums.kick, rng, **kick), 1.0),
        "snare": Drum(takes(2, drums.snare, rng, wires=0.9, bright_hz=7000, **snare), 0.62),
        "snare_ghost": Drum(takes(2, drums.snare, rng, wires=0.8, bright_hz=6000, **ghost), 0.5),
        "hat_closed": Drum(takes(3, drums.hat, rng, ring_s=u(0.022, 0.04), **hat), 0.5, 0.2),
        "hat_open": Drum(takes(1, drums.hat, rng, ring_s=0.2, **hat), 0.4, 0.2),
        "rim": Drum(takes(2, drums.rim, rng, hz=u(1300, 1900)), 0.3, -0.3),
    }


def lofi_voices(rng: np.random.Generator) -> list[tuple[str, str, Voice]]:
    """Tine piano, round bass, and one of four leads."""
    u = rng.uniform
    leads: list[tuple[Callable[..., synth.Audio], float, bool]] = [
        (synth.vibraphone, 0.42, False),
        (partial(synth.flute, rng=rng), 0.26, False),
        (partial(synth.plucked_string, rng=rng, soft=0.75), 0.8, True),
        (partial(synth.electric_piano, bark=0.7, tine=0.05), 0.36, True),
    ]
    lead, gain, touch = leads[int(rng.integers(len(leads)))]
    piano = partial(synth.electric_piano, bark=u(0.7, 1.3), tine=u(0.06, 0.15))
    bass = partial(synth.finger_bass, bright=u(0.25, 0.45))
    return [
        ("chords", "keys", Voice(piano, 3.0, 0.24, 0.15, strum_s=0.003, spread=0.3, touch=True)),
        ("bass", "bass", Voice(bass, 1.6, 0.44, 0.06)),
        ("melody", "lead", Voice(lead, 2.0, gain, 0.12, pan=u(-0.35, 0.35), touch=touch)),
    ]
