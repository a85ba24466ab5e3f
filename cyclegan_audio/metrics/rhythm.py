"""Detect onsets, tempo and beats in mels, and compare them between two clips.

Clips are (N, M, F) in dB; their onset strength is that of `audio.musical_features`.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HIHATS_ABOVE_HZ = 6000.0
MIN_INTERVAL_S = 0.024  # between two onsets: a roll in 64ths at 150 BPM
CONTEXT_S = 0.1  # on each side, for the local mean
MIN_STRENGTH_DB = 1.0  # above the local mean
MIN_RELATIVE_STRENGTH = 0.2  # of the clip's strong onsets
ROLL_INTERVAL_S = 0.095  # at most: 16ths at 160 BPM, and faster
TOLERANCE_S = 0.05  # of an onset, as in MIREX
BEAT_TOLERANCE_S = 0.07  # of a beat, as in mir_eval
BPM_RANGE = (50.0, 200.0)
PREFERRED_BPM = 110.0
BPM_SPREAD_OCTAVES = 0.9
TIGHTNESS = 100.0  # of the beat tracker, as in librosa
SAME_TEMPO = 0.04  # relative, as in MIREX


def detect_onsets(strength: Tensor, frame_s: float) -> list[np.ndarray]:
    """Detect onsets, in seconds, as peaks of each row of the onset strength (N, F)."""
    interval, context = (max(round(seconds / frame_s), 1) for seconds in (MIN_INTERVAL_S, CONTEXT_S))
    rows = strength[:, None]
    local_max = F.max_pool1d(rows, 2 * interval + 1, 1, interval)[:, 0]
    local_mean = F.avg_pool1d(rows, 2 * context + 1, 1, context, count_include_pad=False)[:, 0]
    strong = strength.quantile(0.98, dim=1, keepdim=True)
    threshold = local_mean + (MIN_RELATIVE_STRENGTH * strong).clamp_min(MIN_STRENGTH_DB)
    rising = strength > F.pad(strength, (1, 0))[:, :-1]  # only the start of a plateau
    peaks = (strength >= local_max) & (strength > threshold) & rising
    return [np.flatnonzero(row) * frame_s for row in peaks.cpu().numpy()]


def onset_rate(times_s: np.ndarray, duration_s: float) -> float:
    """Return the number of onsets per second."""
    return len(times_s) / duration_s


def roll_fraction(times_s: np.ndarray) -> float:
    """Return the fraction of intervals of at most `ROLL_INTERVAL_S`; 0 for fewer than two onsets."""
    return float((np.diff(times_s) <= ROLL_INTERVAL_S).mean()) if len(times_s) > 1 else 0.0


def f1_score(
    detected_s: Sequence[float] | np.ndarray, reference_s: Sequence[float] | np.ndarray, tolerance_s: float
) -> float:
    """Compute F1 of two rising lists of times, matched once within `tolerance_s`; 1 if both are empty."""
    if not len(detected_s) and not len(reference_s):
        return 1.0
    i = j = hits = 0
    while i < len(detected_s) and j < len(reference_s):
        difference = detected_s[i] - reference_s[j]
        if abs(difference) <= tolerance_s:
            hits, i, j = hits + 1, i + 1, j + 1
        elif difference < 0:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(detected_s) + len(reference_s))


def row_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Compute Pearson's correlation (N,) of the rows of two tensors (N, ...); 0 if a row is constant."""
    x, y = (t.flatten(1).double() - t.flatten(1).double().mean(1, keepdim=True) for t in (a, b))
    norm = x.norm(dim=1) * y.norm(dim=1)
    return ((x * y).sum(1) / norm.clamp_min(1e-9)).where(norm > 1e-9, 0.0)


def estimate_tempo_bpm(strength: Tensor, frame_s: float) -> Tensor:
    """Estimate the tempo (N,) at which the onset strength (N, F) repeats best (Ellis 2007, eq. 7).

    Clips too short for two beats of the fastest tempo get the preferred tempo.
    """
    n_frames = strength.shape[1]
    centred = (strength - strength.mean(1, keepdim=True)).double()
    power = torch.fft.rfft(centred, 2 * n_frames).abs().square()
    lags = torch.arange(
        max(math.floor(60 / BPM_RANGE[1] / frame_s), 1), math.ceil(60 / BPM_RANGE[0] / frame_s) + 1
    )
    lags = lags[lags < n_frames // 2]
    if not len(lags):
        return torch.full((len(strength),), PREFERRED_BPM, dtype=torch.float64)
    autocorrelation = torch.fft.irfft(power, 2 * n_frames)[:, lags]
    octaves = torch.log2(60 / (lags * frame_s) / PREFERRED_BPM)
    weighted = autocorrelation.clamp_min(0) * torch.exp(-0.5 * (octaves / BPM_SPREAD_OCTAVES).square())
    return 60 / (lags[weighted.argmax(1)] * frame_s)


def tempo_agrees(a_bpm: Tensor, b_bpm: Tensor) -> Tensor:
    """Return 1 where two tempi (N,) agree within 4 %, or one is twice the other, else 0."""
    octaves = torch.log2(a_bpm / b_bpm).abs()
    deviation = torch.minimum(octaves, (octaves - 1).abs())
    return (deviation <= math.log2(1 + SAME_TEMPO)).double()


def track_beats(strength: Tensor, bpm: Tensor, frame_s: float) -> list[np.ndarray]:
    """Track beats (s) in the onset strength (N, F) at tempo (N,) by dynamic programming (Ellis 2007)."""
    n_clips, n_frames = strength.shape
    period = (60 / bpm.double() / frame_s).clamp(1, n_frames)
    normalised = strength.double() / strength.double().std(1, keepdim=True).clamp_min(1e-9)
    max_lag = math.ceil(2 * float(period.max()))
    lags = torch.arange(1, max_lag + 1)
    cost = TIGHTNESS * torch.log(lags[None] / period[:, None]).square()
    cost = cost.where((lags[None] >= period[:, None] / 2) & (lags[None] <= 2 * period[:, None]), torch.inf)
    score = torch.zeros(n_clips, max_lag + n_frames, dtype=torch.float64)
    previous = torch.zeros(n_clips, n_frames, dtype=torch.long)
    for frame in range(n_frames):
        best, index = (score[:, frame : frame + max_lag].flip(1) - cost).max(1)
        score[:, max_lag + frame] = normalised[:, frame] + best
        previous[:, frame] = frame - lags[index]
    return [
        _backtrace(*row, frame_s)
        for row in zip(score[:, max_lag:].numpy(), previous.numpy(), period, strict=True)
    ]


def _backtrace(score: np.ndarray, previous: np.ndarray, period: Tensor, frame_s: float) -> np.ndarray:
    last = len(score) - max(round(float(period)), 1)
    frame = max(last, 0) + int(score[max(last, 0) :].argmax())
    path = []
    while frame >= 0:
        path.append(frame)
        frame = int(previous[frame])
    return np.array(path[::-1]) * frame_s
