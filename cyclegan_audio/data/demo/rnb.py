"""Old R&B: a kit in a room, electric piano, organ, plucked guitar and finger bass, on warm tape."""

from __future__ import annotations

from functools import partial

import numpy as np

from cyclegan_audio.data.demo import drums, effects, synth
from cyclegan_audio.data.demo.playing import Band, Drum, Voice, takes
from cyclegan_audio.data.demo.score import BEATS_PER_BAR, Score


def rnb_band(score: Score, rng: np.random.Generator) -> Band:
    """The band, with instruments drawn for one song."""
    u = rng.uniform
    kit, voices = rnb_kit(rng), rnb_voices(rng, BEATS_PER_BAR * score.beat_s)
    chamber = effects.room(rng, decay_s=u(0.35, 0.6), predelay_s=0.006, damp_hz=6000)
    plate = effects.room(rng, decay_s=u(1.0, 1.6), predelay_s=0.03, damp_hz=5000)
    top_hz, rotor_hz, hiss_db = u(7500, 8800), u(5.5, 6.8), u(-64, -58)

    def mix(tracks: dict[str, synth.Audio], kicks: list[float]) -> synth.Audio:
        samples = tracks["drums"].shape[-1]
        organ = effects.tremolo(tracks["organ"], rng, rate_hz=rotor_hz, depth=0.35)
        keys = effects.tremolo(tracks["keys"], rng, rate_hz=rotor_hz * 0.8, depth=0.2)
        music = keys + organ + tracks["guitar"]
        kit_in_room = tracks["drums"] + 0.3 * effects.reverb(tracks["drums"], chamber)
        total = music + 0.2 * effects.reverb(music, plate) + tracks["bass"] + kit_in_room
        total = effects.cut(effects.saturate(total, 1.5), top_hz, "lowpass", 3)
        return effects.finish(total, under=effects.hiss(rng, samples, hiss_db))

    return Band(kit, voices, mix)


def rnb_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """A drummer's kit: three or four takes of what is struck often."""
    u = rng.uniform
    kick = {"low_hz": u(58, 70), "high_hz": u(100, 130), "ring_s": u(0.06, 0.09), "click": 0.12}
    snare = {"tone_hz": u(180, 240), "ring_s": u(0.07, 0.12), "wires_s": u(0.09, 0.15)}
    ghost = {"tone_hz": 205, "ring_s": 0.05, "wires_s": 0.05}
    hat = {"ring_s": u(0.025, 0.05), "base_hz": 280, "low_hz": 5000}
    pedal = {"ring_s": 0.03, "base_hz": 260, "low_hz": 4500}
    return {
        "kick": Drum(takes(3, drums.kick, rng, **kick), 0.7),
        "snare": Drum(takes(3, drums.snare, rng, wires=0.7, bright_hz=9000, **snare), 0.55),
        "snare_ghost": Drum(takes(3, drums.snare, rng, wires=0.8, bright_hz=7000, **ghost), 0.5),
        "hat_closed": Drum(takes(4, drums.hat, rng, **hat), 0.24, 0.35),
        "hat_pedal": Drum(takes(2, drums.hat, rng, **pedal), 0.2, 0.35),
        "ride": Drum(takes(3, drums.ride, rng, base_hz=u(380, 450)), 0.2, -0.35),
        "tambourine": Drum(takes(4, drums.tambourine, rng), 0.2, 0.5),
        "tom_high": Drum(takes(1, drums.tom, rng, low_hz=u(150, 180)), 0.55, 0.4),
        "tom_mid": Drum(takes(1, drums.tom, rng, low_hz=u(110, 135)), 0.55, 0.0),
        "tom_low": Drum(takes(1, drums.tom, rng, low_hz=u(75, 95), ring_s=0.22), 0.6, -0.4),
        "crash": Drum(takes(1, drums.crash, rng), 0.22, -0.45),
    }


def rnb_voices(rng: np.random.Generator, bar_s: float) -> list[tuple[str, str, Voice]]:
    """Piano on the left, organ and guitar on the right, guitar or organ in front."""
    u = rng.uniform
    guitar = partial(synth.plucked_string, rng=rng, soft=u(0.3, 0.6), ring=u(0.990, 0.995))
    piano = partial(synth.electric_piano, bark=u(1.2, 1.8), tine=0.1)
    bass = partial(synth.finger_bass, bright=u(0.45, 0.6))
    chop = Voice(guitar, 0.8, u(0.14, 0.26), 0.05, 0.45, strum_s=0.005, gate_s=u(0.15, 0.7), touch=True)
    lead = Voice(guitar, 1.6, 0.55, 0.1, u(-0.2, 0.2), touch=True)
    if rng.random() < 0.3:
        lead = Voice(synth.organ, 1.6, 0.2, 0.1, u(-0.2, 0.2))
    return [
        ("chords", "keys", Voice(piano, 2.5, 0.16, 0.12, -0.3, strum_s=0.002, touch=True)),
        ("chords", "organ", Voice(synth.organ, bar_s + 0.2, u(0.05, 0.09), 0.08, 0.3)),
        ("chords", "guitar", chop),
        ("bass", "bass", Voice(bass, 1.5, 0.4, 0.05)),
        ("melody", "guitar", lead),
    ]
