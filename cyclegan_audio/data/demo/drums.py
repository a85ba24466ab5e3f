"""Drum one-shots, (T,) float32 at a peak of 1: some tuned like machines, some like a kit in a room."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt

from cyclegan_audio.data.demo.score import SAMPLE_RATE_HZ
from cyclegan_audio.data.demo.synth import Audio, attack, decay, phase, scaled, seconds, sine

Rng = np.random.Generator
METAL_RATIOS = (2.0, 3.0, 4.16, 5.43, 6.79, 8.21)


def filtered_noise(rng: Rng, samples: int, band_hz: tuple[float, float], order: int = 2) -> Audio:
    """White noise (T,) through a Butterworth band."""
    sections = butter(order, band_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return sosfilt(sections, rng.standard_normal(samples)).astype(np.float32)


def tail_off(audio: Audio) -> Audio:
    """Bring the last tenth to zero, so that no sample ends in a step."""
    samples = max(1, audio.size // 10)
    audio[-samples:] *= np.linspace(1, 0, samples, dtype=np.float32)
    return audio


def falling_sine(time_s: Audio, low_hz: float, high_hz: float, fall_s: float) -> Audio:
    """A sine whose pitch falls exponentially from high to low."""
    turns = low_hz * time_s + (high_hz - low_hz) * fall_s * (1 - decay(time_s, fall_s))
    return np.sin(np.float32(2 * np.pi) * turns)


def kick(rng: Rng, *, low_hz: float, high_hz: float, ring_s: float, click: float) -> Audio:
    """Bass drum: a falling sine, and the beater as a short burst of noise."""
    time_s = seconds(min(0.6, 5 * ring_s))
    body = falling_sine(time_s, low_hz, high_hz, 0.022) * decay(time_s, ring_s)
    beater = filtered_noise(rng, time_s.size, (900, 5500)) * decay(time_s, 0.006)
    return tail_off(attack(scaled(np.tanh(1.4 * body) + click * beater), 0.0007))


def snare(
    rng: Rng, *, tone_hz: float, ring_s: float, wires_s: float, wires: float, bright_hz: float
) -> Audio:
    """Snare drum: two modes of the head, and the wires as noise."""
    time_s = seconds(5 * max(ring_s, wires_s))
    head = falling_sine(time_s, tone_hz, tone_hz * 1.4, 0.015) + 0.6 * sine(tone_hz * 1.78, time_s.size)
    rattle = filtered_noise(rng, time_s.size, (1200, bright_hz))
    rattle *= 0.3 * decay(time_s, 0.012) + 0.7 * decay(time_s, wires_s)
    return tail_off(attack(scaled(head * decay(time_s, ring_s) + wires * rattle), 0.0005))


def clap(rng: Rng, *, tail_s: float = 0.11, spread_s: float = 0.009) -> Audio:
    """Hand clap: three quick bursts and a tail of band-passed noise."""
    time_s = seconds(6 * tail_s)
    noise = filtered_noise(rng, time_s.size, (900, 4500)) + 0.35 * filtered_noise(
        rng, time_s.size, (4000, 13000)
    )
    envelope = np.zeros_like(time_s)
    for burst in range(3):
        start = round(burst * spread_s * SAMPLE_RATE_HZ)
        envelope[start:] = np.maximum(envelope[start:], decay(time_s[: time_s.size - start], 0.006))
    start = round(3 * spread_s * SAMPLE_RATE_HZ)
    envelope[start:] = np.maximum(envelope[start:], 0.9 * decay(time_s[: time_s.size - start], tail_s))
    return tail_off(attack(scaled(noise * envelope), 0.0005))


def metal(rng: Rng, samples: int, base_hz: float) -> Audio:
    """Six square waves at inharmonic ratios, as in a drum machine's cymbals."""
    tone = np.zeros(samples, np.float32)
    for ratio in METAL_RATIOS:
        detuned = base_hz * ratio * (1 + 0.01 * rng.standard_normal())
        tone += np.sign(np.sin(phase(detuned, samples) + np.float32(rng.uniform(0, 6.28))))
    return (tone / 6).astype(np.float32)


def hat(
    rng: Rng, *, ring_s: float, base_hz: float = 320.0, low_hz: float = 6500.0, noise: float = 0.6
) -> Audio:
    """Hi-hat: metal and noise above `low_hz`; short is closed, long is open."""
    time_s = seconds(min(1.0, 7 * ring_s))
    mixed = metal(rng, time_s.size, base_hz) + noise * rng.standard_normal(time_s.size, dtype=np.float32)
    sections = butter(3, low_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    body = sosfilt(sections, mixed).astype(np.float32)
    return tail_off(attack(scaled(body * decay(time_s, ring_s)), 0.0005))


def ride(rng: Rng, *, base_hz: float = 410.0, ring_s: float = 0.5) -> Audio:
    """Ride cymbal: a ping of a few modes over a long wash."""
    time_s = seconds(min(1.6, 3.5 * ring_s))
    wash = filtered_noise(rng, time_s.size, (3500, 10000)) * 0.2
    wash *= 0.35 * decay(time_s, ring_s) + 0.65 * decay(time_s, 0.06)
    wash += metal(rng, time_s.size, base_hz) * decay(time_s, ring_s * 0.5) * 0.1
    ping = np.zeros_like(time_s)
    for hz in (2950.0, 3820.0, 4710.0, 6130.0):
        ping += sine(hz * (1 + 0.01 * rng.standard_normal()), time_s.size) * decay(time_s, 0.09)
    sections = butter(2, 1500, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    mixed = sosfilt(sections, wash + 0.2 * ping).astype(np.float32)
    return tail_off(attack(scaled(mixed), 0.0007))


def crash(rng: Rng, *, ring_s: float = 0.9) -> Audio:
    """Crash cymbal: broad noise, the highs fading first."""
    time_s = seconds(2.4 * ring_s)
    low = filtered_noise(rng, time_s.size, (1500, 6000)) * decay(time_s, ring_s)
    high = filtered_noise(rng, time_s.size, (5000, 15000)) * decay(time_s, ring_s * 0.5)
    return tail_off(
        attack(scaled(0.6 * low + high + 0.3 * metal(rng, time_s.size, 380) * decay(time_s, 0.4)), 0.002)
    )


def tambourine(rng: Rng) -> Audio:
    """Tambourine: jingles struck a few milliseconds apart."""
    time_s = seconds(0.28)
    total = np.zeros_like(time_s)
    for jingle in range(5):
        start = round(jingle * float(rng.uniform(0.002, 0.006)) * SAMPLE_RATE_HZ)
        left = time_s[: time_s.size - start]
        tone = sine(float(rng.uniform(5200, 9800)), left.size) + 0.6 * rng.standard_normal(
            left.size, dtype=np.float32
        )
        total[start:] += tone * decay(left, float(rng.uniform(0.02, 0.07)))
    sections = butter(2, 4200, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return tail_off(attack(scaled(sosfilt(sections, total).astype(np.float32)), 0.001))


def tom(rng: Rng, *, low_hz: float, ring_s: float = 0.16) -> Audio:
    """Tom: a falling sine with some stick."""
    time_s = seconds(4 * ring_s)
    body = falling_sine(time_s, low_hz, low_hz * 1.5, 0.04) * decay(time_s, ring_s)
    body += 0.3 * sine(low_hz * 1.59, time_s.size) * decay(time_s, ring_s * 0.5)
    stick = filtered_noise(rng, time_s.size, (600, 4000)) * decay(time_s, 0.01)
    return tail_off(attack(scaled(body + 0.3 * stick), 0.0007))


def rim(rng: Rng, *, hz: float = 1700.0) -> Audio:
    """Rim or wood click."""
    time_s = seconds(0.08)
    tone = sine(hz, time_s.size) + 0.7 * sine(hz * 1.47, time_s.size)
    tone = tone * decay(time_s, 0.01) + 0.2 * filtered_noise(rng, time_s.size, (2000, 7000)) * decay(
        time_s, 0.006
    )
    return tail_off(attack(scaled(tone), 0.0004))
