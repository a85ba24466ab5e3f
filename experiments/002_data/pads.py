"""Count false alarms of `screening.voice` on drones and pads without voice: python pads.py [--clips 40]

Clips of 4 s contain sustained tones, `--clips` of each kind, with chords, registers and slopes at random.
Prints the share that the rule would drop, and the share that the network alone would drop.
"""

import argparse

import numpy as np
import torch
import torchaudio.functional as AF

from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.screening.features import ClipFeatures
from cyclegan_audio.corpus.screening.voice import (
    PROBABILITY_FLOOR,
    SAMPLE_RATE,
    mean_probability,
    voice_probabilities,
)

MUSIC_RATE = 44100
CLIP_S = 4.0
CHORDS = ((0,), (0, 7), (0, 12), (0, 3, 7), (0, 4, 7), (0, 3, 7, 10), (0, 4, 7, 11), (0, 5, 7, 14))
KINDS = ("steady", "detuned", "vibrato", "swelling", "over noise", "with drums")


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rule = build("screening", compose("prepare", ["screening.voice.enabled=true"]).screening).voice
    rng = np.random.default_rng(0)
    for kind in KINDS:
        values = []
        for _ in range(options.clips):
            clip = pad(kind, rng)
            gain_db = rule.level_lufs - ClipFeatures(clip, MUSIC_RATE).loudness_lufs
            plain = voice_probabilities(
                AF.resample(clip * 10 ** (gain_db / 20), MUSIC_RATE, SAMPLE_RATE)[None]
            )
            values.append(
                (
                    mean_probability(clip, MUSIC_RATE, gain_db),
                    float((plain + PROBABILITY_FLOOR).log().mean().exp()),
                )
            )
        rate, plain_rate = (np.array(values) > rule.mean_probability).mean(0)
        print(f"{kind:12s} n {len(values)}: {rate:.2f} dropped; {plain_rate:.2f} with standing sound left in")


def pad(kind: str, rng: np.random.Generator) -> torch.Tensor:
    """Synthesise a chord of tones with 1 to 40 partials, (T,) at 44.1 kHz."""
    time_s = np.arange(round(CLIP_S * MUSIC_RATE)) / MUSIC_RATE
    root_hz, slope = 55 * 2 ** rng.uniform(0, 3), rng.uniform(0.8, 2.5)
    wave = np.zeros_like(time_s)
    for step in CHORDS[rng.integers(len(CHORDS))]:
        for cents in (-8, 0, 8) if kind == "detuned" else (0,):
            wave += tone(root_hz * 2 ** (step / 12 + cents / 1200), slope, kind, time_s, rng)
    wave /= np.abs(wave).max()
    if kind == "swelling":
        wave *= 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(0.15, 1.0) * time_s + rng.uniform(0, 6))
    if kind == "over noise":
        wave += rng.normal(0, 0.03, len(wave))
    if kind == "with drums":
        for beat_s in np.arange(0, CLIP_S, 60 / rng.uniform(70, 150)):
            wave += hit(time_s - beat_s, rng)
    return torch.from_numpy(0.4 * wave / np.abs(wave).max()).float()


def tone(hz: float, slope: float, kind: str, time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a tone: partials that fall as a power of their number, up to 12 kHz."""
    depth = rng.uniform(0.002, 0.008) if kind == "vibrato" else 0.0
    phase = 2 * np.pi * hz * (time_s - depth / 10 * np.cos(2 * np.pi * 5 * time_s))
    count = min(int(rng.integers(1, 41)), int(12_000 / hz))
    return sum(np.sin(k * phase + rng.uniform(0, 6)) / k**slope for k in range(1, max(count, 1) + 1))


def hit(since_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a kick or a hat."""
    on = since_s >= 0
    if rng.random() < 0.5:
        return np.where(on, 0.9 * np.sin(2 * np.pi * 55 * since_s) * np.exp(-since_s.clip(0) * 18), 0)
    return np.where(on, rng.normal(0, 0.3, len(since_s)) * np.exp(-since_s.clip(0) * 60), 0)


if __name__ == "__main__":
    main()
