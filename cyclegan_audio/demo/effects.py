"""Process a mix: filters, reverb, echo, tape, vinyl noise, limiter, loudness. Audio is (2, T) float32."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

from cyclegan_audio.demo.score import SAMPLE_RATE_HZ
from cyclegan_audio.demo.synthesis import Audio, Rng

CEILING = 0.95


def butterworth(audio: Audio, hz: float | tuple[float, float], kind: str, order: int = 2) -> Audio:
    """Filter along time with a Butterworth filter."""
    return sosfilt(butter(order, hz, kind, fs=SAMPLE_RATE_HZ, output="sos"), audio, axis=-1).astype(
        np.float32
    )


def saturate(audio: Audio, drive: float) -> Audio:
    """Clip softly with unit gain for small signals; a larger `drive` saturates earlier."""
    return np.tanh(audio * np.float32(drive)) / np.float32(drive)


def room_impulse_response(
    rng: Rng, *, decay_s: float, predelay_s: float = 0.008, damp_hz: float = 6000.0
) -> Audio:
    """Create the impulse response (2, T) of a room: noise that decays by 60 dB in `decay_s` and darkens."""
    samples = round(decay_s * SAMPLE_RATE_HZ)
    time_s = np.arange(samples, dtype=np.float32) / SAMPLE_RATE_HZ
    noise = rng.standard_normal((2, samples), dtype=np.float32)
    dark = butterworth(noise, damp_hz / 3, "lowpass", 1)
    bright = butterworth(noise, damp_hz, "lowpass", 1)
    blend = np.exp(time_s * np.float32(-4 / decay_s))
    response = (bright * blend + 1.5 * dark * (1 - blend)) * np.exp(time_s * np.float32(-6.9 / decay_s))
    response = np.pad(
        butterworth(response, 180, "highpass", 1), ((0, 0), (round(predelay_s * SAMPLE_RATE_HZ), 0))
    )
    return (response / np.sqrt((response**2).sum(axis=-1, keepdims=True))).astype(np.float32)


def reverb(audio: Audio, response: Audio) -> Audio:
    """Return the reverb alone, of the same length; each channel has its own response."""
    return oaconvolve(audio, response, mode="full", axes=-1)[:, : audio.shape[-1]].astype(np.float32)


def echo(audio: Audio, delay_s: float, feedback: float = 0.4, repeats: int = 3) -> Audio:
    """Return ping-pong echoes alone."""
    wet = np.zeros_like(audio)
    delay = round(delay_s * SAMPLE_RATE_HZ)
    for repeat in range(1, repeats + 1):
        start = repeat * delay
        if start >= audio.shape[-1]:
            break
        source = audio if repeat % 2 == 0 else audio[::-1]
        wet[:, start:] += np.float32(feedback**repeat) * source[:, :-start]
    return wet


def lfo(rng: Rng, samples: int, rate_hz: float) -> Audio:
    """Create a control signal (T,) in [-1, 1]: a sine with a drifting rate."""
    time_s = np.arange(samples, dtype=np.float32) / SAMPLE_RATE_HZ
    drift = 0.8 * np.sin(2 * np.pi * 0.13 * time_s + rng.uniform(0, 6.28))
    return np.sin(2 * np.pi * rate_hz * time_s + drift + rng.uniform(0, 6.28)).astype(np.float32)


def wow(audio: Audio, rng: Rng, *, depth_s: float, rate_hz: float) -> Audio:
    """Modulate pitch slowly: every sound moves in time by at most `depth_s`."""
    samples = audio.shape[-1]
    shift = lfo(rng, samples, rate_hz).astype(np.float64)
    shift += 0.06 * lfo(rng, samples, rate_hz * 9)  # flutter
    position = np.arange(samples) + shift * (depth_s * SAMPLE_RATE_HZ / 1.06)
    return np.stack([np.interp(position, np.arange(samples), channel) for channel in audio]).astype(
        np.float32
    )


def tremolo(audio: Audio, rng: Rng, *, rate_hz: float, depth: float) -> Audio:
    """Modulate the level of both channels in opposite directions."""
    wave = np.float32(depth) * lfo(rng, audio.shape[-1], rate_hz)
    return np.stack([audio[0] * (1 + wave), audio[1] * (1 - wave)])


def sidechain_gain(samples: int, starts: list[float], *, depth: float, recover_s: float = 0.22) -> Audio:
    """Create a gain (T,) that dips at each kick and recovers."""
    dips = np.zeros(samples, np.float32)
    for start_s in starts:
        position = round(start_s * SAMPLE_RATE_HZ)
        if position < samples:
            dips[position] = 1.0
    decay = np.exp(-1 / (recover_s * 0.5 * SAMPLE_RATE_HZ))
    envelope = np.minimum(lfilter([1.0], [1.0, -decay], dips), 1.0)
    return (1 - depth * uniform_filter1d(envelope, 256)).astype(np.float32)


def vinyl(rng: Rng, samples: int, *, clicks_per_s: float, crackle_db: float, hiss_db: float) -> Audio:
    """Create vinyl noise (2, T): sparse clicks of all sizes, mostly in the centre, and hiss.

    `crackle_db` is the peak of the largest click, `hiss_db` an RMS.
    """
    dust = np.zeros((2, samples), np.float32)
    count = rng.poisson(clicks_per_s * samples / SAMPLE_RATE_HZ)
    positions = rng.integers(0, samples, count)
    sizes = np.minimum(rng.pareto(1.6, count) * 0.12, 1.0) * rng.choice([-1, 1], count)
    balance = rng.uniform(0.3, 0.7, count)
    np.add.at(dust[0], positions, sizes * balance * 2)
    np.add.at(dust[1], positions, sizes * (1 - balance) * 2)
    dust = lfilter([0.4, 0.4], [1, -1.1, 0.5], dust, axis=-1) * 10 ** (crackle_db / 20)
    return dust.astype(np.float32) + hiss(rng, samples, hiss_db)


def hiss(rng: Rng, samples: int, level_db: float) -> Audio:
    """Create tape noise (2, T) at an RMS of `level_db`, with slightly weaker highs."""
    noise = lfilter([0.5, 0.3], [1, -0.35], rng.standard_normal((2, samples), dtype=np.float32), axis=-1)
    return (noise * (10 ** (level_db / 20) / max(1e-9, float(noise.std())))).astype(np.float32)


def loudness_db(audio: Audio) -> float:
    """Compute ungated K-weighted loudness after ITU-R BS.1770 (LUFS for steady music)."""
    shelf_b, shelf_a = _shelf(1500.0, 4.0, 2**-0.5)
    weighted = lfilter(shelf_b, shelf_a, butterworth(audio, 38.0, "highpass"), axis=-1)
    return float(-0.691 + 10 * np.log10(max(1e-12, float((weighted**2).mean(axis=-1).sum()))))


def _shelf(hz: float, gain_db: float, quality: float) -> tuple[list[float], list[float]]:
    """Return the coefficients (b, a) of a high shelf, after the Audio EQ Cookbook."""
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * hz / SAMPLE_RATE_HZ
    c, s = np.cos(w), np.sin(w) / (2 * quality) * 2 * np.sqrt(a)
    b = [a * (a + 1 + (a - 1) * c + s), -2 * a * (a - 1 + (a + 1) * c), a * (a + 1 + (a - 1) * c - s)]
    return b, [a + 1 - (a - 1) * c + s, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - s]


def limit(audio: Audio, reach_s: float = 0.004) -> Audio:
    """Limit samples to [-CEILING, CEILING] with look-ahead and a smooth gain."""
    reach = round(reach_s * SAMPLE_RATE_HZ)
    peaks = maximum_filter1d(np.abs(audio).max(axis=0), 2 * reach + 1)
    gain = uniform_filter1d(np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9)), 2 * reach + 1)
    return np.clip(audio * gain.astype(np.float32), -CEILING, CEILING)


def master(
    audio: Audio, *, noise: Audio | None = None, target_db: float = -16.0, fade_s: float = 0.6
) -> Audio:
    """Normalise a mix to the target loudness, limit it, add `noise`, and fade out its end."""
    for _ in range(2):
        audio = limit(audio * np.float32(10 ** ((target_db - loudness_db(audio)) / 20)))
    if noise is not None:
        audio = np.clip(audio + noise, -CEILING, CEILING)
    fade = min(audio.shape[-1] // 4, round(fade_s * SAMPLE_RATE_HZ))
    audio[:, audio.shape[-1] - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    audio[:, -1] = 0.0
    return audio
