"""Test mid and sides, polarity, activity masks, and the check of waveforms."""

import math

import numpy as np
import pytest
import torch

from cyclegan_audio.translation.mid_side import (
    activity_mask,
    as_channels,
    from_mid_and_sides,
    mid_and_sides,
    polarity,
)
from cyclegan_audio.utils.errors import UserError


def test_opposed_channels_have_negative_polarity():
    left = torch.sin(440 * math.tau * torch.arange(44100) / 44100)
    right = torch.cos(440 * math.tau * torch.arange(44100) / 44100)
    opposed, wide = torch.stack([left, -left]), torch.stack([left, right / 2])
    assert polarity(opposed @ opposed.T).flatten().tolist() == [1, -1]
    assert polarity(wide @ wide.T).flatten().tolist() == [1, 1]
    assert polarity(torch.zeros(3, 3)).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize(("correlation", "sign"), [(-0.49, 1), (-0.51, -1), (0.9, 1)])
def test_channel_is_inverted_below_a_correlation_of_minus_one_half(correlation, sign):
    covariance = torch.tensor([[1.0, 0.5 * correlation], [0.5 * correlation, 0.25]]).double()
    assert polarity(covariance).flatten().tolist() == [1, sign]
    assert polarity(covariance.flip(0, 1)).flatten().tolist() == [sign, 1]  # the loudest stays
    assert polarity(covariance).dtype == torch.float32


def test_mid_and_sides_by_hand_and_inverted():
    channels = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, -2.0]])
    parts = mid_and_sides(channels)
    assert parts.tolist() == [[3, 2], [-2, 0], [0, 4]]
    assert torch.equal(from_mid_and_sides(parts), channels)
    assert mid_and_sides(channels[:1]).tolist() == [[1, 2]]
    assert from_mid_and_sides(channels[:1]).tolist() == [[1, 2]]


@pytest.mark.parametrize("sample", [0.001, -0.001])
def test_activity_mask_is_1_near_sound_with_ramps_of_a_block(sample):
    """One sample sounds in block 10 of 64 samples; half a reach of 256 samples is two blocks."""
    channels = torch.zeros(2, 20 * 64 + 7)
    channels[1, 10 * 64 + 63] = sample
    weights = activity_mask(channels, 256)
    ramp = torch.arange(64) / 64
    expected = torch.zeros(1, 20 * 64 + 7)
    expected[0, 7 * 64 : 8 * 64] = ramp
    expected[0, 8 * 64 : 12 * 64] = 1
    expected[0, 12 * 64 : 13 * 64] = 1 - ramp
    assert torch.equal(weights, expected)
    assert activity_mask(torch.ones(1, 100), 256).tolist() == [[1] * 100]
    last = torch.zeros(1, 130)
    last[0, 129] = 1  # in a block of two samples, with nothing beyond
    assert activity_mask(last, 127).tolist() == [[0.0] * 64 + ramp.tolist() + [1.0, 1.0]]


def test_as_channels_takes_arrays_and_tensors():
    for zeros in (torch.zeros, np.zeros):
        assert as_channels(zeros(7), 8000).shape == (1, 7)
        assert as_channels(zeros((2, 2)), 8000).shape == (2, 2)
        assert as_channels(zeros((64, 100)), 8000).shape == (64, 100)
        assert as_channels(zeros((2, 0)), 8000).shape == (2, 0)
        assert as_channels(zeros((2, 7)), 8000).dtype == torch.float32
    wave = np.arange(6, dtype=">f8").reshape(2, 3)[:, ::-1]  # big-endian, reversed and read-only
    wave.flags.writeable = False
    assert as_channels(wave, 8000).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert as_channels(torch.zeros(2, 7).half(), 8000).dtype == torch.float32


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (torch.zeros(44100, 2), r"got \(44100, 2\); transpose"),  # as soundfile gives it
        (np.zeros((3, 2)), r"got \(3, 2\); transpose"),
        (np.zeros((2, 1)), r"got \(2, 1\); transpose"),
        (np.zeros((50, 2)), r"got \(50, 2\); transpose"),
        (np.zeros((65, 100)), "transpose"),
        (torch.zeros(1, 2, 100), "got .1, 2, 100.; reshape"),
        (torch.zeros(2, 100, dtype=torch.int16), r"floats in \[-1, 1\], got int16; divide by 32768"),
        (np.zeros((2, 100), np.int16), r"floats in \[-1, 1\], got int16; divide by 32768"),
        (np.zeros(100, np.int32), "divide by 2147483648"),
        (np.zeros(100, np.uint8), "got uint8; scale them"),
        (np.zeros(100, np.complex64), "complex64"),
        (torch.zeros(100, dtype=torch.bool), "bool"),
        ([0.0, 0.1], "numpy array or a torch tensor, got list"),
    ],
)
def test_invalid_waveform_is_refused(waveform, message):
    with pytest.raises(UserError, match=message) as caught:
        as_channels(waveform, 8000)
    assert "\n" not in str(caught.value)


def test_invalid_sample_rate_is_refused():
    with pytest.raises(UserError, match="sample_rate must be an integer"):
        as_channels(torch.zeros(2, 100), 0)
