"""Define each genre: the style of its scores, and its band (drums, instruments, mix)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cyclegan_audio.demo import effects, synthesis
from cyclegan_audio.demo.instruments import Band, Drum, Instrument, round_robin
from cyclegan_audio.demo.score import BEATS_PER_BAR, Score


@dataclass(frozen=True)
class Style:
    """Composition style of a genre.

    Attributes:
        felt_bpm: range of the tempo.
        swing: range of the share of a pair that its first note takes.
        compound_share: share of songs in 12/8.
        kicks: kick rhythms of one felt bar in sixteenths.
        comps: chord rhythms of one felt bar in sixteenths.
        bass: a bass style of `composition.bass_under_chord`.
        bass_centre: MIDI number.
        melody_notes: range of notes in a bar.
        melody_centre: range of MIDI numbers.
        timing_spread_s: standard deviation of onsets.
        laid_back_s: delay of the back beat.
    """

    felt_bpm: tuple[float, float]
    swing: tuple[float, float]
    compound_share: float
    kicks: tuple[tuple[int, ...], ...]
    comps: tuple[tuple[int, ...], ...]
    bass: str
    bass_centre: int
    melody_notes: tuple[int, int]
    melody_centre: tuple[int, int]
    timing_spread_s: float
    laid_back_s: float


STYLES = {
    "lofi": Style(
        felt_bpm=(70, 88),
        swing=(0.55, 0.64),
        compound_share=0.0,
        kicks=((0, 7, 10), (0, 3, 10), (0, 10), (0, 2, 10, 11), (0, 7, 8, 13), (0, 6, 10, 15), (0, 9, 10)),
        comps=((0,), (0, 6), (0, 10), (0, 3, 10), (0, 7), (0, 6, 11)),
        bass="sparse",
        bass_centre=40,
        melody_notes=(3, 7),
        melody_centre=(67, 76),
        timing_spread_s=0.006,
        laid_back_s=0.010,
    ),
    "trap": Style(
        felt_bpm=(65, 75),
        swing=(0.5, 0.5),
        compound_share=0.0,
        kicks=(
            (0, 6, 14),
            (0, 3, 10),
            (0, 7, 10, 14),
            (0, 6, 9, 11),
            (0, 10),
            (0, 3, 8, 14),
            (0, 2, 7, 10),
            (0, 11, 14),
        ),
        comps=((0,), (0,), (0, 8), (0, 14)),
        bass="kick",
        bass_centre=34,
        melody_notes=(5, 11),
        melody_centre=(72, 82),
        timing_spread_s=0.0,
        laid_back_s=0.0,
    ),
    "rnb": Style(
        felt_bpm=(60, 80),
        swing=(0.5, 0.57),
        compound_share=0.4,
        kicks=((0, 8), (0, 6, 8), (0, 8, 10), (0, 2, 8), (0, 8, 14), (0, 7, 8, 10), (0, 6, 8, 14)),
        comps=((0, 4, 8, 12), (0, 8), (0, 6, 12), (0, 4, 12), (0, 2, 8, 12), (0, 8, 14)),
        bass="walking",
        bass_centre=38,
        melody_notes=(4, 9),
        melody_centre=(64, 74),
        timing_spread_s=0.007,
        laid_back_s=0.004,
    ),
    "shared": Style(
        felt_bpm=(70, 75),
        swing=(0.5, 0.58),
        compound_share=0.0,
        kicks=((0, 7, 10), (0, 6, 8), (0, 3, 10), (0, 10, 14), (0, 6, 9), (0, 8, 11), (0, 2, 10)),
        comps=((0,), (0, 6), (0, 8), (0, 10), (0, 4, 12)),
        bass="sparse",
        bass_centre=37,
        melody_notes=(3, 8),
        melody_centre=(67, 77),
        timing_spread_s=0.003,
        laid_back_s=0.003,
    ),
}


def lofi_band(score: Score, rng: np.random.Generator) -> Band:
    """Draw a lo-fi band: dark sampled drums, tine piano and a soft lead, with tape wow and vinyl noise."""
    uniform = rng.uniform
    kit, instruments = lofi_kit(rng), lofi_instruments(rng)
    top_hz, rate_hz, wow_s = uniform(4800, 5900), uniform(0.45, 0.8), uniform(0.001, 0.0018)
    response = effects.room_impulse_response(rng, decay_s=uniform(0.5, 0.9), damp_hz=3500)
    dust = {"clicks_per_s": uniform(6, 16), "crackle_db": uniform(-14, -9), "hiss_db": uniform(-55, -49)}
    pan_hz, depth = uniform(3, 5), uniform(0.1, 0.25)

    def mix(tracks: dict[str, synthesis.Audio], kicks: list[float]) -> synthesis.Audio:
        samples = tracks["drums"].shape[-1]
        keys = effects.tremolo(tracks["keys"], rng, rate_hz=pan_hz, depth=depth) + tracks["lead"]
        keys = keys + 0.22 * effects.reverb(keys, response)
        pumping = effects.sidechain_gain(samples, kicks, depth=0.45)
        music = effects.saturate((keys + tracks["bass"]) * pumping, 1.4)
        total = effects.saturate(music + effects.saturate(tracks["drums"], 1.6), 0.9)
        total = effects.wow(
            effects.butterworth(total, top_hz, "lowpass", 4), rng, depth_s=wow_s, rate_hz=rate_hz
        )
        record = effects.butterworth(effects.vinyl(rng, samples, **dust), 4200, "lowpass", 3)
        return effects.master(total, noise=record)

    return Band(kit, instruments, mix, wow_s)


def lofi_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """Draw short, dark drums with two or three samples each."""
    uniform = rng.uniform
    kick = {
        "low_hz": uniform(48, 58),
        "high_hz": uniform(130, 190),
        "ring_s": uniform(0.09, 0.14),
        "click": 0.25,
    }
    snare = {"tone_hz": uniform(170, 215), "ring_s": uniform(0.05, 0.08), "wires_s": uniform(0.06, 0.1)}
    ghost = {"tone_hz": 195, "ring_s": 0.05, "wires_s": 0.06}
    hat = {"base_hz": uniform(260, 330), "low_hz": uniform(3000, 4000), "noise": 0.9}
    return {
        "kick": Drum(round_robin(2, synthesis.kick, rng, **kick), 1.0),
        "snare": Drum(round_robin(2, synthesis.snare, rng, wires=0.9, bright_hz=7000, **snare), 0.62),
        "snare_ghost": Drum(round_robin(2, synthesis.snare, rng, wires=0.8, bright_hz=6000, **ghost), 0.5),
        "hat_closed": Drum(round_robin(3, synthesis.hat, rng, ring_s=uniform(0.022, 0.04), **hat), 0.5, 0.2),
        "hat_open": Drum(round_robin(1, synthesis.hat, rng, ring_s=0.2, **hat), 0.4, 0.2),
        "rim": Drum(round_robin(2, synthesis.rim, rng, hz=uniform(1300, 1900)), 0.3, -0.3),
    }


def lofi_instruments(rng: np.random.Generator) -> list[tuple[str, str, Instrument]]:
    """Draw a tine piano, a round bass, and one of four leads."""
    uniform = rng.uniform
    leads: list[tuple[Callable[..., synthesis.Audio], float, bool]] = [
        (synthesis.vibraphone, 0.42, False),
        (partial(synthesis.flute, rng=rng), 0.26, False),
        (partial(synthesis.plucked_string, rng=rng, soft=0.75), 0.8, True),
        (partial(synthesis.electric_piano, bark=0.7, tine=0.05), 0.36, True),
    ]
    lead, gain, velocity_sensitive = leads[int(rng.integers(len(leads)))]
    piano = partial(synthesis.electric_piano, bark=uniform(0.7, 1.3), tine=uniform(0.06, 0.15))
    bass = partial(synthesis.finger_bass, bright=uniform(0.25, 0.45))
    return [
        (
            "chords",
            "keys",
            Instrument(piano, 3.0, 0.24, 0.15, strum_s=0.003, spread=0.3, velocity_sensitive=True),
        ),
        ("bass", "bass", Instrument(bass, 1.6, 0.44, 0.06)),
        (
            "melody",
            "lead",
            Instrument(
                lead, 2.0, gain, 0.12, pan=uniform(-0.35, 0.35), velocity_sensitive=velocity_sensitive
            ),
        ),
    ]


def trap_band(score: Score, rng: np.random.Generator) -> Band:
    """Draw a trap band: drum machine, gliding 808, bells or plucks over wide strings, bright and clean."""
    uniform = rng.uniform
    kit, instruments = trap_kit(rng), trap_instruments(rng, BEATS_PER_BAR * score.beat_s)
    hall = effects.room_impulse_response(rng, decay_s=uniform(1.2, 2.0), predelay_s=0.02, damp_hz=9000)
    delay_s, body_hz = 0.75 * score.beat_s, uniform(150, 250)

    def mix(tracks: dict[str, synthesis.Audio], kicks: list[float]) -> synthesis.Audio:
        samples = tracks["drums"].shape[-1]
        lead = tracks["lead"] + effects.echo(tracks["lead"], delay_s)
        music = effects.butterworth(tracks["keys"] + lead, body_hz, "highpass")
        wet = effects.reverb(music + 0.18 * effects.butterworth(tracks["drums"], 400, "highpass"), hall)
        bass = tracks["bass"] * effects.sidechain_gain(samples, kicks, depth=0.5, recover_s=0.12)
        music = music * effects.sidechain_gain(samples, kicks, depth=0.2) + 0.3 * wet
        return effects.master(effects.saturate(music + effects.saturate(bass, 1.2) + tracks["drums"], 1.1))

    return Band(kit, instruments, mix)


def trap_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """Draw a drum machine: one sample per drum, the clap layered with a snare."""
    uniform = rng.uniform
    kick = {
        "low_hz": uniform(46, 54),
        "high_hz": uniform(220, 330),
        "ring_s": uniform(0.07, 0.11),
        "click": 0.5,
    }
    hat = {"base_hz": uniform(330, 420), "low_hz": uniform(7000, 8500), "noise": uniform(0.3, 0.8)}
    clap = synthesis.clap(rng, tail_s=uniform(0.08, 0.14))
    crack = synthesis.snare(
        rng, tone_hz=uniform(190, 240), ring_s=0.06, wires_s=uniform(0.07, 0.11), wires=1.1, bright_hz=15000
    )
    length = max(clap.size, crack.size)
    layers = np.pad(clap, (0, length - clap.size)) + uniform(0.2, 0.7) * np.pad(
        crack, (0, length - crack.size)
    )
    return {
        "kick": Drum(round_robin(1, synthesis.kick, rng, **kick), 0.85),
        "snare": Drum([synthesis.normalise_peak(layers)], 0.75),
        "snare_roll": Drum([crack], 0.4, 0.15),
        "hat_closed": Drum(
            round_robin(1, synthesis.hat, rng, ring_s=uniform(0.014, 0.026), **hat), 0.32, 0.12
        ),
        "hat_open": Drum(round_robin(1, synthesis.hat, rng, ring_s=uniform(0.12, 0.2), **hat), 0.28, -0.15),
        "perc": Drum(round_robin(1, synthesis.rim, rng, hz=uniform(900, 2600)), 0.3, 0.45),
        "crash": Drum(round_robin(1, synthesis.crash, rng), 0.22, -0.2),
    }


def trap_instruments(rng: np.random.Generator, bar_s: float) -> list[tuple[str, str, Instrument]]:
    """Draw strings with a pluck above them, the 808, and a bell or a pluck as the lead."""
    uniform = rng.uniform
    leads: list[tuple[Callable[..., synthesis.Audio], float]] = [
        (partial(synthesis.bell, ratio=uniform(3.4, 3.6), index=uniform(1.6, 2.6)), 0.3),
        (partial(synthesis.bell, ratio=2.0, index=uniform(1.0, 2.0)), 0.3),
        (partial(synthesis.synth_pluck, bright=uniform(0.6, 1.2)), 0.5),
    ]
    lead, gain = leads[int(rng.integers(len(leads)))]
    pad = partial(synthesis.strings, bright=uniform(1.1, 1.7))
    deep = partial(synthesis.gliding_808, drive=uniform(1.5, 3.0))
    octave = int(rng.choice([0, 0, -12]))
    return [
        ("chords", "keys", Instrument(pad, bar_s + 0.3, 0.15, 0.2)),
        ("chords", "keys", Instrument(synthesis.synth_pluck, 1.2, 0.08, 0.1, spread=0.5, shift=12)),
        ("bass", "bass", Instrument(deep, 3.2, 0.56, 0.05, glides=True)),
        ("melody", "lead", Instrument(lead, 1.8, gain, 0.25, pan=uniform(-0.3, 0.3), shift=octave)),
    ]


def rnb_band(score: Score, rng: np.random.Generator) -> Band:
    """Draw an old R&B band: a kit in a room, electric piano, organ, guitar and finger bass, on tape."""
    uniform = rng.uniform
    kit, instruments = rnb_kit(rng), rnb_instruments(rng, BEATS_PER_BAR * score.beat_s)
    chamber = effects.room_impulse_response(rng, decay_s=uniform(0.35, 0.6), predelay_s=0.006, damp_hz=6000)
    plate = effects.room_impulse_response(rng, decay_s=uniform(1.0, 1.6), predelay_s=0.03, damp_hz=5000)
    top_hz, rotor_hz, hiss_db = uniform(7500, 8800), uniform(5.5, 6.8), uniform(-64, -58)

    def mix(tracks: dict[str, synthesis.Audio], kicks: list[float]) -> synthesis.Audio:
        samples = tracks["drums"].shape[-1]
        organ = effects.tremolo(tracks["organ"], rng, rate_hz=rotor_hz, depth=0.35)
        keys = effects.tremolo(tracks["keys"], rng, rate_hz=rotor_hz * 0.8, depth=0.2)
        music = keys + organ + tracks["guitar"]
        kit_in_room = tracks["drums"] + 0.3 * effects.reverb(tracks["drums"], chamber)
        total = music + 0.2 * effects.reverb(music, plate) + tracks["bass"] + kit_in_room
        total = effects.butterworth(effects.saturate(total, 1.5), top_hz, "lowpass", 3)
        return effects.master(total, noise=effects.hiss(rng, samples, hiss_db))

    return Band(kit, instruments, mix)


def rnb_kit(rng: np.random.Generator) -> dict[str, Drum]:
    """Draw an acoustic kit: three or four samples of frequent strokes."""
    uniform = rng.uniform
    kick = {
        "low_hz": uniform(58, 70),
        "high_hz": uniform(100, 130),
        "ring_s": uniform(0.06, 0.09),
        "click": 0.12,
    }
    snare = {"tone_hz": uniform(180, 240), "ring_s": uniform(0.07, 0.12), "wires_s": uniform(0.09, 0.15)}
    ghost = {"tone_hz": 205, "ring_s": 0.05, "wires_s": 0.05}
    hat = {"ring_s": uniform(0.025, 0.05), "base_hz": 280, "low_hz": 5000}
    pedal = {"ring_s": 0.03, "base_hz": 260, "low_hz": 4500}
    return {
        "kick": Drum(round_robin(3, synthesis.kick, rng, **kick), 0.7),
        "snare": Drum(round_robin(3, synthesis.snare, rng, wires=0.7, bright_hz=9000, **snare), 0.55),
        "snare_ghost": Drum(round_robin(3, synthesis.snare, rng, wires=0.8, bright_hz=7000, **ghost), 0.5),
        "hat_closed": Drum(round_robin(4, synthesis.hat, rng, **hat), 0.24, 0.35),
        "hat_pedal": Drum(round_robin(2, synthesis.hat, rng, **pedal), 0.2, 0.35),
        "ride": Drum(round_robin(3, synthesis.ride, rng, base_hz=uniform(380, 450)), 0.2, -0.35),
        "tambourine": Drum(round_robin(4, synthesis.tambourine, rng), 0.2, 0.5),
        "tom_high": Drum(round_robin(1, synthesis.tom, rng, low_hz=uniform(150, 180)), 0.55, 0.4),
        "tom_mid": Drum(round_robin(1, synthesis.tom, rng, low_hz=uniform(110, 135)), 0.55, 0.0),
        "tom_low": Drum(round_robin(1, synthesis.tom, rng, low_hz=uniform(75, 95), ring_s=0.22), 0.6, -0.4),
        "crash": Drum(round_robin(1, synthesis.crash, rng), 0.22, -0.45),
    }


def rnb_instruments(rng: np.random.Generator, bar_s: float) -> list[tuple[str, str, Instrument]]:
    """Draw a piano on the left, organ and guitar on the right, and a guitar or organ lead."""
    uniform = rng.uniform
    guitar = partial(synthesis.plucked_string, rng=rng, soft=uniform(0.3, 0.6), ring=uniform(0.990, 0.995))
    piano = partial(synthesis.electric_piano, bark=uniform(1.2, 1.8), tine=0.1)
    bass = partial(synthesis.finger_bass, bright=uniform(0.45, 0.6))
    chop = Instrument(
        guitar,
        0.8,
        uniform(0.14, 0.26),
        0.05,
        0.45,
        strum_s=0.005,
        gate_s=uniform(0.15, 0.7),
        velocity_sensitive=True,
    )
    lead = Instrument(guitar, 1.6, 0.55, 0.1, uniform(-0.2, 0.2), velocity_sensitive=True)
    if rng.random() < 0.3:
        lead = Instrument(synthesis.organ, 1.6, 0.2, 0.1, uniform(-0.2, 0.2))
    return [
        ("chords", "keys", Instrument(piano, 2.5, 0.16, 0.12, -0.3, strum_s=0.002, velocity_sensitive=True)),
        ("chords", "organ", Instrument(synthesis.organ, bar_s + 0.2, uniform(0.05, 0.09), 0.08, 0.3)),
        ("chords", "guitar", chop),
        ("bass", "bass", Instrument(bass, 1.5, 0.4, 0.05)),
        ("melody", "guitar", lead),
    ]


BANDS: dict[str, Callable[[Score, np.random.Generator], Band]] = {
    "lofi": lofi_band,
    "trap": trap_band,
    "rnb": rnb_band,
}
