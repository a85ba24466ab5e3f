"""Onsets, tempo and beats of music whose events are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.onsets import (
    BEAT_TOLERANCE_S,
    HIHATS_ABOVE_HZ,
    TOLERANCE_S,
    audible_db,
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


def test_every_stroke_is_found_once(any_mel: MelSpectrogram, bursts: Bursts) -> None:
    mel_db = any_mel.mel_db(bursts(EIGHTHS, any_mel.sample_rate)[None])
    for above_hz in (0.0, HIHATS_ABOVE_HZ):
        found = onsets(novelty(mel_db, any_mel, above_hz), any_mel.frame_s)[0]
        assert len(found) == len(EIGHTHS)
        assert np.abs(found - EIGHTHS).max() < 0.03
        assert onset_rate(found, 4.0) == len(EIGHTHS) / 4


def test_a_roll_of_triplets_is_told_from_eighths(any_mel: MelSpectrogram, bursts: Bursts) -> None:
    rolling = np.concatenate([EIGHTHS[:8], np.arange(2.2, 3.9, 60 / 140 / 6)])
    mel_db = any_mel.mel_db(torch.stack([bursts(t, any_mel.sample_rate) for t in (EIGHTHS, rolling)]))
    plain, roll = onsets(novelty(mel_db, any_mel, HIHATS_ABOVE_HZ), any_mel.frame_s)
    assert roll_share(plain) == 0
    missed = 0.1 if any_mel.frame_s < 0.02 else 0.4  # three frames apart they run into each other
    assert roll_share(rolling) - missed < roll_share(roll) <= roll_share(rolling) + 0.1


def test_steady_noise_and_silence_have_no_onsets(any_mel: MelSpectrogram) -> None:
    generator = torch.Generator().manual_seed(0)
    rate = any_mel.sample_rate
    noise = 0.1 * torch.randn(4 * rate, generator=generator)
    mel_db = any_mel.mel_db(torch.stack([noise, torch.zeros(4 * rate)]))[..., 8:-8]
    for found in onsets(novelty(mel_db, any_mel), any_mel.frame_s):
        assert len(found) <= 1


def test_hats_below_the_range_of_hearing_do_not_count(hifi: MelSpectrogram, bursts: Bursts) -> None:
    kicks = 0.5 * torch.sin(2 * torch.pi * 60 * torch.arange(4 * 44100) / 44100)
    mel_db = hifi.mel_db((kicks + bursts(EIGHTHS, 44100, level=1e-5))[None])[..., 8:-8]
    assert len(onsets(novelty(mel_db, hifi, HIHATS_ABOVE_HZ), hifi.frame_s)[0]) == 0


def test_no_band_so_high_is_said(hifi: MelSpectrogram) -> None:
    with pytest.raises(ValueError, match="no mel band lies above 30000 Hz"):
        novelty(torch.zeros(1, 128, 40), hifi, 30000.0)


def test_f1_by_hand() -> None:
    assert f1([1.0, 2.0, 3.0], [1.04, 2.5, 3.0], TOLERANCE_S) == pytest.approx(4 / 6)
    assert f1([1.0, 1.02], [1.01], TOLERANCE_S) == pytest.approx(2 / 3)  # nobody is matched twice
    assert f1([], [], TOLERANCE_S) == 1
    assert f1([], [1.0], TOLERANCE_S) == 0


@pytest.mark.parametrize("bpm", [70.0, 96.0, 140.0])
def test_tempo_and_beats(any_mel: MelSpectrogram, bursts: Bursts, bpm: float) -> None:
    true_s = np.arange(0.3, 3.95, 60 / bpm)
    rise = novelty(any_mel.mel_db(bursts(true_s, any_mel.sample_rate)[None]), any_mel)
    found_bpm = tempo_bpm(rise, any_mel.frame_s)
    assert tempo_agrees(found_bpm, torch.tensor([bpm])).item() == 1
    found = beats(rise, torch.tensor([bpm]), any_mel.frame_s)[0]
    assert f1(found[found > 0.2], true_s, BEAT_TOLERANCE_S) > 0.9


def test_tempi_agree_up_to_octaves() -> None:
    a = torch.tensor([100.0, 100.0, 100.0, 100.0])
    assert tempo_agrees(a, torch.tensor([103.0, 51.0, 140.0, 110.0])).tolist() == [1, 1, 0, 0]


def pulses(*frames: int, count: int = 400, height: float = 5.0) -> Tensor:
    rise = torch.zeros(1, count)
    rise[0, list(frames)] = height
    return rise


@pytest.mark.parametrize(
    ("period", "bpm"),
    [(50, 120.0), (35, 60 / 0.7), (70, 60 / 0.7), (24, 125.0), (90, 60 / 0.9)],  # frames of 10 ms
)
def test_of_the_tempi_that_repeat_the_most_usual_counts(period: int, bpm: float) -> None:
    rise = pulses(*range(0, 2000, period), count=2000)
    assert tempo_bpm(rise, 0.01).item() == pytest.approx(bpm)
    assert tempo_bpm(3 * rise + 1, 0.01).item() == pytest.approx(bpm)


@pytest.mark.parametrize(("period", "bpm"), [(31, 60 / 0.31), (119, 60 / 1.19)])
def test_tempi_within_their_range_are_found_where_nothing_else_repeats(period: int, bpm: float) -> None:
    rise = pulses(100, 100 + period)
    assert tempo_bpm(rise, 0.01).item() == pytest.approx(bpm)


def test_beats_of_pulses_by_hand() -> None:
    rise = pulses(*range(20, 400, 50))
    assert beats(rise, torch.tensor([120.0]), 0.01)[0][-8:].tolist() == pytest.approx(
        [0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2, 3.7]
    )
    gap = pulses(*(n for n in range(20, 400, 50) if n != 220))
    assert 2.2 in [round(t, 2) for t in beats(gap, torch.tensor([120.0]), 0.01)[0]]  # the beat goes on
    late = pulses(*(n + 5 * (n == 220) for n in range(20, 400, 50)))
    assert 2.25 in [round(t, 2) for t in beats(late, torch.tensor([120.0]), 0.01)[0]]  # and gives a little
    assert beats(pulses(0, count=10), torch.tensor([30.0]), 0.1)[0].tolist() == [0.0]  # longer than all


@pytest.mark.parametrize(
    ("rise", "actual"),
    [
        (pulses(100, 102), [1.02]),  # too near: two frames make one, the larger
        (pulses(100, 103), [1.0, 1.03]),
        (pulses(100, 200, height=0.9), []),  # below 1 dB
        (pulses(100, 200, height=1.2), [1.0, 2.0]),
    ],
)
def test_peaks_by_hand(rise: Tensor, actual: list[float]) -> None:
    rise = rise.clone()
    rise[0, 102] *= 1.1
    assert onsets(rise, 0.01)[0].tolist() == pytest.approx(actual)


def test_peaks_stand_out_from_what_is_usual_around_and_a_flat_top_counts_once() -> None:
    flat = pulses(100, 101, 102)
    assert onsets(flat, 0.01)[0].tolist() == pytest.approx([1.0])
    weak = pulses(*range(0, 400, 40), height=10.0)
    weak[0, [60, 140]] = torch.tensor([1.9, 2.2])  # a fifth of the strong ones is 2
    assert sorted(set(onsets(weak, 0.01)[0].round(2)) & {0.6, 1.4}) == [1.4]
    noisy = torch.full((1, 400), 4.0)
    noisy[0, [100, 300]] = torch.tensor([4.9, 5.2])  # 1 dB above the mean of 21 frames, 4 + 0.06
    assert onsets(noisy, 0.01)[0].tolist() == pytest.approx([3.0])


def test_shares_and_rates_by_hand() -> None:
    assert roll_share(np.array([0.0, 0.095, 0.2, 0.29])) == pytest.approx(2 / 3)
    assert roll_share(np.array([1.0])) == roll_share(np.array([])) == 0
    assert roll_share(np.array([0.0, 0.05])) == 1
    assert onset_rate(np.arange(5.0), 2.0) == 2.5
    assert f1([1.0], [1.05], 0.051) == 1
    assert f1([1.0], [1.06], 0.05) == 0
    assert f1([2.0, 3.0], [1.0, 2.0], 0.05) == f1([1.0, 2.0], [2.0, 3.0], 0.05) == 0.5
    assert f1([1.0], [], 0.05) == 0


def test_tempi_within_four_per_cent_agree() -> None:
    a = torch.full((4,), 100.0)
    assert tempo_agrees(a, torch.tensor([103.9, 104.1, 51.9, 52.1])).tolist() == [1, 0, 1, 0]
    assert tempo_agrees(a[:3], torch.tensor([96.2, 95.9, 400.0])).tolist() == [1, 0, 0]


def test_audible_levels_are_by_hertz_and_end_70_db_under_the_loudest(hifi: MelSpectrogram) -> None:
    mel_db = (20 * hifi.filter_bank().sum(1).log10())[:, None].repeat(1, 3)[None]
    mel_db[0, 50, 1], mel_db[0, 51, 1] = mel_db[0, 50, 1] + 6, mel_db[0, 51, 1] - 100
    expected = torch.zeros(1, 128, 3)
    expected[0, 50, 1], expected[0, 51, 1] = 6.0, -64.0
    torch.testing.assert_close(audible_db(mel_db, hifi), expected, rtol=0, atol=1e-4)


def test_novelty_by_hand(hifi: MelSpectrogram) -> None:
    """Two of 128 bands rise by 20 dB; a frame is 11.6 ms, so that rises are taken over two of them."""
    mel_db = (20 * hifi.filter_bank().sum(1).log10())[:, None].expand(-1, 40).clone()[None]
    mel_db[:, 100:102, 20:] += 20
    expected = torch.zeros(40)
    expected[20:22] = 2 * 20 / 128
    torch.testing.assert_close(novelty(mel_db, hifi)[0], expected, atol=1e-4, rtol=0)
    n_high = int((hifi.band_hz >= HIHATS_ABOVE_HZ).sum())
    assert novelty(mel_db, hifi, HIHATS_ABOVE_HZ)[0, 20].item() == pytest.approx(40 / n_high, abs=1e-4)
    mel_db[:, 100:102, :20] -= 200  # 70 dB under the loudest is the least: they rise by 70
    assert novelty(mel_db, hifi)[0, 20].item() == pytest.approx(2 * 70 / 128, abs=1e-4)


def test_row_correlation_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert row_correlation(a, -a).tolist() == pytest.approx([-1.0, 0.0])
