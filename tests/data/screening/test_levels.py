"""Each rule on level drops audio made to break it, and keeps the audio it was made from."""

import math

import pytest
import torch

from cyclegan_audio.data.screening import (
    Cancelling,
    Clipping,
    DeadChannel,
    DirectCurrent,
    Gap,
    MonoAsStereo,
    Silence,
)
from cyclegan_audio.data.screening.levels import frame_levels_db, level_db

RATE = 44_100
N = 4 * RATE


def noise(seed: int = 0, level: float = 0.1, channels: int = 2) -> torch.Tensor:
    return level * torch.randn(channels, N, generator=torch.Generator().manual_seed(seed))


def test_levels_of_a_square_wave():
    square = torch.ones(N)
    square[::2] = -1
    assert level_db(square) == pytest.approx(0.0, abs=1e-9)
    assert level_db(0 * square) == -120.0
    assert math.isnan(level_db(square * torch.nan))
    assert frame_levels_db(square / 2, RATE).tolist() == pytest.approx([20 * math.log10(0.5)] * 80, abs=1e-4)


@pytest.mark.parametrize(
    ("scale", "quiet_s", "silent"), [(1, 0, False), (1e-4, 0, True), (1, 2.5, True), (1, 1.5, False)]
)
def test_silence_and_near_silence(scale, quiet_s, silent):
    mono = noise()[0] * scale
    mono[: round(quiet_s * RATE)] *= 1e-3
    assert Silence().breaks(mono, frame_levels_db(mono, RATE)) is silent


@pytest.mark.parametrize(("gap_s", "found"), [(0.0, False), (0.5, False), (0.95, True)])
def test_a_gap_between_songs(gap_s, found):
    mono = noise()[0]
    mono[RATE : RATE + round(gap_s * RATE)] = 0
    assert Gap().breaks(frame_levels_db(mono, RATE)) is found


def test_clipping():
    loud = noise(level=0.3)
    assert not Clipping().breaks(loud)
    assert Clipping().breaks((loud * 6).clamp(-0.99, 0.99))
    assert not Clipping().breaks(torch.zeros(2, N))


@pytest.mark.parametrize("hz", [30, 55, 440])
def test_a_loud_sine_at_16_bit_is_not_clipping_until_it_is_driven(hz):
    sine = torch.sin(2 * math.pi * hz * torch.arange(N, dtype=torch.float64) / RATE).float()
    assert not Clipping().breaks((0.99 * sine * 32767).round()[None] / 32767)
    assert Clipping().breaks((2 * sine).clamp(-1, 1)[None])


def test_one_channel_clipped_is_enough():
    loud = noise(level=0.3)
    loud[1] = (loud[1] * 8).clamp(-1, 1)
    assert Clipping().breaks(loud)


def test_direct_current():
    assert not DirectCurrent().breaks(noise())
    assert DirectCurrent().breaks(noise() + torch.tensor([[0.0], [-0.02]]))


def test_dead_channel():
    music = noise()
    assert not DeadChannel().breaks(music)
    assert not DeadChannel().breaks(music * torch.tensor([[1.0], [0.1]]))
    assert DeadChannel().breaks(music * torch.tensor([[1.0], [0.0]]))
    assert DeadChannel().breaks(music * torch.tensor([[1e-3], [1.0]]))
    assert not DeadChannel().breaks(music[:1])


def test_mono_as_stereo():
    mono = noise(channels=1).repeat(2, 1)
    assert MonoAsStereo().breaks(mono)
    assert not MonoAsStereo().breaks(noise())
    assert not MonoAsStereo().breaks(mono[:1])
    assert MonoAsStereo().enabled is False


def test_channels_that_cancel_in_the_mix():
    mono = noise(channels=1)
    assert Cancelling().breaks(torch.cat([mono, -mono * 0.9]))
    assert not Cancelling().breaks(noise())
    assert not Cancelling().breaks(mono)
    assert not Cancelling().breaks(torch.zeros(2, N))
