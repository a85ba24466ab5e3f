"""Measure the speed of `prepare` by stage, and of librosa: python speed.py AUDIO SCRATCH [--rounds 5]

AUDIO is a folder of music, SCRATCH an empty folder for corpora. All by CPU time of one thread, in turns,
medians and range over rounds: decode and resample to mono, screen and mel of every clip of 4 s, and
whole files. The loop of librosa calls is `load` for decoding, `feature.melspectrogram` and `power_to_db`
for the mel, both on the same files.
"""

import argparse
import itertools
import os
import shutil
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cyclegan_audio.audio.io import decode, find_audio
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.preparation.beats import bar_intervals
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings, ClipStream, RawClip
from cyclegan_audio.corpus.preparation.track_processor import TrackProcessor
from cyclegan_audio.corpus.preparation.worker_pool import hash_files, process_tracks
from cyclegan_audio.corpus.screening import ScreeningRules, VoiceActivity
from cyclegan_audio.corpus.sources import SourceFile

CLIP_S = 4.0
AUDIBLE_DB = 50.0


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--mel", default="hifi")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    mel = build("mel", compose("prepare", [f"mel={options.mel}"]).mel)
    paths = spread(find_audio(options.audio), options.files)
    pieces = [piece for path in paths for piece in ClipStream(path, ClipSettings(CLIP_S), mel)]
    music_s = sum(waveform.shape[1] / rate for waveform, rate in map(decode, paths))
    print(f"{len(paths)} files, {music_s:.0f} s, {len(pieces)} clips; mel={mel.name}")
    print(f"off float64 by {accuracy(mel, pieces)}")
    stages = one_core(mel, paths, pieces, options.scratch)
    show(in_turns(stages, options.rounds), music_s)
    for _ in range(options.rounds):
        print(two_cores(mel, paths, options.scratch), flush=True)


def spread(paths: list[Path], count: int) -> list[Path]:
    """Return `count` paths, evenly spaced over the list."""
    return [paths[i] for i in sorted({round(i) for i in np.linspace(0, len(paths) - 1, count)})]


def one_core(
    mel: MelSpectrogram, paths: list[Path], pieces: list[RawClip], scratch: Path
) -> dict[str, Callable[[], object]]:
    """Return the stages to measure, by name."""
    rules, voice = ScreeningRules(), ScreeningRules(voice=VoiceActivity(enabled=True))
    waves = [piece.mono[None] for piece in pieces if piece.mono is not None]
    return {
        "decode to mono": lambda: [decode(path, sample_rate=mel.sample_rate, mono=True) for path in paths],
        "librosa: load": lambda: [librosa_load(path, mel) for path in paths],
        "screen": lambda: [rules.check_clip(piece) for piece in pieces],
        "screen with voice": lambda: [voice.check_clip(piece) for piece in pieces],
        "mel": lambda: [mel.mel_db(wave) for wave in waves],
        "librosa: mel": lambda: [librosa_mel(wave[0].numpy(), mel) for wave in waves],
        "find the bars": lambda: [list(bar_intervals(path, CLIP_S, None, 0.0, 0.0)) for path in paths],
        "whole": lambda: whole(mel, rules, paths, scratch, 1),
        "whole with voice": lambda: whole(mel, voice, paths, scratch, 1),
    }


def librosa_load(path: Path, mel: MelSpectrogram) -> np.ndarray:
    """Load a file as in the tutorial of librosa."""
    import librosa

    return librosa.load(path, sr=mel.sample_rate)[0]


def librosa_mel(samples: np.ndarray, mel: MelSpectrogram) -> np.ndarray:
    """Compute the mel of librosa with the same settings (its padding differs)."""
    import librosa

    slaney = mel.filters == "slaney"
    bank = {
        "htk": not slaney,
        "norm": "slaney" if slaney else None,
        "fmin": mel.f_min_hz,
        "fmax": mel.f_max_hz,
    }
    frames = {"n_fft": mel.n_fft, "hop_length": mel.hop_length, "window": mel.window, "power": 1.0}
    power = librosa.feature.melspectrogram(y=samples, sr=mel.sample_rate, n_mels=mel.n_mels, **frames, **bank)
    return librosa.power_to_db(power)


def whole(mel: MelSpectrogram, rules: ScreeningRules, paths: list[Path], scratch: Path, workers: int) -> None:
    """Process files to arrays and records of a corpus, as `prepare` does."""
    shutil.rmtree(scratch, ignore_errors=True)
    for part in ("mels", "audio", "tracks"):
        (scratch / part).mkdir(parents=True)
    files = [SourceFile("music", path, str(path)) for path in paths]
    maker = TrackProcessor(scratch, mel, ClipSettings(CLIP_S), rules)
    process_tracks(maker, hash_files(maker, files, workers), True, workers)


def in_turns(stages: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Measure CPU seconds of each stage in interleaved rounds, after a warm-up round."""
    taken: dict[str, list[float]] = {name: [] for name in stages}
    for turn, (name, stage) in itertools.product(range(rounds + 1), stages.items()):
        start = time.process_time()
        stage()
        if turn:
            taken[name].append(time.process_time() - start)
    return taken


def show(taken: dict[str, list[float]], music_s: float) -> None:
    """Print hours of music per CPU second, and the multiple of real time."""
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        low, high = music_s / max(seconds), music_s / min(seconds)
        print(
            f"{name:20s} {music_s / middle:6.0f} x ({low:.0f}-{high:.0f}), {music_s / middle / 3600:.3f} h/s"
        )
    for name, other in (("decode to mono", "librosa: load"), ("mel", "librosa: mel")):
        ratios = [b / a for a, b in zip(taken[name], taken[other], strict=True)]
        print(
            f"{name}: librosa takes {statistics.median(ratios):.1f} times as long, "
            f"{min(ratios):.1f} to {max(ratios):.1f}"
        )


def two_cores(mel: MelSpectrogram, paths: list[Path], scratch: Path) -> str:
    """Measure wall time and CPU time of one worker, then of two."""
    measurements = []
    for workers in (1, 2):
        start, before = time.monotonic(), os.times()
        whole(mel, ScreeningRules(), paths, scratch, workers)
        clock_s, after = time.monotonic() - start, os.times()
        cpu_s = sum(after[:4]) - sum(before[:4])
        measurements.append((clock_s, cpu_s))
    (one_s, one_cpu_s), (two_s, two_cpu_s) = measurements
    by_clock, by_cpu = one_s / two_s / 2, one_cpu_s / two_cpu_s
    return (
        f"one worker {one_s:.1f} s by the clock, {one_cpu_s:.1f} CPU s; two {two_s:.1f} s, {two_cpu_s:.1f}; "
        f"efficiency {by_clock:.0%} by the clock, {by_cpu:.0%} by CPU time; load {os.getloadavg()[0]:.1f}"
    )


def exact_db(mel: MelSpectrogram, waveform: torch.Tensor) -> torch.Tensor:
    """Compute the mel in dB (M, F) of a waveform (1, T) in float64."""
    window = {"hann": torch.hann_window, "hamming": torch.hamming_window}[mel.window]
    frames = mel._pad_waveform(waveform)[0].double().unfold(0, mel.n_fft, mel.hop_length)
    spectrum = torch.fft.rfft(frames * window(mel.n_fft, dtype=torch.float64))
    magnitude = (spectrum.abs().square() + mel.magnitude_epsilon).sqrt()
    return 20 * (mel.filter_bank().double() @ magnitude.T).clamp_min(mel.floor).log10()


def accuracy(mel: MelSpectrogram, pieces: list[RawClip]) -> str:
    """Print the error of the mels against float64."""
    worst = worst_audible = 0.0
    for piece in pieces[:: max(1, len(pieces) // 60)]:
        assert piece.mono is not None
        exact = exact_db(mel, piece.mono[None])
        error = (mel.mel_db(piece.mono[None])[0] - exact).abs()
        worst = max(worst, float(error.max()))
        worst_audible = max(worst_audible, float(error[exact > exact.max(0).values - AUDIBLE_DB].max()))
    return (
        f"{worst:.1e} dB at most, {worst_audible:.1e} dB within {AUDIBLE_DB:g} dB of a frame's loudest band"
    )


if __name__ == "__main__":
    main()
