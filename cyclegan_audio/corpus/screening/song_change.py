"""Detect a change of song within a clip: a jump of timbre and rhythm."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.corpus.screening.features import HOP, MEL_BANDS, N_MFCC, ClipFeatures

STEP_S = 0.5
MIN_SIDE_STEPS = 8  # of music needed on either side
MFCC_FLOOR, SPREAD_FLOOR = 4.0, 1.0  # in dB², added to the variances
RHYTHM_LAGS_S = (0.19, 2.1)  # of the onset autocorrelation: from sixteenths to bars


@dataclasses.dataclass(frozen=True)
class Timbre:
    """Timbre and rhythm of a clip, kept until the end of its file.

    Attributes:
        steps: (N, 25) per half second: mean of MFCC 1 to 12 in dB, standard deviation of MFCC 0 to 12.
        flux: (F,) spectral flux: mean rise of the mel in dB from each frame to the next.
        rate_hz: frames per second.
    """

    steps: np.ndarray
    flux: np.ndarray
    rate_hz: float


def measure_timbre(features: ClipFeatures) -> Timbre:
    """Compute timbre and rhythm of a clip."""
    mel_db = features.mel_db
    dct = torchaudio_functional().create_dct(N_MFCC, MEL_BANDS, "ortho")
    mfcc = (mel_db.T @ dct).numpy()
    rate_hz = features.rate / HOP
    n_steps = max(1, round(len(mfcc) / rate_hz / STEP_S))
    parts = np.array_split(mfcc, n_steps)
    steps = np.stack([np.concatenate([part.mean(0)[1:], part.std(0)]) for part in parts])
    flux = mel_db.diff(dim=1).clamp_min(0).mean(0).numpy()
    n_missing = round(len(features.mono) / HOP) - len(flux)  # up to the start of the next clip
    fill = np.full(n_missing, flux.mean() if len(flux) else 0.0)
    return Timbre(steps, np.concatenate([flux, fill]), rate_hz)


@dataclasses.dataclass(frozen=True)
class SongChange:
    """Rejects clips with a jump of timbre and rhythm.

    Attributes:
        distance: largest allowed distance of the music before and after a point in a clip: log(1 + mean ratio
            of squared difference of means to variance) of timbre, plus 1 - correlation of the onset
            autocorrelations.
        side_s: length of music compared on either side, less at the ends of a file.
    """

    reason = "change of song"
    enabled: bool = True
    distance: float = 1.5
    side_s: float = 8.0

    def change_distances(self, starts_s: Sequence[float], clips: Sequence[Timbre]) -> np.ndarray:
        """Return time in seconds and distance at each half second, (N, 2); clips are sorted by start."""
        if not clips:
            return np.zeros((0, 2))
        times, steps, flux = _concatenate(starts_s, clips)
        side = round(self.side_s / STEP_S)
        distances = [
            (times[step], _distance(steps, flux, step, side, clips[0].rate_hz))
            for step in range(MIN_SIDE_STEPS, len(steps) - MIN_SIDE_STEPS + 1)
        ]
        return np.array(distances).reshape(-1, 2)

    def rejects(
        self, starts_s: Sequence[float], durations_s: Sequence[float], clips: Sequence[Timbre]
    ) -> list[bool]:
        """Return for each clip whether a change lies within it."""
        changes = self.change_distances(starts_s, clips)
        at_s = changes[changes[:, 1] > self.distance, 0]
        return [
            bool(((at_s > start) & (at_s < start + length)).any())
            for start, length in zip(starts_s, durations_s, strict=True)
        ]


def _concatenate(
    starts_s: Sequence[float], clips: Sequence[Timbre]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Concatenate half seconds of clips, without overlaps: their starts, timbre (N, 25) and flux."""
    times, steps, flux = [], [], []
    end_s = -np.inf
    for start_s, clip in zip(starts_s, clips, strict=True):
        parts = np.array_split(clip.flux, len(clip.steps))
        for number, part in enumerate(parts):
            at_s = start_s + number * STEP_S
            if at_s >= end_s - STEP_S / 2:
                times.append(at_s)
                steps.append(clip.steps[number])
                flux.append(part)
                end_s = at_s + STEP_S
    return np.array(times), np.array(steps), flux


def _distance(steps: np.ndarray, flux: list[np.ndarray], step: int, side: int, rate_hz: float) -> float:
    left, right = slice(max(0, step - side), step), slice(step, step + side)
    variance = (steps[left].var(0) + steps[right].var(0)) / 2
    floor = np.where(np.arange(steps.shape[1]) < N_MFCC - 1, MFCC_FLOOR, SPREAD_FLOOR)
    jump = (steps[left].mean(0) - steps[right].mean(0)) ** 2 / (variance + floor)
    rhythms = [_onset_autocorrelation(np.concatenate(flux[part]), rate_hz) for part in (left, right)]
    return float(np.log1p(jump.mean()) + 1 - _correlation(*rhythms))


def _onset_autocorrelation(flux: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the autocorrelation of the spectral flux at lags of 0.19 to 2.1 s."""
    centred = flux - flux.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    first, last = (round(lag_s * rate_hz) for lag_s in RHYTHM_LAGS_S)
    return np.fft.irfft(spectrum)[first:last]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    n = min(len(one), len(other))
    a, b = one[:n] - one[:n].mean(), other[:n] - other[:n].mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 1.0
