"""Compute a mel in one numba kernel (tried, not built in): python fused_mel.py AUDIO [--rounds 5]

Windowed frames, a real FFT by a complex one of half the length in float64, magnitudes, band sums: all in one
numba kernel over 16 frames at a time that lie side by side, so that every inner loop runs over frames. The
FFT is radix 4, in place, with the twiddle constant in the inner loop (natural order in, digit-reversed out:
Cooley and Tukey 1965), and goes depth first so that the last passes stay in the first cache. numba does no
superword vectorisation: loops vectorise only where all distances between what they read and write are
constants, so the step is one, and a kernel is compiled for each. Beside it, in turns, by CPU time of one
thread: `MelSpectrogram.mel_db` and librosa's call. AUDIO is a folder of music.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit
from speed import exact_db, librosa_mel, spread

from cyclegan_audio.audio.io import find_audio
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings, ClipStream

N_FFT = 2048
HALF = N_FFT // 2
QUARTER = HALF // 4
FRAMES = 16  # at a time: fewer, and the compiler unrolls the loops over frames to scalars
GROUP = 8  # bins a step of a band's sum
IMAG = HALF * FRAMES  # where the imaginary parts begin
OPTIONS = {"nogil": True, "forceinline": True, "fastmath": {"contract"}, "error_model": "numpy"}


@njit(**OPTIONS)
def first_pass(samples, hop, window, x):
    n = QUARTER * FRAMES
    for j in range(QUARTER):
        s, y, w = samples[2 * j :], x[j * FRAMES :], window[2 * j :]
        w0, w1, w2, w3 = w[0], w[1], w[HALF // 2], w[HALF // 2 + 1]
        w4, w5, w6, w7 = w[HALF], w[HALF + 1], w[HALF + HALF // 2], w[HALF + HALF // 2 + 1]
        for f in range(FRAMES):
            p = f * hop
            ar, ai, br, bi = s[p] * w0, s[p + 1] * w1, s[p + HALF // 2] * w2, s[p + HALF // 2 + 1] * w3
            cr, ci = s[p + HALF] * w4, s[p + HALF + 1] * w5
            dr, di = s[p + HALF + HALF // 2] * w6, s[p + HALF + HALF // 2 + 1] * w7
            sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, vr, vi = br + dr, bi + di, br - dr, bi - di
            y[f], y[f + IMAG] = sr + ur, si + ui
            y[f + n], y[f + n + IMAG] = tr + vi, ti - vr
            y[f + 2 * n], y[f + 2 * n + IMAG] = sr - ur, si - ui
            y[f + 3 * n], y[f + 3 * n + IMAG] = tr - vi, ti + vr


@njit(**OPTIONS)
def later_pass(x, twiddles, first, blocks, span):
    n = span * FRAMES
    for block in range(first, first + blocks):
        w1r, w1i, w2r = twiddles[block, 0], twiddles[block, 1], twiddles[block, 2]
        w2i, w3r, w3i = twiddles[block, 3], twiddles[block, 4], twiddles[block, 5]
        y = x[block * 4 * n :]
        for j in range(n):
            br, bi = y[j + n] * w1r - y[j + n + IMAG] * w1i, y[j + n] * w1i + y[j + n + IMAG] * w1r
            cr = y[j + 2 * n] * w2r - y[j + 2 * n + IMAG] * w2i
            ci = y[j + 2 * n] * w2i + y[j + 2 * n + IMAG] * w2r
            dr = y[j + 3 * n] * w3r - y[j + 3 * n + IMAG] * w3i
            di = y[j + 3 * n] * w3i + y[j + 3 * n + IMAG] * w3r
            ar, ai = y[j], y[j + IMAG]
            sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, vr, vi = br + dr, bi + di, br - dr, bi - di
            y[j], y[j + IMAG] = sr + ur, si + ui
            y[j + n], y[j + n + IMAG] = tr + vi, ti - vr
            y[j + 2 * n], y[j + 2 * n + IMAG] = sr - ur, si - ui
            y[j + 3 * n], y[j + 3 * n + IMAG] = tr - vi, ti + vr


@njit(**OPTIONS)
def magnitudes(x, pairs, turns, epsilon, out):
    """Compute bins k and HALF - k of the real FFT from two points of the complex FFT."""
    for i in range(len(pairs)):
        y, z, k = x[pairs[i, 0] * FRAMES :], x[pairs[i, 1] * FRAMES :], pairs[i, 2]
        wr, wi = turns[i, 0], turns[i, 1]
        low, high = out[k * FRAMES :], out[(HALF - k) * FRAMES :]
        for f in range(FRAMES):
            er, ei = y[f] + z[f], y[f + IMAG] - z[f + IMAG]
            dr, di = y[f + IMAG] + z[f + IMAG], z[f] - y[f]
            tr, ti = dr * wr - di * wi, dr * wi + di * wr
            ur, ui, vr, vi = er + tr, ei + ti, er - tr, ei - ti
            low[f] = math.sqrt(np.float32(ur * ur + ui * ui + epsilon))
            high[f] = math.sqrt(np.float32(vr * vr + vi * vi + epsilon))


@njit(**OPTIONS)
def band_sums(magnitude, bands, weights, out):
    at = 0
    for m in range(len(bands)):
        band = out[m * FRAMES :]
        for f in range(FRAMES):
            band[f] = 0
        for group in range(bands[m, 1]):
            w = weights[at]
            w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
            x = magnitude[(bands[m, 0] + group * GROUP) * FRAMES :]
            at += 1
            for f in range(FRAMES):
                near = x[f] * w0 + x[f + FRAMES] * w1 + x[f + 2 * FRAMES] * w2 + x[f + 3 * FRAMES] * w3
                far = x[f + 4 * FRAMES] * w4 + x[f + 5 * FRAMES] * w5
                band[f] += near + (far + x[f + 6 * FRAMES] * w6 + x[f + 7 * FRAMES] * w7)


def make_kernel(hop: int) -> Callable[..., None]:
    """Build the kernel for one step: padded samples to mel magnitudes (M, F)."""

    @njit(nogil=True, fastmath={"contract"}, error_model="numpy")
    def kernel(samples, window, twiddles, pairs, turns, epsilon, bands, weights, out):
        x = np.empty(2 * HALF * FRAMES)
        magnitude = np.zeros((HALF + 1 + GROUP) * FRAMES, np.float32)
        sums = np.empty(len(bands) * FRAMES, np.float32)
        for first in range(0, out.shape[1], FRAMES):
            first_pass(samples[first * hop :], hop, window, x)
            for a in range(4):
                later_pass(x, twiddles, a, 1, 64)
                for b in range(4 * a, 4 * a + 4):
                    later_pass(x, twiddles, b, 1, 16)
                    later_pass(x, twiddles, 4 * b, 4, 4)
                    later_pass(x, twiddles, 16 * b, 16, 1)
            magnitudes(x, pairs, turns, epsilon, magnitude)
            band_sums(magnitude, bands, weights, sums)
            for m in range(len(bands)):
                for f in range(min(FRAMES, out.shape[1] - first)):
                    out[m, first + f] = sums[m * FRAMES + f]

    return kernel


def reversed_digits(number: int, count: int) -> int:
    """Reverse the `count` base-4 digits of `number`."""
    return sum((number // 4**i % 4) * 4 ** (count - 1 - i) for i in range(count))


def tables(mel: MelSpectrogram) -> tuple[np.ndarray, ...]:
    """Return window (halved), twiddles, pairs of points with their bin, turns, bands, weights."""
    window = {"hann": torch.hann_window, "hamming": torch.hamming_window}[mel.window]
    exponents = np.array([reversed_digits(block, 4) for block in range(QUARTER)])
    powers = [np.exp(-2j * np.pi * exponents * k / HALF) for k in (1, 2, 3)]
    order = [reversed_digits(k, 5) for k in range(HALF)]
    pairs = np.array(sorted((order[k], order[-k % HALF], k) for k in range(HALF // 2 + 1)))
    turns = np.exp(-2j * np.pi * pairs[:, 2] / N_FFT)
    bands, weights = [], []
    for row in mel.filter_bank().numpy():
        first, last = (*row.nonzero()[0], 0)[0], (0, *row.nonzero()[0])[-1]
        count = -(-(last + 1 - first) // GROUP)
        padded = np.zeros(count * GROUP, np.float32)
        padded[: last + 1 - first] = row[first : last + 1]
        bands.append((first, count))
        weights.append(padded.reshape(count, GROUP))
    parts = [part for power in powers for part in (power.real, power.imag)]
    return (
        window(N_FFT, dtype=torch.float64).numpy() / 2, np.stack(parts, 1), pairs,
        np.stack([turns.real, turns.imag], 1), np.array(bands), np.concatenate(weights),
    )  # fmt: skip


def make_fused(mel: MelSpectrogram) -> Callable[[torch.Tensor], torch.Tensor]:
    """Build the function from a waveform (1, T) to the mel in dB (1, M, F)."""
    kernel = make_kernel(mel.hop_length)
    window, twiddles, pairs, turns, bands, weights = tables(mel)

    def fused(waveform: torch.Tensor) -> torch.Tensor:
        out = torch.empty(1, mel.n_mels, mel.n_frames(waveform.shape[1]))
        more = (0, FRAMES * mel.hop_length)
        padded = torch.nn.functional.pad(mel._pad_waveform(waveform), more)[0].numpy()
        epsilon = mel.magnitude_epsilon
        kernel(padded, window, twiddles, pairs, turns, epsilon, bands, weights, out[0].numpy())
        return mel._to_db(out)

    return fused


def measure(name: str, audio: Path, files: int, rounds: int) -> None:
    """Print time to compile, error, and microseconds a frame with ratios to librosa."""
    mel = build("mel", compose("prepare", [f"mel={name}"]).mel)
    paths = spread(find_audio(audio), files)
    pieces = [piece for path in paths for piece in ClipStream(path, ClipSettings(4.0), mel)]
    waves = [piece.mono[None] for piece in pieces if piece.mono is not None]
    fused = make_fused(mel)
    start = time.process_time()
    fused(waves[0])
    print(f"{name}: {len(waves)} clips, compiled in {time.process_time() - start:.1f} CPU s")
    methods: dict[str, Callable[[torch.Tensor], Any]] = {
        "librosa": lambda wave: librosa_mel(wave[0].numpy(), mel), "mel_db": mel.mel_db, "fused": fused
    }  # fmt: skip
    for method in ("mel_db", "fused"):
        errors = [float((methods[method](wave)[0] - exact_db(mel, wave)).abs().max()) for wave in waves]
        print(f"  {method} is off float64 by {max(errors):.1e} dB at most")
    frames = len(waves) * mel.n_frames(waves[0].shape[1])
    taken: dict[str, list[float]] = {method: [] for method in methods}
    for turn in range(rounds + 1):
        for method, make in methods.items():
            start = time.process_time()
            for wave in waves:
                make(wave)
            if turn:
                taken[method].append((time.process_time() - start) / frames * 1e6)
    for method, seconds in taken.items():
        ratios = [b / a for a, b in zip(seconds, taken["librosa"], strict=True)]
        print(
            f"  {method:8s} {middle_and_range(seconds)} us a frame, librosa to it {middle_and_range(ratios)}"
        )


def middle_and_range(values: list[float]) -> str:
    """Format median and range for the tables."""
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def main() -> None:
    """Measure both mels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("hifi", "paper"):
        measure(name, options.audio, options.files, options.rounds)


if __name__ == "__main__":
    main()
