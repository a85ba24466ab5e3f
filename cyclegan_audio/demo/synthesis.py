"""Synthesise samples of pitched instruments and drums, float32 at 44.1 kHz.

A pitched instrument takes frequency in Hz and length in seconds, starts without delay, and returns (T,) or,
in stereo, (2, T) with a peak near 1. A drum returns (T,) with a peak of 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from cyclegan_audio.demo.score import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Rng = np.random.Generator
TABLE_BITS = 12
METAL_RATIOS = (2.0, 3.0, 4.16, 5.43, 6.79, 8.21)


def midi_hz(midi: float) -> float:
    """Return the frequency of a key in Hz, A4 = 440 Hz."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


def time_axis(length_s: float) -> Audio:
    """Return a time axis (T,) in seconds."""
    return np.arange(round(length_s * SAMPLE_RATE_HZ), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def phase(hz: float, samples: int) -> Audio:
    """Return the phase (T,) in radians of a steady tone; 32-bit integers wrap it without error."""
    step = np.uint32(round(hz / SAMPLE_RATE_HZ * 2**32) % 2**32)
    turns = np.arange(samples, dtype=np.uint32) * step
    return turns.astype(np.float32) * np.float32(2 * np.pi / 2**32)


def sine(hz: float, samples: int) -> Audio:
    """Return a steady sine (T,)."""
    return np.sin(phase(hz, samples))


def harmonics(hz: float, levels: list[float], samples: int, start: float = 0.0) -> Audio:
    """Return the sum (T,) of harmonics 1, 2, 3 ... with these levels, by a wavetable; `start` is in turns."""
    turn = np.arange(2**TABLE_BITS) * (2 * np.pi / 2**TABLE_BITS)
    table = np.zeros(2**TABLE_BITS)
    for number, level in enumerate(levels, 1):
        if number * hz < 0.45 * SAMPLE_RATE_HZ:
            table += level * np.sin(number * turn)
    step = np.uint32(round(hz / SAMPLE_RATE_HZ * 2**32))
    turns = np.arange(samples, dtype=np.uint32) * step + np.uint32(start * 2**32)
    return table.astype(np.float32)[turns >> np.uint32(32 - TABLE_BITS)]


def decay(time_s: Audio, tau_s: float) -> Audio:
    """Return an exponential decay (T,)."""
    return np.exp(time_s * np.float32(-1 / tau_s))


def fade_in(audio: Audio, rise_s: float) -> Audio:
    """Fade in the start, in place."""
    samples = min(audio.shape[-1], round(rise_s * SAMPLE_RATE_HZ))
    audio[..., :samples] *= np.linspace(0, 1, samples, dtype=np.float32)
    return audio


def normalise_peak(audio: Audio, peak: float = 1.0) -> Audio:
    """Scale audio to a peak."""
    return (audio * np.float32(peak / max(1e-9, float(np.abs(audio).max())))).astype(np.float32)


def electric_piano(
    hz: float, length_s: float, *, bark: float = 1.0, tine: float = 0.12, force: float = 0.7
) -> Audio:
    """Synthesise a tine piano by phase modulation: soft body, bark that grows with `force`, short tine."""
    time_s = time_axis(length_s)
    body = phase(hz, time_s.size)
    ring = 2.2 * (261.6 / hz) ** 0.45
    index = bark * (0.3 + force) * (0.35 + 0.9 * decay(time_s, 0.25))
    tone = np.sin(body + index * np.sin(body)) + 0.25 * np.sin(2 * body) * decay(time_s, 0.6)
    tone *= decay(time_s, ring)
    strike = tine * sine(min(hz * 7.1, 9000.0), time_s.size) * decay(time_s, 0.05)
    return fade_in(normalise_peak(tone + strike, 0.9), 0.003)


def bell(hz: float, length_s: float, *, ratio: float = 3.5, index: float = 2.4) -> Audio:
    """Synthesise a bell by phase modulation with an inharmonic modulator."""
    time_s = time_axis(length_s)
    index *= min(1.0, 800.0 / hz)  # high bells stay below Nyquist
    modulator = np.sin(phase(hz * ratio, time_s.size)) * decay(time_s, 0.35)
    tone = np.sin(phase(hz, time_s.size) + index * modulator) * decay(time_s, 0.7)
    tone += 0.3 * sine(min(hz * 4.07, 15000.0), time_s.size) * decay(time_s, 0.18)
    return fade_in(normalise_peak(tone, 0.9), 0.001)


def vibraphone(hz: float, length_s: float, *, rate_hz: float = 4.5) -> Audio:
    """Synthesise a vibraphone: fundamental, fast fourth partial, slow tremolo."""
    time_s = time_axis(length_s)
    tone = sine(hz, time_s.size) * decay(time_s, 1.1) + 0.35 * sine(hz * 4, time_s.size) * decay(time_s, 0.25)
    tone += 0.12 * sine(min(hz * 10, 15000.0), time_s.size) * decay(time_s, 0.04)
    return fade_in(normalise_peak(tone * (1 + 0.25 * sine(rate_hz, time_s.size)), 0.9), 0.002)


def flute(hz: float, length_s: float, *, rng: Rng, breath: float = 0.12) -> Audio:
    """Synthesise a breathy flute with delayed vibrato."""
    time_s = time_axis(length_s)
    vibrato = 0.0035 * np.clip((time_s - 0.25) * 3, 0, 1) * hz / 5.2
    body = phase(hz, time_s.size) + vibrato * sine(5.2, time_s.size)
    tone = np.sin(body) + 0.22 * np.sin(2 * body) + 0.1 * np.sin(3 * body)
    noise = rng.standard_normal(time_s.size, dtype=np.float32)
    air = lfilter([0.25, 0, -0.25], [1, -1.5, 0.75], noise).astype(np.float32)
    tone = tone * (0.75 + 0.25 * decay(time_s, 0.4)) + breath * air * (0.5 + 1.5 * decay(time_s, 0.03))
    return fade_in(normalise_peak(tone, 0.8), 0.012)


DRAWBARS = (0.8, 0.9, 0.6, 0.35, 0.1, 0.2)


def organ(hz: float, length_s: float, *, drawbars: tuple[float, ...] = DRAWBARS) -> Audio:
    """Synthesise a drawbar organ: sub-octave, fundamental and overtones, with key click."""
    samples = round(length_s * SAMPLE_RATE_HZ)
    levels = [0.0] * 16
    for number, level in zip((1, 2, 3, 4, 6, 8), drawbars, strict=True):  # counted from the sub-octave
        levels[number - 1] = level
    tone = harmonics(hz / 2, levels, samples)
    click = sine(min(hz * 9, 9000.0), samples) * decay(time_axis(length_s), 0.006) * 0.3
    return fade_in(normalise_peak(tone + click, 0.8), 0.003)


def strings(hz: float, length_s: float, *, bright: float = 1.6, spread: float = 0.006) -> Audio:
    """Synthesise strings, (2, T): an ensemble of detuned saws with a fast attack and a small swell."""
    samples = round(length_s * SAMPLE_RATE_HZ)
    levels = [1 / number**bright for number in range(1, 25)]
    sides = []
    for side in range(2):
        shifts = (-1.0, 0.1, 0.9) if side == 0 else (-0.8, -0.15, 1.1)
        saws = [harmonics(hz * (1 + spread * x), levels, samples, 0.37 * k) for k, x in enumerate(shifts)]
        sides.append(saws[0] + saws[1] + saws[2])
    swell = 1.0 - 0.45 * decay(time_axis(length_s), 0.35)
    return fade_in(normalise_peak(np.stack(sides) * swell, 0.8), 0.006)


def synth_pluck(hz: float, length_s: float, *, bright: float = 1.0) -> Audio:
    """Synthesise a short pluck; each harmonic decays faster than the one below."""
    time_s = time_axis(length_s)
    tone = np.zeros_like(time_s)
    for number in range(1, 13):
        if number * hz < 16000:
            tone += sine(number * hz, time_s.size) * decay(time_s, 0.5 * bright / number) / number**0.7
    return fade_in(normalise_peak(tone, 0.9), 0.001)


def plucked_string(
    hz: float,
    length_s: float,
    *,
    rng: Rng,
    soft: float = 0.5,
    ring: float = 0.994,
    force: float = 0.7,
) -> Audio:
    """Synthesise a plucked string (Karplus and Strong 1983): noise in a damped delay line.

    `soft` darkens the pick, `force` brightens it, `ring` is the gain of one period at 200 Hz.
    """
    period = max(8, int(SAMPLE_RATE_HZ / hz))
    samples = round(length_s * SAMPLE_RATE_HZ)
    rounds = samples // period + 3
    line = np.empty((rounds, period), np.float32)
    soft = min(0.9, soft + 0.5 * (0.7 - force))
    burst = lfilter([1 - soft], [1, -soft], rng.uniform(-1, 1, period)).astype(np.float32)
    pick = max(1, period // 7)  # pick position: a comb filter
    line[0] = burst - 0.9 * np.roll(burst, pick)
    line[0] -= line[0].mean()
    gain = np.float32(ring ** (200.0 / hz)) * np.float32(0.5)
    for k in range(1, rounds):
        previous = line[k - 1]
        line[k, 1:] = gain * (previous[1:] + previous[:-1])
        line[k, 0] = gain * (previous[0] + (line[k - 2, -1] if k > 1 else previous[-1]))
    position = np.arange(samples, dtype=np.float64) * (hz * (period + 0.5) / SAMPLE_RATE_HZ)
    tone = np.interp(position, np.arange(rounds * period), line.ravel()).astype(np.float32)
    body = lfilter([1.0, 0, -1.0], [1, -1.972, 0.976], tone).astype(np.float32)  # body resonance near 200 Hz
    return fade_in(normalise_peak(tone + 0.02 * body, 0.9), 0.001)


def finger_bass(hz: float, length_s: float, *, bright: float = 0.5) -> Audio:
    """Synthesise an electric bass: a few harmonics, the higher ones decaying faster."""
    time_s = time_axis(length_s)
    tone = np.zeros_like(time_s)
    for number in range(1, 7):
        level = bright ** (number - 1)
        tone += level * sine(number * hz, time_s.size) * decay(time_s, 1.4 / number)
    return fade_in(normalise_peak(tone, 0.9), 0.004)


def gliding_808(hz: float, length_s: float, *, from_hz: float | None = None, drive: float = 2.0) -> Audio:
    """Synthesise an 808 bass: a saturated sine whose pitch drops at its onset, or glides from `from_hz`."""
    time_s = time_axis(length_s)
    bend = 1 + 1.6 * decay(time_s, 0.012)
    if from_hz is not None:
        bend *= (from_hz / hz) ** (1 - np.clip(time_s / 0.11, 0, 1))
    turns = np.cumsum(bend, dtype=np.float64) * (hz / SAMPLE_RATE_HZ)
    tone = np.sin((turns % 1.0).astype(np.float32) * np.float32(2 * np.pi))
    tone = np.tanh(drive * tone * (0.25 + 0.75 * decay(time_s, 0.9)))
    return fade_in(normalise_peak(tone * decay(time_s, 1.6), 0.95), 0.002)


def filtered_noise(rng: Rng, samples: int, band_hz: tuple[float, float], order: int = 2) -> Audio:
    """Return band-passed white noise (T,)."""
    sections = butter(order, band_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return sosfilt(sections, rng.standard_normal(samples)).astype(np.float32)


def fade_out(audio: Audio) -> Audio:
    """Fade out the last tenth, in place."""
    samples = max(1, audio.size // 10)
    audio[-samples:] *= np.linspace(1, 0, samples, dtype=np.float32)
    return audio


def falling_sine(time_s: Audio, low_hz: float, high_hz: float, fall_s: float) -> Audio:
    """Return a sine whose frequency falls exponentially from high to low."""
    turns = low_hz * time_s + (high_hz - low_hz) * fall_s * (1 - decay(time_s, fall_s))
    return np.sin(np.float32(2 * np.pi) * turns)


def kick(rng: Rng, *, low_hz: float, high_hz: float, ring_s: float, click: float) -> Audio:
    """Synthesise a bass drum: a falling sine, and a noise burst for the beater."""
    time_s = time_axis(min(0.6, 5 * ring_s))
    body = falling_sine(time_s, low_hz, high_hz, 0.022) * decay(time_s, ring_s)
    beater = filtered_noise(rng, time_s.size, (900, 5500)) * decay(time_s, 0.006)
    return fade_out(fade_in(normalise_peak(np.tanh(1.4 * body) + click * beater), 0.0007))


def snare(
    rng: Rng, *, tone_hz: float, ring_s: float, wires_s: float, wires: float, bright_hz: float
) -> Audio:
    """Synthesise a snare drum: two modes of the head, and noise for the wires."""
    time_s = time_axis(5 * max(ring_s, wires_s))
    head = falling_sine(time_s, tone_hz, tone_hz * 1.4, 0.015) + 0.6 * sine(tone_hz * 1.78, time_s.size)
    rattle = filtered_noise(rng, time_s.size, (1200, bright_hz))
    rattle *= 0.3 * decay(time_s, 0.012) + 0.7 * decay(time_s, wires_s)
    return fade_out(fade_in(normalise_peak(head * decay(time_s, ring_s) + wires * rattle), 0.0005))


def clap(rng: Rng, *, tail_s: float = 0.11, spread_s: float = 0.009) -> Audio:
    """Synthesise a hand clap: three quick bursts and a tail of band-passed noise."""
    time_s = time_axis(6 * tail_s)
    noise = filtered_noise(rng, time_s.size, (900, 4500)) + 0.35 * filtered_noise(
        rng, time_s.size, (4000, 13000)
    )
    envelope = np.zeros_like(time_s)
    for burst in range(3):
        start = round(burst * spread_s * SAMPLE_RATE_HZ)
        envelope[start:] = np.maximum(envelope[start:], decay(time_s[: time_s.size - start], 0.006))
    start = round(3 * spread_s * SAMPLE_RATE_HZ)
    envelope[start:] = np.maximum(envelope[start:], 0.9 * decay(time_s[: time_s.size - start], tail_s))
    return fade_out(fade_in(normalise_peak(noise * envelope), 0.0005))


def cymbal_oscillators(rng: Rng, samples: int, base_hz: float) -> Audio:
    """Return six square waves at inharmonic ratios, as in cymbals of drum machines."""
    tone = np.zeros(samples, np.float32)
    for ratio in METAL_RATIOS:
        detuned = base_hz * ratio * (1 + 0.01 * rng.standard_normal())
        tone += np.sign(np.sin(phase(detuned, samples) + np.float32(rng.uniform(0, 6.28))))
    return (tone / 6).astype(np.float32)


def hat(
    rng: Rng, *, ring_s: float, base_hz: float = 320.0, low_hz: float = 6500.0, noise: float = 0.6
) -> Audio:
    """Synthesise a hi-hat: square waves and noise above `low_hz`; a short one is closed, a long one open."""
    time_s = time_axis(min(1.0, 7 * ring_s))
    mixed = cymbal_oscillators(rng, time_s.size, base_hz) + noise * rng.standard_normal(
        time_s.size, dtype=np.float32
    )
    sections = butter(3, low_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    body = sosfilt(sections, mixed).astype(np.float32)
    return fade_out(fade_in(normalise_peak(body * decay(time_s, ring_s)), 0.0005))


def ride(rng: Rng, *, base_hz: float = 410.0, ring_s: float = 0.5) -> Audio:
    """Synthesise a ride cymbal: a ping of a few modes over a long wash."""
    time_s = time_axis(min(1.6, 3.5 * ring_s))
    wash = filtered_noise(rng, time_s.size, (3500, 10000)) * 0.2
    wash *= 0.35 * decay(time_s, ring_s) + 0.65 * decay(time_s, 0.06)
    wash += cymbal_oscillators(rng, time_s.size, base_hz) * decay(time_s, ring_s * 0.5) * 0.1
    ping = np.zeros_like(time_s)
    for hz in (2950.0, 3820.0, 4710.0, 6130.0):
        ping += sine(hz * (1 + 0.01 * rng.standard_normal()), time_s.size) * decay(time_s, 0.09)
    sections = butter(2, 1500, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    mixed = sosfilt(sections, wash + 0.2 * ping).astype(np.float32)
    return fade_out(fade_in(normalise_peak(mixed), 0.0007))


def crash(rng: Rng, *, ring_s: float = 0.9) -> Audio:
    """Synthesise a crash cymbal: broad noise whose highs decay first."""
    time_s = time_axis(2.4 * ring_s)
    low = filtered_noise(rng, time_s.size, (1500, 6000)) * decay(time_s, ring_s)
    high = filtered_noise(rng, time_s.size, (5000, 15000)) * decay(time_s, ring_s * 0.5)
    return fade_out(
        fade_in(
            normalise_peak(
                0.6 * low + high + 0.3 * cymbal_oscillators(rng, time_s.size, 380) * decay(time_s, 0.4)
            ),
            0.002,
        )
    )


def tambourine(rng: Rng) -> Audio:
    """Synthesise a tambourine: jingles a few milliseconds apart."""
    time_s = time_axis(0.28)
    audio = np.zeros_like(time_s)
    for jingle in range(5):
        start = round(jingle * float(rng.uniform(0.002, 0.006)) * SAMPLE_RATE_HZ)
        remaining = time_s[: time_s.size - start]
        tone = sine(float(rng.uniform(5200, 9800)), remaining.size) + 0.6 * rng.standard_normal(
            remaining.size, dtype=np.float32
        )
        audio[start:] += tone * decay(remaining, float(rng.uniform(0.02, 0.07)))
    sections = butter(2, 4200, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return fade_out(fade_in(normalise_peak(sosfilt(sections, audio).astype(np.float32)), 0.001))


def tom(rng: Rng, *, low_hz: float, ring_s: float = 0.16) -> Audio:
    """Synthesise a tom: a falling sine with a stick attack."""
    time_s = time_axis(4 * ring_s)
    body = falling_sine(time_s, low_hz, low_hz * 1.5, 0.04) * decay(time_s, ring_s)
    body += 0.3 * sine(low_hz * 1.59, time_s.size) * decay(time_s, ring_s * 0.5)
    stick = filtered_noise(rng, time_s.size, (600, 4000)) * decay(time_s, 0.01)
    return fade_out(fade_in(normalise_peak(body + 0.3 * stick), 0.0007))


def rim(rng: Rng, *, hz: float = 1700.0) -> Audio:
    """Synthesise a rim click."""
    time_s = time_axis(0.08)
    tone = sine(hz, time_s.size) + 0.7 * sine(hz * 1.47, time_s.size)
    tone = tone * decay(time_s, 0.01) + 0.2 * filtered_noise(rng, time_s.size, (2000, 7000)) * decay(
        time_s, 0.006
    )
    return fade_out(fade_in(normalise_peak(tone), 0.0004))
