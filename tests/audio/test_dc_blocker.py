"""Tests of the DC blocker: offsets go, music stays, damaged samples spread nowhere."""

import math

import pytest
import torch

from cyclegan_audio.audio.dc_blocker import DCBlocker, channel_offsets

RATE = 8000


def noise(seconds: float = 8.0) -> torch.Tensor:
    """Stereo noise (2, T)."""
    return 0.1 * torch.randn(2, round(seconds * RATE), generator=torch.Generator().manual_seed(0))


def block_dc(samples: torch.Tensor, sizes: tuple[int, ...] = (RATE,)) -> torch.Tensor:
    blocker, blocks, start = DCBlocker(RATE), [], 0
    while start < samples.shape[1]:
        size = sizes[min(len(blocks), len(sizes) - 1)]
        blocks.append(blocker.push(samples[:, start : start + size]))
        start += size
    return torch.cat(blocks, 1)


def test_a_constant_offset_of_each_channel_leaves_no_trace():
    music = noise()
    offsets = torch.tensor([[0.02], [-0.4]])
    clean = block_dc(music)
    torch.testing.assert_close(block_dc(music + offsets), clean, atol=1e-6, rtol=0)  # from the first sample
    assert (clean - music).abs().max() < 0.03  # 0.1 * sqrt(2 * 5 / 8000) is its part below 5 Hz
    assert channel_offsets(music + offsets).tolist() == pytest.approx([0.02, -0.4], abs=2e-3)
    assert channel_offsets(block_dc(music + offsets)).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("hz", "gain_db"), [(0.05, -80.0), (0.5, -40.0), (5.0, -3.01), (20.0, -0.017), (30.0, -0.003), (440.0, 0)]
)
def test_the_response_is_that_of_a_second_order_butterworth(hz, gain_db):
    """|H|² = 1 / (1 + (5 / f)⁴)."""
    sine = torch.sin(2 * math.pi * hz * torch.arange(80 * RATE) / RATE)[None]
    second_half = block_dc(sine)[:, 40 * RATE :]
    gain = second_half.square().mean().sqrt() / sine[:, 40 * RATE :].square().mean().sqrt()
    assert 20 * math.log10(gain) == pytest.approx(gain_db, abs=0.05)


def test_only_the_first_block_sets_the_start():
    offset = noise() + 0.3
    whole = block_dc(offset, (RATE, 7 * RATE))
    assert torch.equal(block_dc(offset, (RATE, 1, 17, 999)), whole)


def test_damaged_samples_affect_no_others():
    music = noise() + 0.02
    expected = block_dc(music)
    damaged = music.clone()
    damaged[0, 12_000:12_003] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    damaged[1, 20_000] = 1e20
    actual = block_dc(damaged)
    assert actual[0, 12_000].isnan()
    assert actual[0, 12_001:12_003].tolist() == [math.inf, -math.inf]
    assert actual[1, 20_000] == pytest.approx(1e20)
    others = torch.ones_like(music, dtype=torch.bool)
    others[0, 12_000:12_003] = others[1, 20_000] = False
    torch.testing.assert_close(actual[others], expected[others], atol=0.03, rtol=0)
    assert channel_offsets(damaged).tolist() == pytest.approx([0.02, 0.02], abs=2e-3)
    assert channel_offsets(torch.full((1, 9), torch.nan)).tolist() == [0]
