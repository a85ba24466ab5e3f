"""Clips from downbeat to downbeat, found block by block in a stream: memory stays flat."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cyclegan_audio.audio import io
from cyclegan_audio.audio.resampling import Resampler

UNSTEADY = "no steady beat"
RATE, N_FFT, HOP, N_MELS = 22_050, 1024, 256, 128
LOW_HZ = 150.0  # kick and bass
CHROMA_HOP = 1024
PRIOR_BPM, PRIOR_OCTAVES = 80.0, 0.5  # beats as felt: music counted at 150 is taken at 75
TIGHTNESS = 100.0  # of librosa's tracker
BEATS_PER_BAR = 4
STEADY = 2.5  # onsets at the beats over their mean everywhere; measured in experiments/002_data
NEAR = 2  # frames around a beat
BLOCK_S, LONGEST_BAR_S = 60.0, 4.0
SAME_S = 0.05  # downbeats of two blocks that differ by less are one
LOUDEST = 2.0  # what lies beyond is damaged


class Span(NamedTuple):
    """A clip's start and length in seconds; `reason` why it is dropped unheard, or ""."""

    start_s: float
    length_s: float
    reason: str = ""


def bar_spans(
    path: Path, seconds: float, bars: int | None, overlap: float, skip_start_s: float
) -> Iterator[Span]:
    """Clips of `bars` whole bars of 4/4, or of as many as come nearest to `seconds`.

    Beats are found in blocks of a minute. A block without a steady beat gives spans with a reason.

    Raises:
        UserError: while iterating, where the file cannot be read.
    """
    next_s = skip_start_s
    longest_s = max(2 * seconds, LONGEST_BAR_S * (bars or 1)) + LONGEST_BAR_S
    for start_s, mono, is_last in _blocks(path, max(BLOCK_S, 4 * seconds), longest_s):
        end_s = start_s + len(mono) / RATE
        stop_s = end_s if is_last else end_s - longest_s
        found_s = downbeats_s(mono) + start_s
        if len(found_s) < 2:
            while next_s < stop_s and next_s + seconds <= end_s:
                yield Span(next_s, seconds, UNSTEADY)
                next_s += seconds
            continue
        n_bars = bars or max(1, round(seconds / float(np.median(np.diff(found_s)))))
        step = max(1, round(n_bars * (1 - overlap)))
        place = int(np.searchsorted(found_s, next_s - SAME_S))
        while place + n_bars < len(found_s) and found_s[place] < stop_s:
            start, end = float(found_s[place]), float(found_s[place + n_bars])
            yield Span(start, end - start)
            place += step
            next_s = float(found_s[place]) if place < len(found_s) else end


def downbeats_s(mono: np.ndarray) -> np.ndarray:
    """Seconds of the downbeats in (T,) at 22,050 Hz and of the last bar's end; none without a steady beat.

    Tempo and beats by librosa (D. Ellis, "Beat tracking by dynamic programming", 2007). Of the four phases of
    a bar the one counts whose beats have the strongest low onsets and the largest changes of chord.
    """
    import librosa

    if len(mono) < 2 * N_FFT:
        return np.zeros(0)
    power = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    mel_db = librosa.power_to_db(power)
    low = librosa.mel_frequencies(N_MELS, fmax=RATE / 2) < LOW_HZ
    onsets, low_onsets = (
        librosa.onset.onset_strength(S=part, sr=RATE, hop_length=HOP, center=False)
        for part in (mel_db, mel_db[low])
    )
    same: dict[str, Any] = {"onset_envelope": onsets, "sr": RATE, "hop_length": HOP}
    bpm = librosa.feature.tempo(**same, start_bpm=PRIOR_BPM, std_bpm=PRIOR_OCTAVES)
    _, beats = librosa.beat.beat_track(**same, bpm=bpm, tightness=TIGHTNESS, trim=False)
    if len(beats) < 2 * BEATS_PER_BAR or np.median(_around(onsets, beats)) < STEADY * onsets.mean():
        return np.zeros(0)
    strength = _standard(_around(low_onsets, beats)) + _standard(_chord_changes(mono, beats))
    first = int(np.argmax([strength[phase::BEATS_PER_BAR].mean() for phase in range(BEATS_PER_BAR)]))
    found = beats[first::BEATS_PER_BAR] * HOP / RATE
    bar_s = float(np.median(np.diff(beats))) * BEATS_PER_BAR * HOP / RATE
    is_whole = found[-1] + bar_s <= len(mono) / RATE + HOP / RATE
    return np.append(found, min(found[-1] + bar_s, len(mono) / RATE)) if is_whole else found


def _around(envelope: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """The largest value near each beat."""
    return np.array([envelope[max(0, beat - NEAR) : beat + NEAR + 1].max() for beat in beats])


def _chord_changes(mono: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """1 - cosine of the chroma of each beat and the one before; 0 for the first."""
    import librosa

    chroma = librosa.feature.chroma_stft(y=mono, sr=RATE, n_fft=4 * N_FFT, hop_length=CHROMA_HOP, tuning=0.0)
    places = np.minimum(np.round(beats * HOP / CHROMA_HOP).astype(int), chroma.shape[1] - 1)
    ends = np.append(places[1:], chroma.shape[1])
    means = [chroma[:, at : max(end, at + 1)].mean(1) for at, end in zip(places, ends, strict=True)]
    units = np.stack([mean / max(float(np.linalg.norm(mean)), 1e-9) for mean in means])
    return np.append(0.0, 1 - (units[1:] * units[:-1]).sum(1))


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _blocks(path: Path, block_s: float, beyond_s: float) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Start, mono samples at 22,050 Hz and whether it is the last.

    Each goes `beyond_s` beyond its own part, and begins a bar before it, as the first beat is easily missed.
    """
    resampler, held, start = None, torch.zeros(0), 0
    n_step, n_whole = round((block_s - LONGEST_BAR_S) * RATE), round((block_s + beyond_s) * RATE)
    for block in io.stream_blocks(path):
        resampler = resampler or Resampler(block.rate, RATE)
        mono = block.samples.mean(0).nan_to_num().clamp(-LOUDEST, LOUDEST)
        held = torch.cat([held, resampler.push(mono)])
        while len(held) > n_whole:
            yield start / RATE, held[:n_whole].numpy(), False
            held, start = held[n_step:].clone(), start + n_step
    if resampler is not None:
        last = resampler.finish()
        held = held if last is None else torch.cat([held, last])
        yield start / RATE, held.numpy(), True
