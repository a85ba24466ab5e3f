"""Channels that cancel each other, and waveforms that are none."""

import math

import pytest
import torch

from cyclegan_audio.errors import UserError
from cyclegan_audio.translation.channels import as_channels, polarity


def test_channels_that_would_cancel_are_turned_round():
    left = torch.sin(440 * math.tau * torch.arange(44100) / 44100)
    right = torch.cos(440 * math.tau * torch.arange(44100) / 44100)
    opposed, wide = torch.stack([left, -left]), torch.stack([left, right / 2])
    assert polarity(opposed @ opposed.T).flatten().tolist() == [1, -1]
    assert polarity(wide @ wide.T).flatten().tolist() == [1, 1]
    assert polarity(torch.zeros(3, 3)).flatten().tolist() == [1, 1, 1]


def test_what_is_no_waveform_is_refused():
    assert as_channels(torch.zeros(7).double(), 8000).shape == (1, 7)
    assert as_channels(torch.zeros(2, 7).half(), 8000).dtype == torch.float32
    for waveform, rate, words in (
        (torch.zeros(44100, 2), 44100, r"shape \(44100, 2\).*transpose"),  # as soundfile gives it
        (torch.zeros(1, 2, 100), 44100, "not .channels, samples"),
        (torch.zeros(2, 100, dtype=torch.int16), 44100, "int16 have no full scale"),
        (torch.zeros(2, 100), 0, "sample_rate=0"),
    ):
        with pytest.raises(UserError, match=words):
            as_channels(waveform, rate)
