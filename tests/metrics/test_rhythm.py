"""Test onsets, tempo and beats on signals whose events are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.metrics.rhythm import (
    BEAT_TOLERANCE_S,
    HIHATS_ABOVE_HZ,
    TOLERANCE_S,
    detect_onsets,
    estimate_tempo_bpm,
    f1_score,
    onset_rate,
    roll_fraction,
    row_correlation,
    tempo_agrees,
    track_beats,
)

Bursts = Callable[..., Tensor]
EIGHTHS = np.arange(0.2, 3.9, 0.25)  # 120 BPM


def test_detect_onsets_finds_each_burst_once(any_mel: MelSpectrogram, bursts: Bursts) -> None:
    mel_db = any_mel.mel_db(bursts(EIGHTHS, any_mel.sample_rate)[None])
    for above_hz in (0.0, HIHATS_ABOVE_HZ):
        detected = detect_onsets(onset_strength(mel_db, any_mel, above_hz), any_mel.frame_s)[0]
        assert len(detected) == len(EIGHTHS)
        assert np.abs(detected - EIGHTHS).max() < 0.03
        assert onset_rate(detected, 4.0) == len(EIGHTHS) / 4


def test_roll_fraction_distinguishes_rolls_from_eighths(any_mel: MelSpectrogram, bursts: Bursts) -> None:
    rolling = np.concatenate([EIGHTHS[:8], np.arange(2.2, 3.9, 60 / 140 / 6)])
    mel_db = any_mel.mel_db(torch.stack([bursts(t, any_mel.sample_rate) for t in (EIGHTHS, rolling)]))
    plain, roll = detect_onsets(onset_strength(mel_db, any_mel, HIHATS_ABOVE_HZ), any_mel.frame_s)
    assert roll_fraction(plain) == 0
    missed = 0.1 if any_mel.frame_s < 0.02 else 0.4  # three frames apart, strokes merge
    assert roll_fraction(rolling) - missed < roll_fraction(roll) <= roll_fraction(rolling) + 0.1


def test_detect_onsets_finds_none_in_noise_and_silence(any_mel: MelSpectrogram) -> None:
    generator = torch.Generator().manual_seed(0)
    rate = any_mel.sample_rate
    noise = 0.1 * torch.randn(4 * rate, generator=generator)
    mel_db = any_mel.mel_db(torch.stack([noise, torch.zeros(4 * rate)]))[..., 8:-8]
    for detected in detect_onsets(onset_strength(mel_db, any_mel), any_mel.frame_s):
        assert len(detected) <= 1


def test_detect_onsets_ignores_inaudible_hihats(hifi: MelSpectrogram, bursts: Bursts) -> None:
    kicks = 0.5 * torch.sin(2 * torch.pi * 60 * torch.arange(4 * 44100) / 44100)
    mel_db = hifi.mel_db((kicks + bursts(EIGHTHS, 44100, level=1e-5))[None])[..., 8:-8]
    assert len(detect_onsets(onset_strength(mel_db, hifi, HIHATS_ABOVE_HZ), hifi.frame_s)[0]) == 0


def test_f1_score_by_hand() -> None:
    assert f1_score([1.0, 2.0, 3.0], [1.04, 2.5, 3.0], TOLERANCE_S) == pytest.approx(4 / 6)
    assert f1_score([1.0, 1.02], [1.01], TOLERANCE_S) == pytest.approx(2 / 3)  # each is matched once
    assert f1_score([], [], TOLERANCE_S) == 1
    assert f1_score([], [1.0], TOLERANCE_S) == 0


@pytest.mark.parametrize("bpm", [70.0, 96.0, 140.0])
def test_tempo_and_beats_of_bursts(any_mel: MelSpectrogram, bursts: Bursts, bpm: float) -> None:
    reference_s = np.arange(0.3, 3.95, 60 / bpm)
    strength = onset_strength(any_mel.mel_db(bursts(reference_s, any_mel.sample_rate)[None]), any_mel)
    tempo_bpm = estimate_tempo_bpm(strength, any_mel.frame_s)
    assert tempo_agrees(tempo_bpm, torch.tensor([bpm])).item() == 1
    detected = track_beats(strength, torch.tensor([bpm]), any_mel.frame_s)[0]
    assert f1_score(detected[detected > 0.2], reference_s, BEAT_TOLERANCE_S) > 0.9


def test_tempo_agrees_up_to_octaves() -> None:
    a = torch.tensor([100.0, 100.0, 100.0, 100.0])
    assert tempo_agrees(a, torch.tensor([103.0, 51.0, 140.0, 110.0])).tolist() == [1, 1, 0, 0]


def pulses(*frames: int, count: int = 400, height: float = 5.0) -> Tensor:
    strength = torch.zeros(1, count)
    strength[0, list(frames)] = height
    return strength


@pytest.mark.parametrize(
    ("period", "bpm"),
    [(50, 120.0), (35, 60 / 0.7), (70, 60 / 0.7), (24, 125.0), (90, 60 / 0.9)],  # frames of 10 ms
)
def test_estimate_tempo_prefers_common_tempi(period: int, bpm: float) -> None:
    strength = pulses(*range(0, 2000, period), count=2000)
    assert estimate_tempo_bpm(strength, 0.01).item() == pytest.approx(bpm)
    assert estimate_tempo_bpm(3 * strength + 1, 0.01).item() == pytest.approx(bpm)


@pytest.mark.parametrize(("period", "bpm"), [(31, 60 / 0.31), (119, 60 / 1.19)])
def test_estimate_tempo_finds_single_periods_in_its_range(period: int, bpm: float) -> None:
    strength = pulses(100, 100 + period)
    assert estimate_tempo_bpm(strength, 0.01).item() == pytest.approx(bpm)


@pytest.mark.parametrize("period", [100, 119])
def test_estimate_tempo_finds_periods_up_to_half_a_clip(period: int) -> None:
    strength = pulses(20, 20 + period, count=240)
    assert estimate_tempo_bpm(strength, 0.01).item() == pytest.approx(6000 / period)


def test_track_beats_of_pulses_by_hand() -> None:
    strength = pulses(*range(20, 400, 50))
    assert track_beats(strength, torch.tensor([120.0]), 0.01)[0][-8:].tolist() == pytest.approx(
        [0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2, 3.7]
    )
    gap = pulses(*(n for n in range(20, 400, 50) if n != 220))
    assert 2.2 in [
        round(t, 2) for t in track_beats(gap, torch.tensor([120.0]), 0.01)[0]
    ]  # beats continue over gaps
    late = pulses(*(n + 5 * (n == 220) for n in range(20, 400, 50)))
    assert 2.25 in [
        round(t, 2) for t in track_beats(late, torch.tensor([120.0]), 0.01)[0]
    ]  # and follow a late pulse
    assert track_beats(pulses(0, count=10), torch.tensor([30.0]), 0.1)[0].tolist() == [
        0.0
    ]  # the period exceeds the clip


@pytest.mark.parametrize(
    ("strength", "actual"),
    [
        (pulses(100, 102), [1.02]),  # two frames apart: only the larger remains
        (pulses(100, 103), [1.0, 1.03]),
        (pulses(100, 200, height=0.9), []),  # below 1 dB
        (pulses(100, 200, height=1.2), [1.0, 2.0]),
    ],
)
def test_detect_onsets_by_hand(strength: Tensor, actual: list[float]) -> None:
    strength = strength.clone()
    strength[0, 102] *= 1.1
    assert detect_onsets(strength, 0.01)[0].tolist() == pytest.approx(actual)


def test_detect_onsets_thresholds_and_plateaus() -> None:
    flat = pulses(100, 101, 102)
    assert detect_onsets(flat, 0.01)[0].tolist() == pytest.approx([1.0])
    weak = pulses(*range(0, 400, 40), height=10.0)
    weak[0, [60, 140]] = torch.tensor([1.9, 2.2])  # the threshold is a fifth of the strong onsets: 2
    assert sorted(set(detect_onsets(weak, 0.01)[0].round(2)) & {0.6, 1.4}) == [1.4]
    noisy = torch.full((1, 400), 4.0)
    noisy[0, [100, 300]] = torch.tensor([4.9, 5.2])  # 1 dB above the mean of 21 frames, 4 + 0.06
    assert detect_onsets(noisy, 0.01)[0].tolist() == pytest.approx([3.0])


def test_rates_fractions_and_f1_by_hand() -> None:
    assert roll_fraction(np.array([0.0, 0.095, 0.2, 0.29])) == pytest.approx(2 / 3)
    assert roll_fraction(np.array([1.0])) == roll_fraction(np.array([])) == 0
    assert roll_fraction(np.array([0.0, 0.05])) == 1
    assert onset_rate(np.arange(5.0), 2.0) == 2.5
    assert f1_score([1.0], [1.05], 0.051) == 1
    assert f1_score([1.0], [1.06], 0.05) == 0
    assert f1_score([2.0, 3.0], [1.0, 2.0], 0.05) == f1_score([1.0, 2.0], [2.0, 3.0], 0.05) == 0.5
    assert f1_score([1.0], [], 0.05) == 0


def test_tempo_agrees_within_four_per_cent() -> None:
    a = torch.full((4,), 100.0)
    assert tempo_agrees(a, torch.tensor([103.9, 104.1, 51.9, 52.1])).tolist() == [1, 0, 1, 0]
    assert tempo_agrees(a[:3], torch.tensor([96.2, 95.9, 400.0])).tolist() == [1, 0, 0]


def test_onsets_of_frames_longer_than_their_interval_are_compared_with_both_neighbours() -> None:
    """Frames of 0.2 s: the context is three frames too, whose mean is 2 at the largest, and 3.3 beside it."""
    strength = torch.tensor([[0.0, 0, 6, 0, 0, 4, 6, 0, 0, 4, 0, 5, 0, 0]])
    assert detect_onsets(strength, 0.2)[0].tolist() == pytest.approx([0.4, 1.2, 1.8, 2.2])


def test_row_correlation_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert row_correlation(a, -a).tolist() == pytest.approx([-1.0, 0.0])
