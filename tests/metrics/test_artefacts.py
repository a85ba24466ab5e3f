"""Test that inserted artefacts are detected, and that clean audio has none."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.artefacts import (
    checkerboard_db,
    clicks_per_s,
    find_clicks,
    frame_levels_db,
    noise_floor_db,
    seam_db,
    silence_gain_db,
)

Sound = Callable[..., Tensor]


def music(mel: MelSpectrogram, bursts: Sound, melody: Sound) -> Tensor:
    rate = mel.sample_rate
    return melody([(0.0, 4.0, 220.0)], rate) + bursts(
        np.cumsum([0.2, 0.31, 0.17, 0.43, 0.29, 0.37, 0.23, 0.47, 0.19, 0.41]), rate
    )


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("axis", [1, 2])
def test_checkerboard_db_detects_a_checkerboard(
    any_mel: MelSpectrogram, bursts: Sound, melody: Sound, period: int, axis: int
) -> None:
    mel_db = any_mel.mel_db(music(any_mel, bursts, melody)[None])
    place = torch.arange(mel_db.shape[axis])
    pattern = 6 * torch.cos(2 * math.pi * place / period)
    worse = mel_db + (pattern if axis == 2 else pattern[:, None])
    assert checkerboard_db(mel_db).item() < 8
    assert checkerboard_db(worse).item() > checkerboard_db(mel_db).item() + 3


def test_silence_gain_db_detects_noise_in_silence(any_mel: MelSpectrogram, melody: Sound) -> None:
    mel_db = any_mel.mel_db(melody([(0.0, 2.0, 220.0)], any_mel.sample_rate)[None])
    noisy = torch.where(torch.arange(mel_db.shape[2]) > 0.6 * mel_db.shape[2], mel_db + 20, mel_db)
    assert silence_gain_db(mel_db, mel_db).item() == 0
    assert 10 < silence_gain_db(mel_db, noisy).item() <= 20
    assert math.isnan(silence_gain_db(torch.zeros(1, 8, 10), torch.zeros(1, 8, 10)).item())


def test_noise_floor_db_ignores_level() -> None:
    mel_db = torch.zeros(1, 4, 100)
    mel_db[..., 90:] = -30
    assert noise_floor_db(mel_db).item() == pytest.approx(-30, abs=1e-3)
    assert noise_floor_db(mel_db + 12).item() == pytest.approx(-30, abs=1e-3)


def test_clicks_per_s_counts_clicks_and_ignores_drums(
    hifi: MelSpectrogram, bursts: Sound, melody: Sound
) -> None:
    clean = 0.5 * music(hifi, bursts, melody)
    clicked = clean.clone()
    clicked[torch.arange(1, 9) * 20011] += 0.3
    clean_rate, clicked_rate = clicks_per_s(torch.stack([clean, clicked]), 44100).tolist()
    assert clean_rate < 0.3
    assert clicked_rate == pytest.approx(clean_rate + 2, abs=0.3)


def test_seam_db_detects_hard_seams_only() -> None:
    generator = torch.Generator().manual_seed(0)
    change = torch.randn(16, 200, generator=generator)
    broken = change.clone()
    broken[:, 100:] += 8
    assert abs(seam_db(change, [100])) < 1.5
    assert seam_db(broken, [100]) > 6
    assert math.isnan(seam_db(change, []))


def test_find_clicks_ignores_the_ends_of_noise():
    noise = torch.randn(2000, 1024, generator=torch.Generator().manual_seed(0)) * 0.1
    assert find_clicks(noise, 44100).sum() == 0


@pytest.mark.parametrize(("height", "expected"), [(0.0009, []), (0.0011, [500]), (-0.01, [500])])
def test_find_clicks_needs_a_step_of_two_thousandths(height: float, expected: list[int]) -> None:
    """One outlier sample: a second difference of twice its height, and its height on both sides."""
    wave = torch.zeros(1, 1000)
    wave[0, 500] = height
    assert find_clicks(wave, 44100)[0].nonzero().flatten().tolist() == expected


@pytest.mark.parametrize(("height", "expected"), [(0.17, 0), (0.19, 1)])
def test_find_clicks_needs_ten_times_the_local_mean(height: float, expected: int) -> None:
    """The second difference of +-0.01 is 0.04; a click of h adds 2 h: more than 0.4 from h = 0.18."""
    wave = 0.01 * torch.tensor([1.0, -1.0]).repeat(1000)[None]
    wave[0, 1000] += height
    assert int(find_clicks(wave, 44100).sum()) == expected
    assert clicks_per_s(wave, 44100).item() == pytest.approx(expected * 22.05)


@pytest.mark.parametrize(("apart", "expected"), [(131, [500]), (134, [500, 634])])
def test_find_clicks_keeps_the_largest_within_3_ms(apart: int, expected: list[int]) -> None:
    wave = torch.zeros(1, 1500)
    wave[0, 500], wave[0, 500 + apart] = 0.2, 0.1
    assert find_clicks(wave, 44100)[0].nonzero().flatten().tolist() == expected


def test_seam_db_by_hand() -> None:
    """Everything changes by 1 dB per frame, and by 10 dB in two steps on each side of a border."""
    steps = torch.ones(99)
    for border in (30, 70):
        steps[border - 2 : border + 2] = 10
    change = F.pad(steps.cumsum(0), (1, 0)).expand(4, -1)
    assert seam_db(change, [30, 70]) == pytest.approx(20, abs=1e-3)
    assert seam_db(0.01 * change, [30, 70]) == pytest.approx(20, abs=1e-3)
    assert seam_db(change, [50]) == pytest.approx(20 * math.log10(95 / (87 + 80)), abs=1e-3)
    assert math.isfinite(seam_db(change, [1, 99]))
    assert math.isnan(seam_db(change[:, :4], [2]))  # no frames away from the border


def test_checkerboard_db_by_hand() -> None:
    """Of 64 frames, a period of 4 is line 16; the only other line nearby is a tone at line 24.

    Through a Hann window a tone of 1 has powers 1, 1/4 and 1/4 on three lines: 1/2 in the mean over the three
    lines of the period, 1/12 over the 18 others.
    """
    place = torch.arange(67) * math.tau / 64
    for count in (64, 66, 67):  # frames beyond a multiple of 4 are left out
        row = 5 + torch.cos(place * 16) + torch.cos(place * 24)
        mels_db = row[:count].expand(2, 32, count)
        for oriented in (mels_db, mels_db.transpose(1, 2)):
            assert checkerboard_db(oriented).tolist() == pytest.approx([10 * math.log10(6)] * 2, abs=0.01)
    off_the_grid = (torch.cos(place * 20) + torch.cos(place * 24))[:64].expand(1, 32, 64)
    assert checkerboard_db(off_the_grid).item() < -40


def test_checkerboard_db_of_a_short_clip_by_hand() -> None:
    """Of 48 frames, a period of 4 is line 12, and lines 1 to 8 and 16 to 24 are nearby.

    A tone at line 1 has powers 1 and 1/4 at lines 1 and 2, so 5/4 in 17 lines, and 1/2 at the period.
    """
    place = torch.arange(48) * math.tau / 48
    row = 5 + torch.cos(place) + torch.cos(place * 12)
    expected = 10 * math.log10(0.5 / (1.25 / 17))
    assert checkerboard_db(row.expand(1, 32, 48)).item() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("level_db", "silent"), [(-49.9, False), (-50.1, True)])
def test_silence_gain_db_counts_frames_50_db_below_the_loudest(level_db: float, silent: bool) -> None:
    source = torch.zeros(1, 2, 10)
    source[..., 3:5] = level_db
    fake = source.clone()
    fake[..., 3] += 7
    fake[..., 6] += 3
    gain_db = silence_gain_db(source, fake).item()
    assert gain_db == pytest.approx(3.5, abs=1e-4) if silent else math.isnan(gain_db)


def test_frame_levels_db_sums_bands() -> None:
    mels_db = torch.tensor([[[0.0, -10.0, -400.0]] * 2])
    assert frame_levels_db(mels_db)[0].tolist() == pytest.approx([3.0103, -6.9897, -300], abs=1e-3)
    steps = torch.arange(101.0).neg()[None, None]  # the 5 % quantile is 95 dB below the loudest
    assert noise_floor_db(steps).item() == pytest.approx(-95, abs=1e-3)
