"""Onsets, tempo and beats from mels alone: what was struck when, and whether two clips agree on it.

Clips come as (N, M, F) in dB; levels below the clip's loudest by more than `RANGE_DB` do not count, so that
nobody's inaudible noise is taken for a hi-hat.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram

RANGE_DB = 70.0
HIHATS_ABOVE_HZ = 6000.0
RISE_S = 0.022  # from before an attack to its top
APART_S = 0.024  # two onsets are at least so far apart: a roll in 64ths at 150 BPM
LOCAL_S = 0.1
MIN_RISE_DB = 1.0  # mean over bands, above what is usual around
MIN_SHARE = 0.2  # of the rise of the clip's strong onsets
ROLL_BELOW_S = 0.095  # intervals of 16ths at 160 BPM, and faster
TOLERANCE_S = 0.05  # of an onset, as in MIREX
BEAT_TOLERANCE_S = 0.07  # of a beat, as in mir_eval
BPM_RANGE = (50.0, 200.0)
USUAL_BPM = 110.0
BPM_SPREAD_OCTAVES = 0.9
TIGHTNESS = 100.0  # of the beat tracker, as in librosa
SAME_TEMPO = 0.04  # relative, as in MIREX


def audible_db(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Turn (N, M, F) into levels by Hz, whatever the filters sum to, at most `RANGE_DB` under the loudest."""
    gain_db = 20 * mel.filter_bank(mels_db.device).sum(1).clamp_min(1e-9).log10()[:, None]
    density_db = mels_db - gain_db
    return density_db.maximum(density_db.amax((1, 2), keepdim=True) - RANGE_DB)


def novelty(mels_db: Tensor, mel: MelSpectrogram, above_hz: float = 0.0) -> Tensor:
    """Average the rise (N, F) in dB of bands above `above_hz`, from `RISE_S` before to each frame.

    Raises:
        ValueError: no band lies above `above_hz`.
    """
    bands = mel.band_hz >= above_hz
    if not bands.any():
        raise ValueError(f"no mel band lies above {above_hz:.0f} Hz")
    audible = audible_db(mels_db, mel)[:, bands.to(mels_db.device)]
    lag = max(round(RISE_S / mel.frame_s), 1)
    return F.pad((audible[..., lag:] - audible[..., :-lag]).clamp_min(0).mean(1), (lag, 0))


def onsets(rise: Tensor, frame_s: float) -> list[np.ndarray]:
    """Find the times in seconds of the peaks of each row of `novelty` (N, F)."""
    apart, local = max(round(APART_S / frame_s), 1), max(round(LOCAL_S / frame_s), 1)
    rows = rise[:, None]
    top = F.max_pool1d(rows, 2 * apart + 1, 1, apart)[:, 0]
    usual = F.avg_pool1d(rows, 2 * local + 1, 1, local, count_include_pad=False)[:, 0]
    strong = rise.quantile(0.98, dim=1, keepdim=True)
    least = usual + (MIN_SHARE * strong).clamp_min(MIN_RISE_DB)
    first = rise > F.pad(rise, (1, 0))[:, :-1]  # of a flat top, its start
    peaks = (rise >= top) & (rise > least) & first
    return [np.flatnonzero(row) * frame_s for row in peaks.cpu().numpy()]


def onset_rate(times_s: np.ndarray, duration_s: float) -> float:
    """Count onsets a second."""
    return len(times_s) / duration_s


def roll_share(times_s: np.ndarray) -> float:
    """Return the share of intervals of at most `ROLL_BELOW_S`; 0 with fewer than two onsets."""
    return float((np.diff(times_s) <= ROLL_BELOW_S).mean()) if len(times_s) > 1 else 0.0


def f1(
    found_s: Sequence[float] | np.ndarray, true_s: Sequence[float] | np.ndarray, tolerance_s: float
) -> float:
    """Compute F1 of two rising lists of times, each matched once within `tolerance_s`; 1 for no times."""
    if not len(found_s) and not len(true_s):
        return 1.0
    i = j = hits = 0
    while i < len(found_s) and j < len(true_s):
        difference = found_s[i] - true_s[j]
        if abs(difference) <= tolerance_s:
            hits, i, j = hits + 1, i + 1, j + 1
        elif difference < 0:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(found_s) + len(true_s))


def row_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Correlate the rows of two tensors (N, ...) by Pearson, (N,); 0 where a row is constant."""
    x, y = (t.flatten(1).double() - t.flatten(1).double().mean(1, keepdim=True) for t in (a, b))
    norm = x.norm(dim=1) * y.norm(dim=1)
    return ((x * y).sum(1) / norm.clamp_min(1e-9)).where(norm > 1e-9, 0.0)


def tempo_bpm(rise: Tensor, frame_s: float) -> Tensor:
    """Find the tempo (N,) at which `novelty` (N, F) repeats best, usual ones first (Ellis 2007, eq. 7)."""
    n_frames = rise.shape[1]
    centred = (rise - rise.mean(1, keepdim=True)).double()
    power = torch.fft.rfft(centred, 2 * n_frames).abs().square()
    lags = torch.arange(
        max(math.floor(60 / BPM_RANGE[1] / frame_s), 1), math.ceil(60 / BPM_RANGE[0] / frame_s) + 1
    )
    lags = lags[lags < n_frames // 2]
    repeats = torch.fft.irfft(power, 2 * n_frames)[:, lags]
    octaves = torch.log2(60 / (lags * frame_s) / USUAL_BPM)
    weighted = repeats.clamp_min(0) * torch.exp(-0.5 * (octaves / BPM_SPREAD_OCTAVES).square())
    return 60 / (lags[weighted.argmax(1)] * frame_s)


def tempo_agrees(a_bpm: Tensor, b_bpm: Tensor) -> Tensor:
    """Return 1 where two tempi are the same within 4 %, or one is twice the other, else 0: (N,)."""
    octaves = torch.log2(a_bpm / b_bpm).abs()
    off = torch.minimum(octaves, (octaves - 1).abs())
    return (off <= math.log2(1 + SAME_TEMPO)).double()


def beats(rise: Tensor, bpm: Tensor, frame_s: float) -> list[np.ndarray]:
    """Track beats in s of each row of `novelty` (N, F) at tempo (N,) by dynamic programming (Ellis 2007)."""
    n_clips, n_frames = rise.shape
    period = (60 / bpm.double() / frame_s).clamp(1, n_frames)
    strength = rise.double() / rise.double().std(1, keepdim=True).clamp_min(1e-9)
    reach = math.ceil(2 * float(period.max()))
    lags = torch.arange(1, reach + 1)
    cost = TIGHTNESS * torch.log(lags[None] / period[:, None]).square()
    cost = cost.where((lags[None] >= period[:, None] / 2) & (lags[None] <= 2 * period[:, None]), torch.inf)
    score = torch.zeros(n_clips, reach + n_frames, dtype=torch.float64)
    before = torch.zeros(n_clips, n_frames, dtype=torch.long)
    for frame in range(n_frames):
        best, place = (score[:, frame : frame + reach].flip(1) - cost).max(1)
        score[:, reach + frame] = strength[:, frame] + best
        before[:, frame] = frame - lags[place]
    return [
        _backtrace(*row, frame_s)
        for row in zip(score[:, reach:].numpy(), before.numpy(), period, strict=True)
    ]


def _backtrace(score: np.ndarray, before: np.ndarray, period: Tensor, frame_s: float) -> np.ndarray:
    last = len(score) - max(round(float(period)), 1)
    frame = max(last, 0) + int(score[max(last, 0) :].argmax())
    path = []
    while frame >= 0:
        path.append(frame)
        frame = int(before[frame])
    return np.array(path[::-1]) * frame_s
