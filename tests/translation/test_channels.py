"""The limiter, the level, and channels that cancel each other."""

import math

import pytest
import torch

from cyclegan_audio.translation.channels import BLOCK, MAX_PEAK, limited, loudness_gain, polarity


def limit(waveform: torch.Tensor) -> torch.Tensor:
    return torch.cat(list(limited([waveform])), 1)


def tone(seconds: float = 1.0, amplitude: float = 0.3) -> torch.Tensor:
    time_s = torch.arange(int(44100 * seconds)) / 44100
    left, right = torch.sin(440 * math.tau * time_s), 0.5 * torch.cos(440 * math.tau * time_s)
    return amplitude * torch.stack([left, right])


def test_what_stays_below_is_left_alone():
    wave = tone()
    assert torch.equal(limit(wave.clone()), wave)


@pytest.mark.parametrize("place", [0, 1, 63, 64, 20_000, 44_035, 44_099])
def test_a_peak_is_limited_wherever_it_is_and_only_around_it(place):
    wave = tone()
    wave[0, place] = -3.0
    out = limit(wave.clone())
    assert out.abs().max() <= MAX_PEAK + 1e-6
    assert float(out[0, place]) == pytest.approx(-MAX_PEAK, rel=1e-5)
    far = (torch.arange(44100) - place).abs() > 8 * BLOCK
    torch.testing.assert_close(out[:, far], wave[:, far], atol=1e-6, rtol=0)
    moved = out[0] * wave[1] - out[1] * wave[0]  # 0: the other channel is lowered by the same gain
    assert float(moved.abs().max()) < 1e-5


def test_the_gain_is_smooth_and_random_music_never_exceeds():
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(2, 50_001, generator=generator)
    out = limit(wave.clone())
    assert out.abs().max() <= MAX_PEAK + 1e-6
    gain = (out / wave)[0]
    assert gain.diff().abs().max() < 2 / BLOCK


def test_a_gain_is_applied_in_blocks_that_change_nothing():
    wave = torch.randn(2, 30_011, generator=torch.Generator().manual_seed(1))
    whole = limit(wave * 0.7)
    for step in (100, 5000):
        parts = list(limited(wave.split(step, 1), 0.7))
        torch.testing.assert_close(torch.cat(parts, 1), whole)


def test_gains_between_loudnesses():
    assert loudness_gain(-14.0, -20.0) == pytest.approx(10 ** (6 / 20))
    assert loudness_gain(-14.0, -60.0) == pytest.approx(10.0)  # 20 dB at most
    assert loudness_gain(-math.inf, -20.0) == loudness_gain(-20.0, -math.inf) == 1


def test_channels_that_would_cancel_are_turned_round():
    wave = tone()
    opposed = torch.stack([wave[0], -wave[0]])
    assert polarity(opposed @ opposed.T).flatten().tolist() == [1, -1]
    assert polarity(wave @ wave.T).flatten().tolist() == [1, 1]
    assert polarity(torch.zeros(3, 3)).flatten().tolist() == [1, 1, 1]
