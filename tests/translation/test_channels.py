"""The limiter and the level."""

import math

import pytest
import torch

from cyclegan_audio.translation.channels import BLOCK, MAX_PEAK, level, limit


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


def test_level_is_matched_and_a_few_peaks_do_not_lower_the_song():
    reference = tone()
    out = 0.2 * tone()
    out[:, 1000] = 0.9
    got = level(out, reference)
    assert got.abs().max() <= MAX_PEAK + 1e-6
    ratio = got.square().mean().sqrt() / reference.square().mean().sqrt()
    assert 0.85 < float(ratio) <= 1.0
