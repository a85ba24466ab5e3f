"""Find downbeats block by block in a stream, and cut clips of whole bars at them (`clip.align=beats`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cyclegan_audio.audio import io
from cyclegan_audio.audio.resampling import Resampler

NO_STEADY_BEAT = "no steady beat"
SAMPLE_RATE, N_FFT, HOP, N_MELS = 22_050, 1024, 256, 128
LOW_HZ = 150.0  # kick and bass
CHROMA_HOP = 1024
PRIOR_BPM, PRIOR_OCTAVES = 80.0, 0.5  # tempo as felt: music counted at 150 BPM is felt at 75
TIGHTNESS = 100.0  # of librosa's beat tracker
BEATS_PER_BAR = 4
MIN_ONSET_RATIO = 2.5  # median onset strength at beats / mean; measured in experiments/002_data
BEAT_TOLERANCE_FRAMES = 2  # on either side of a beat
BLOCK_S, LONGEST_BAR_S = 60.0, 4.0
MERGE_TOLERANCE_S = 0.05  # downbeats of two blocks closer than this are one
MAX_AMPLITUDE = 2.0  # larger samples are damaged


class ClipInterval(NamedTuple):
    """Start and length of a clip in seconds; `reason` why it is dropped before it is cut, or ""."""

    start_s: float
    length_s: float
    reason: str = ""


def bar_intervals(
    path: Path, seconds: float, bars: int | None, overlap: float, skip_start_s: float
) -> Iterator[ClipInterval]:
    """Yield clips of `bars` bars of 4/4; with None of as many bars as come closest to `seconds`.

    Beats are tracked in blocks of a minute. A block without a steady beat yields clips with a reason.

    Raises:
        UserError: while iterating, if the file cannot be read.
    """
    next_s = skip_start_s
    longest_s = max(2 * seconds, LONGEST_BAR_S * (bars or 1)) + LONGEST_BAR_S
    for start_s, mono, is_last in _blocks(path, max(BLOCK_S, 4 * seconds), longest_s):
        end_s = start_s + len(mono) / SAMPLE_RATE
        stop_s = end_s if is_last else end_s - longest_s
        downbeats = downbeats_s(mono) + start_s
        if len(downbeats) < 2:
            while next_s < stop_s and next_s + seconds <= end_s:
                yield ClipInterval(next_s, seconds, NO_STEADY_BEAT)
                next_s += seconds
            continue
        n_bars = bars or max(1, round(seconds / float(np.median(np.diff(downbeats)))))
        step = max(1, round(n_bars * (1 - overlap)))
        index = int(np.searchsorted(downbeats, next_s - MERGE_TOLERANCE_S))
        while index + n_bars < len(downbeats) and downbeats[index] < stop_s:
            start, end = float(downbeats[index]), float(downbeats[index + n_bars])
            yield ClipInterval(start, end - start)
            index += step
            next_s = float(downbeats[index]) if index < len(downbeats) else end


def downbeats_s(mono: np.ndarray) -> np.ndarray:
    """Return the times in seconds of downbeats in (T,) at 22,050 Hz, and of the last bar's end.

    Returns nothing without a steady beat. Tempo and beats are librosa's (D. Ellis, "Beat tracking by dynamic
    programming", 2007). Of the four phases of a bar the downbeat is the one with the strongest low onsets and
    the largest chord changes.
    """
    import librosa

    if len(mono) < 2 * N_FFT:
        return np.zeros(0)
    power = librosa.feature.melspectrogram(y=mono, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    mel_db = librosa.power_to_db(power)
    low = librosa.mel_frequencies(N_MELS, fmax=SAMPLE_RATE / 2) < LOW_HZ
    onsets, low_onsets = (
        librosa.onset.onset_strength(S=part, sr=SAMPLE_RATE, hop_length=HOP, center=False)
        for part in (mel_db, mel_db[low])
    )
    onset_settings: dict[str, Any] = {"onset_envelope": onsets, "sr": SAMPLE_RATE, "hop_length": HOP}
    bpm = librosa.feature.tempo(**onset_settings, start_bpm=PRIOR_BPM, std_bpm=PRIOR_OCTAVES)
    _, beats = librosa.beat.beat_track(**onset_settings, bpm=bpm, tightness=TIGHTNESS, trim=False)
    if (
        len(beats) < 2 * BEATS_PER_BAR
        or np.median(_peak_near_beats(onsets, beats)) < MIN_ONSET_RATIO * onsets.mean()
    ):
        return np.zeros(0)
    strength = _standardise(_peak_near_beats(low_onsets, beats)) + _standardise(_chord_changes(mono, beats))
    first = int(np.argmax([strength[phase::BEATS_PER_BAR].mean() for phase in range(BEATS_PER_BAR)]))
    downbeats = beats[first::BEATS_PER_BAR] * HOP / SAMPLE_RATE
    bar_s = float(np.median(np.diff(beats))) * BEATS_PER_BAR * HOP / SAMPLE_RATE
    is_whole = downbeats[-1] + bar_s <= len(mono) / SAMPLE_RATE + HOP / SAMPLE_RATE
    return (
        np.append(downbeats, min(downbeats[-1] + bar_s, len(mono) / SAMPLE_RATE)) if is_whole else downbeats
    )


def _peak_near_beats(envelope: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Return the largest value near each beat."""
    return np.array(
        [
            envelope[max(0, beat - BEAT_TOLERANCE_FRAMES) : beat + BEAT_TOLERANCE_FRAMES + 1].max()
            for beat in beats
        ]
    )


def _chord_changes(mono: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Return 1 - cosine similarity of each beat's chroma to that of the beat before; 0 for the first."""
    import librosa

    chroma = librosa.feature.chroma_stft(
        y=mono, sr=SAMPLE_RATE, n_fft=4 * N_FFT, hop_length=CHROMA_HOP, tuning=0.0
    )
    frames = np.minimum(np.round(beats * HOP / CHROMA_HOP).astype(int), chroma.shape[1] - 1)
    ends = np.append(frames[1:], chroma.shape[1])
    means = [chroma[:, at : max(end, at + 1)].mean(1) for at, end in zip(frames, ends, strict=True)]
    units = np.stack([mean / max(float(np.linalg.norm(mean)), 1e-9) for mean in means])
    return np.append(0.0, 1 - (units[1:] * units[:-1]).sum(1))


def _standardise(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _blocks(path: Path, block_s: float, overlap_s: float) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Yield blocks: start in seconds, mono samples at 22,050 Hz, and whether it is the last block.

    Each block extends `overlap_s` past its own part, and starts a bar before it, since a tracker often misses
    the first beat.
    """
    resampler, pending, start = None, torch.zeros(0), 0
    n_step, n_block = (
        round((block_s - LONGEST_BAR_S) * SAMPLE_RATE),
        round((block_s + overlap_s) * SAMPLE_RATE),
    )
    for block in io.stream_blocks(path):
        resampler = resampler or Resampler(block.rate, SAMPLE_RATE)
        mono = block.samples.mean(0).nan_to_num().clamp(-MAX_AMPLITUDE, MAX_AMPLITUDE)
        pending = torch.cat([pending, resampler.push(mono)])
        while len(pending) > n_block:
            yield start / SAMPLE_RATE, pending[:n_block].numpy(), False
            pending, start = pending[n_step:].clone(), start + n_step
    if resampler is not None:
        last = resampler.finish()
        pending = pending if last is None else torch.cat([pending, last])
        yield start / SAMPLE_RATE, pending.numpy(), True
