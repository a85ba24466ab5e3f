"""Measure precision and recall of `screening.voice` on speech mixed into instrumentals.

    python voice.py --music FOLDER... --speech NAME=FOLDER...

Each clip of music (4 s, at most `--clips` a folder, at most 8 a file) is tried alone and with a stretch of
each kind of speech at each level: the speech's RMS against that of the music. Speech lasts 1.2 s or more.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from cyclegan_audio.audio.io import decode, find_audio
from cyclegan_audio.corpus.screening.features import ClipFeatures
from cyclegan_audio.corpus.screening.voice import mean_probability

MUSIC_RATE = 44100
CLIP_S = 4.0
LEVELS_DB = (6, 0, -6, -12, -18)
MIN_SPEECH_S = 1.2
LEVEL_LUFS = -23.0
THRESHOLDS = (0.02, 0.025, 0.03, 0.04, 0.06)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--music", nargs="+", required=True, type=Path)
    parser.add_argument("--speech", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--leave-out", default="Vocaloid")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    names = [value.partition("=")[0] for value in arguments.speech]
    speech = {n: find_speech(Path(v.partition("=")[2])) for n, v in zip(names, arguments.speech, strict=True)}
    probabilities: dict[str, list[float]] = {}
    for folder in arguments.music:
        for clip in music_clips(folder, arguments.clips, arguments.leave_out, rng):
            probabilities.setdefault(f"alone: {folder.name}", []).append(measure(clip))
            for name, paths in speech.items():
                voice = a_voice(paths, rng)
                for level_db in LEVELS_DB:
                    mix = clip + voice * 10 ** (level_db / 20) * clip.square().mean().sqrt()
                    probabilities.setdefault(f"{name} {level_db:+d} dB", []).append(measure(mix))
    show(probabilities)


def find_speech(folder: Path) -> list[Path]:
    """Find files of speech, including G.722."""
    return sorted([*find_audio(folder), *folder.rglob("*.g722")])


def music_clips(folder: Path, n_clips: int, leave_out: str, rng: np.random.Generator) -> list[torch.Tensor]:
    """Cut clips (T,) at 44.1 kHz, from all files in turn."""
    n = round(CLIP_S * MUSIC_RATE)
    by_file = []
    for path in find_audio(folder):
        if not (leave_out and leave_out in path.name):
            waveform = decode(path, sample_rate=MUSIC_RATE, mono=True)[0][0]
            starts = rng.permutation(len(waveform) // n)[:8]
            by_file.append([waveform[s * n : (s + 1) * n] for s in starts])
    in_turn = [clips[i] for i in range(8) for clips in by_file if i < len(clips)]
    return [clip for clip in in_turn if clip.square().mean() > 1e-6][:n_clips]


def a_voice(paths: list[Path], rng: np.random.Generator) -> torch.Tensor:
    """Put speech of RMS 1 at a random position in a silent clip (T,)."""
    n = round(CLIP_S * MUSIC_RATE)
    while True:
        waveform = decode(paths[rng.integers(len(paths))], sample_rate=MUSIC_RATE, mono=True)[0][0][:n]
        active = waveform.abs() > 0.1 * waveform.abs().max()
        if active.any() and len(waveform) >= MIN_SPEECH_S * MUSIC_RATE:
            break
    clip = torch.zeros(n)
    start = int(rng.integers(n - len(waveform) + 1))
    clip[start : start + len(waveform)] = waveform / waveform[active].square().mean().sqrt()
    return clip


def measure(clip: torch.Tensor) -> float:
    """Compute the value that the rule compares with its threshold."""
    gain_db = LEVEL_LUFS - ClipFeatures(clip, MUSIC_RATE).loudness_lufs
    return mean_probability(clip, MUSIC_RATE, gain_db)


def show(probabilities: dict[str, list[float]]) -> None:
    """Print the share of clips dropped at some thresholds."""
    print("share dropped at".ljust(24), "n".rjust(4), *(f"{limit:g}".rjust(7) for limit in THRESHOLDS))
    for name, values in probabilities.items():
        shares = [np.mean(np.array(values) > threshold) for threshold in THRESHOLDS]
        print(name.ljust(24), str(len(values)).rjust(4), *(f"{share:.3f}".rjust(7) for share in shares))


if __name__ == "__main__":
    main()
