"""Onsets, tempo and beats of music whose events are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.metrics.onsets import (
    BEAT_TOLERANCE_S,
    HATS_ABOVE_HZ,
    TOLERANCE_S,
    beats,
    f1,
    novelty,
    onset_rate,
    onsets,
    roll_share,
    row_correlation,
    tempo_agrees,
    tempo_bpm,
)

Bursts = Callable[..., Tensor]
EIGHTHS = np.arange(0.2, 3.9, 0.25)  # 120 BPM


def test_every_stroke_is_found_once(any_mel: MelSettings, bursts: Bursts) -> None:
    mel_db = any_mel.mel_db(bursts(EIGHTHS, any_mel.sample_rate)[None])
    for above_hz in (0.0, HATS_ABOVE_HZ):
        found = onsets(novelty(mel_db, any_mel, above_hz), any_mel.frame_s)[0]
        assert len(found) == len(EIGHTHS)
        assert np.abs(found - EIGHTHS).max() < 0.03
        assert onset_rate(found, 4.0) == len(EIGHTHS) / 4


def test_a_roll_of_triplets_is_told_from_eighths(any_mel: MelSettings, bursts: Bursts) -> None:
    rolling = np.concatenate([EIGHTHS[:8], np.arange(2.2, 3.9, 60 / 140 / 6)])
    mel_db = any_mel.mel_db(torch.stack([bursts(t, any_mel.sample_rate) for t in (EIGHTHS, rolling)]))
    plain, roll = onsets(novelty(mel_db, any_mel, HATS_ABOVE_HZ), any_mel.frame_s)
    assert roll_share(plain) == 0
    missed = 0.1 if any_mel.frame_s < 0.02 else 0.4  # three frames apart they run into each other
    assert roll_share(rolling) - missed < roll_share(roll) <= roll_share(rolling) + 0.1


def test_steady_noise_and_silence_have_no_onsets(any_mel: MelSettings) -> None:
    generator = torch.Generator().manual_seed(0)
    rate = any_mel.sample_rate
    noise = 0.1 * torch.randn(4 * rate, generator=generator)
    mel_db = any_mel.mel_db(torch.stack([noise, torch.zeros(4 * rate)]))[..., 8:-8]
    for found in onsets(novelty(mel_db, any_mel), any_mel.frame_s):
        assert len(found) <= 1


def test_hats_below_the_range_of_hearing_do_not_count(hifi: MelSettings, bursts: Bursts) -> None:
    kicks = 0.5 * torch.sin(2 * torch.pi * 60 * torch.arange(4 * 44100) / 44100)
    mel_db = hifi.mel_db((kicks + bursts(EIGHTHS, 44100, level=1e-5))[None])[..., 8:-8]
    assert len(onsets(novelty(mel_db, hifi, HATS_ABOVE_HZ), hifi.frame_s)[0]) == 0


def test_no_band_so_high_is_said(hifi: MelSettings) -> None:
    with pytest.raises(ValueError, match="no mel band lies above 30000 Hz"):
        novelty(torch.zeros(1, 128, 40), hifi, 30000.0)


def test_f1_by_hand() -> None:
    assert f1([1.0, 2.0, 3.0], [1.04, 2.5, 3.0], TOLERANCE_S) == pytest.approx(4 / 6)
    assert f1([1.0, 1.02], [1.01], TOLERANCE_S) == pytest.approx(2 / 3)  # nobody is matched twice
    assert f1([], [], TOLERANCE_S) == 1
    assert f1([], [1.0], TOLERANCE_S) == 0


@pytest.mark.parametrize("bpm", [70.0, 96.0, 140.0])
def test_tempo_and_beats(any_mel: MelSettings, bursts: Bursts, bpm: float) -> None:
    true_s = np.arange(0.3, 3.95, 60 / bpm)
    rise = novelty(any_mel.mel_db(bursts(true_s, any_mel.sample_rate)[None]), any_mel)
    found_bpm = tempo_bpm(rise, any_mel.frame_s)
    assert tempo_agrees(found_bpm, torch.tensor([bpm])).item() == 1
    found = beats(rise, torch.tensor([bpm]), any_mel.frame_s)[0]
    assert f1(found[found > 0.2], true_s, BEAT_TOLERANCE_S) > 0.9


def test_tempi_agree_up_to_octaves() -> None:
    a = torch.tensor([100.0, 100.0, 100.0, 100.0])
    assert tempo_agrees(a, torch.tensor([103.0, 51.0, 140.0, 110.0])).tolist() == [1, 1, 0, 0]


def test_row_correlation_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert row_correlation(a, -a).tolist() == pytest.approx([-1.0, 0.0])
