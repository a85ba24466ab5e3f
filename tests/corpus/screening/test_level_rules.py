"""Tests of level rules: each rejects audio with its defect, and keeps the audio without it."""

import math

import pytest
import torch

from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.screening import (
    Clipping,
    DCOffset,
    DeadChannel,
    DualMono,
    Gap,
    PhaseCancellation,
    ScreeningRules,
    Silence,
)
from cyclegan_audio.corpus.screening.level_rules import frame_levels_db, level_db

RATE = 44_100
N = 4 * RATE


def noise(seed: int = 0, level: float = 0.1, channels: int = 2) -> torch.Tensor:
    return level * torch.randn(channels, N, generator=torch.Generator().manual_seed(seed))


def test_level_of_a_square_wave_is_0_dbfs():
    square = torch.ones(N)
    square[::2] = -1
    assert level_db(square) == pytest.approx(0.0, abs=1e-9)
    assert level_db(0 * square) == -120.0
    assert math.isnan(level_db(square * torch.nan))
    assert frame_levels_db(square / 2, RATE).tolist() == pytest.approx([20 * math.log10(0.5)] * 80, abs=1e-4)


@pytest.mark.parametrize(
    ("scale", "quiet_s", "is_silent"), [(1, 0, False), (1e-4, 0, True), (1, 2.5, True), (1, 1.5, False)]
)
def test_silent_and_nearly_silent_clips_are_rejected(scale, quiet_s, is_silent):
    mono = noise()[0] * scale
    mono[: round(quiet_s * RATE)] *= 1e-3
    assert Silence().rejects(mono, frame_levels_db(mono, RATE)) is is_silent


@pytest.mark.parametrize(("gap_s", "is_rejected"), [(0.0, False), (0.5, False), (0.95, True)])
def test_gaps_are_rejected(gap_s, is_rejected):
    mono = noise()[0]
    mono[RATE : RATE + round(gap_s * RATE)] = 0
    assert Gap().rejects(frame_levels_db(mono, RATE)) is is_rejected


def test_clipped_clips_are_rejected():
    loud = noise(level=0.3)
    assert not Clipping().rejects(loud)
    assert Clipping().rejects((loud * 6).clamp(-0.99, 0.99))
    assert not Clipping().rejects(torch.zeros(2, N))


@pytest.mark.parametrize("hz", [30, 55, 440])
def test_a_loud_sine_is_rejected_only_if_clipped(hz):
    sine = torch.sin(2 * math.pi * hz * torch.arange(N, dtype=torch.float64) / RATE).float()
    assert not Clipping().rejects((0.99 * sine * 32767).round()[None] / 32767)
    assert Clipping().rejects((2 * sine).clamp(-1, 1)[None])


def test_one_clipped_channel_is_rejected():
    loud = noise(level=0.3)
    loud[1] = (loud[1] * 8).clamp(-1, 1)
    assert Clipping().rejects(loud)


def test_dc_offset_is_rejected():
    assert not DCOffset().rejects(noise())
    assert DCOffset().rejects(noise() + torch.tensor([[0.0], [-0.02]]))


@pytest.mark.parametrize(
    ("offset", "is_needed"), [(0.0099, False), (0.0101, True), (-0.0101, True), (0.0, False)]
)
def test_an_offset_of_any_channel_must_be_subtracted(offset, is_needed):
    wave = torch.tensor([1.0, -1.0]).repeat(5000) * 0.5
    channels = torch.stack([wave, wave + offset])
    assert DCOffset().must_be_subtracted(channels, None) is is_needed
    assert not DCOffset().must_be_subtracted(channels, channels)  # that is done
    assert not DCOffset().must_be_subtracted(None, None)
    assert not DCOffset(enabled=False).must_be_subtracted(channels, None)
    channels[0, 5:8] = torch.tensor([1e20, torch.nan, torch.inf])  # damage is no offset
    assert DCOffset().must_be_subtracted(channels, None) is is_needed


def test_dead_channel_is_rejected():
    music = noise()
    assert not DeadChannel().rejects(music)
    assert not DeadChannel().rejects(music * torch.tensor([[1.0], [0.1]]))
    assert DeadChannel().rejects(music * torch.tensor([[1.0], [0.0]]))
    assert DeadChannel().rejects(music * torch.tensor([[1e-3], [1.0]]))
    assert not DeadChannel().rejects(music[:1])


def test_dual_mono_is_rejected():
    mono = noise(channels=1).repeat(2, 1)
    assert DualMono().rejects(mono)
    assert not DualMono().rejects(noise())
    assert not DualMono().rejects(mono[:1])
    assert DualMono().enabled is False


def test_phase_cancellation_is_rejected():
    mono = noise(channels=1)
    assert PhaseCancellation().rejects(torch.cat([mono, -mono * 0.9]))
    assert not PhaseCancellation().rejects(noise())
    assert not PhaseCancellation().rejects(mono)
    assert not PhaseCancellation().rejects(torch.zeros(2, N))


def test_defaults_equal_the_configuration():
    assert build("screening", compose("prepare").screening) == ScreeningRules()


@pytest.mark.parametrize(
    ("level_db", "frames_db", "is_silent"),
    [
        (-59.9, [-54.9] * 10, False),
        (-60.1, [-54.9] * 10, True),
        (-10.0, [-55.1] * 5 + [-10.0] * 5, False),
        (-10.0, [-55.1] * 6 + [-10.0] * 5, True),
    ],
)
def test_silence_thresholds(level_db, frames_db, is_silent):
    mono = torch.full((1000,), 10 ** (level_db / 20))
    assert Silence().rejects(mono, torch.tensor(frames_db)) is is_silent


@pytest.mark.parametrize(
    ("frames_db", "is_rejected"),
    [
        ([-20.0] * 4 + [-60.1] * 15 + [-20.0] * 4, False),
        ([-20.0] * 4 + [-60.1] * 16 + [-20.0] * 4, True),
        ([-20.0] * 4 + [-59.9] * 16 + [-20.0] * 4, False),
        ([-60.1] * 8 + [-20.0] + [-60.1] * 8, False),
        ([-60.1] * 16, True),
        ([-60.1] * 15, False),
    ],
)
def test_gap_thresholds(frames_db, is_rejected):
    assert Gap().rejects(torch.tensor(frames_db)) is is_rejected


@pytest.mark.parametrize(
    ("runs", "top", "is_clipped"),
    [
        ((5, 5), 1.0, False),  # a hundredth of the samples
        ((5, 6), 1.0, True),
        ((4, 7), -1.0, True),  # at the bottom
        ((3,) * 50, 1.0, False),  # too short to be flat
        ((5, 6), 1 - 2**-15, True),  # one step of 16 bit under the peak
        ((5, 6), 1 - 2**-14, False),
    ],
)
def test_clipping_thresholds(runs, top, is_clipped):
    wave = torch.linspace(-0.5, 0.5, 1000)
    wave[-3:] = 1.0  # the peak, too short to be flat
    for number, length in enumerate(runs):
        wave[10 * number :][:length] = top
    assert Clipping().rejects(torch.stack([wave / 2, torch.linspace(-0.5, 0.5, 1000)])) is is_clipped


@pytest.mark.parametrize(("side", "is_rejected"), [(-0.01, False), (0.01, True)])
def test_channel_rule_thresholds(side, is_rejected):
    """Values 0.01 below or above each threshold."""
    wave = torch.tensor([1.0, -1.0]).repeat(5000) * 0.5
    assert DCOffset().rejects((wave + 0.01 * (1 + side))[None]) is is_rejected
    quiet = 10 ** (-(50 + side) / 20)
    assert DeadChannel().rejects(torch.stack([wave, quiet * wave])) is is_rejected
    assert DeadChannel().rejects(torch.stack([quiet * wave, wave])) is is_rejected
    difference = 10 ** (-(60 + side) / 20)  # (1 - g) / (1 + g) for channels 1 and g
    assert DualMono().rejects(torch.stack([wave, wave * (1 - difference) / (1 + difference)])) is is_rejected
    # Of 1 and -1/2 the mean has 1/16 of the power 1, the channels 5/8 of it: 10 dB.
    assert PhaseCancellation().rejects(torch.stack([wave, -(0.5 + side) * wave])) is is_rejected
    three = torch.stack([wave, wave, quiet * wave])
    assert not DeadChannel().rejects(three)
    assert not DualMono().rejects(torch.stack([wave, wave, wave]))


def test_frame_levels_omit_an_incomplete_last_frame():
    steps = torch.tensor([1.0, 0.1, 0.01]).repeat_interleave(50)
    assert frame_levels_db(steps[:149], 1000).tolist() == pytest.approx([0, -20], abs=1e-4)
    assert frame_levels_db(steps, 1000).tolist() == pytest.approx([0, -20, -40], abs=1e-4)
    assert frame_levels_db(steps[:7], 1000).tolist() == pytest.approx([0], abs=1e-4)
    assert frame_levels_db(torch.zeros(100), 1000).tolist() == [-120, -120]
    assert level_db(torch.full((10,), 1e-5)) == pytest.approx(-100, abs=1e-4)
    assert level_db(torch.full((10,), 1e-7)) == -120
