"""Change of song: a jump of timbre and tempo between the music before and after."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.corpus.screening.features import HOP, MEL_BANDS, N_MFCC, ClipFeatures

STEP_S = 0.5
MIN_SIDE = 8  # steps of music needed on either side
MFCC_FLOOR, SPREAD_FLOOR = 4.0, 1.0  # variances in dB² below which a difference means nothing
LAGS_S = (0.19, 2.1)  # of the rhythm's autocorrelation: from sixteenths to bars


@dataclasses.dataclass(frozen=True)
class Timbre:
    """What is kept of a clip until its file has ended.

    Attributes:
        steps: (N, 25) for each half second: mean of MFCC 1 to 12 (dB), spread in time of MFCC 0 to 12.
        flux: (F,) mean rise of the mel in dB from each frame to the next.
        rate_hz: frames a second.
    """

    steps: np.ndarray
    flux: np.ndarray
    rate_hz: float


def timbre(analysis: ClipFeatures) -> Timbre:
    """Timbre and rhythm of a clip."""
    mel_db = analysis.mel_db
    dct = torchaudio_functional().create_dct(N_MFCC, MEL_BANDS, "ortho")
    mfcc = (mel_db.T @ dct).numpy()
    rate_hz = analysis.rate / HOP
    n_steps = max(1, round(len(mfcc) / rate_hz / STEP_S))
    parts = np.array_split(mfcc, n_steps)
    steps = np.stack([np.concatenate([part.mean(0)[1:], part.std(0)]) for part in parts])
    rises = mel_db.diff(dim=1).clamp_min(0).mean(0).numpy()
    n_lost = round(len(analysis.mono) / HOP) - len(rises)  # where the next clip begins
    fill = np.full(n_lost, rises.mean() if len(rises) else 0.0)
    return Timbre(steps, np.concatenate([rises, fill]), rate_hz)


@dataclasses.dataclass(frozen=True)
class SongChange:
    """A jump of timbre and tempo.

    Attributes:
        distance: clips with a point where timbre and rhythm differ by more than this are dropped. Timbre
            counts log(1 + squared difference of means to mean variance), rhythm 1 - correlation of the
            onsets' autocorrelation.
        side_s: how much music is compared on either side, less at the ends of a file.
    """

    reason = "change of song"
    enabled: bool = True
    distance: float = 1.5
    side_s: float = 8.0

    def changes_s(self, starts_s: Sequence[float], clips: Sequence[Timbre]) -> np.ndarray:
        """Time and distance of each half second, (N, 2); clips come in the order of time."""
        if not clips:
            return np.zeros((0, 2))
        times, steps, flux = _joined(starts_s, clips)
        side = round(self.side_s / STEP_S)
        found = [
            (times[at], _distance(steps, flux, at, side, clips[0].rate_hz))
            for at in range(MIN_SIDE, len(steps) - MIN_SIDE + 1)
        ]
        return np.array(found).reshape(-1, 2)

    def rejects(
        self, starts_s: Sequence[float], durations_s: Sequence[float], clips: Sequence[Timbre]
    ) -> list[bool]:
        """For each clip whether a change lies within it."""
        changes = self.changes_s(starts_s, clips)
        at_s = changes[changes[:, 1] > self.distance, 0]
        return [
            bool(((at_s > start) & (at_s < start + length)).any())
            for start, length in zip(starts_s, durations_s, strict=True)
        ]


def _joined(
    starts_s: Sequence[float], clips: Sequence[Timbre]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Start of each half second, its timbre (N, 25) and flux; what a clip repeats of the last is left out."""
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


def _distance(steps: np.ndarray, flux: list[np.ndarray], at: int, side: int, rate_hz: float) -> float:
    left, right = slice(max(0, at - side), at), slice(at, at + side)
    variance = (steps[left].var(0) + steps[right].var(0)) / 2
    floor = np.where(np.arange(steps.shape[1]) < N_MFCC - 1, MFCC_FLOOR, SPREAD_FLOOR)
    jump = (steps[left].mean(0) - steps[right].mean(0)) ** 2 / (variance + floor)
    rhythms = [_rhythm(np.concatenate(flux[part]), rate_hz) for part in (left, right)]
    return float(np.log1p(jump.mean()) + 1 - _correlation(*rhythms))


def _rhythm(flux: np.ndarray, rate_hz: float) -> np.ndarray:
    """Autocorrelation of onsets over lags of 0.19 to 2.1 s."""
    centred = flux - flux.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    first, last = (round(lag_s * rate_hz) for lag_s in LAGS_S)
    return np.fft.irfft(spectrum)[first:last]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    n = min(len(one), len(other))
    a, b = one[:n] - one[:n].mean(), other[:n] - other[:n].mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 1.0
