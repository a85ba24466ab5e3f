"""Channels that cancel each other, and waveforms that are none."""

import math

import numpy as np
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


def test_arrays_and_tensors_become_channels():
    for zeros in (torch.zeros, np.zeros):
        assert as_channels(zeros(7), 8000).shape == (1, 7)
        assert as_channels(zeros((2, 7)), 8000).dtype == torch.float32
    wave = np.arange(6, dtype=">f8").reshape(2, 3)[:, ::-1]  # as no tensor can be: other bytes, backwards
    wave.flags.writeable = False
    assert as_channels(wave, 8000).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert as_channels(torch.zeros(2, 7).half(), 8000).dtype == torch.float32


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (torch.zeros(44100, 2), r"shape \(44100, 2\).*transpose"),  # as soundfile gives it
        (np.zeros((50, 2)), r"shape \(50, 2\).*transpose"),
        (np.zeros((65, 100)), "transpose"),
        (torch.zeros(1, 2, 100), "not .channels, samples"),
        (torch.zeros(2, 100, dtype=torch.int16), "int16 have no full scale; divide by 32768 to get floats"),
        (np.zeros((2, 100), np.int16), "int16 have no full scale; divide by 32768 to get floats"),
        (np.zeros(100, np.int32), "divide by 2147483648 "),
        (np.zeros(100, np.uint8), "uint8 have no full scale; scale them"),
        (np.zeros(100, np.complex64), "complex64"),
        (torch.zeros(100, dtype=torch.bool), "bool"),
        ([0.0, 0.1], "numpy array or a torch tensor, not list"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform, words):
    with pytest.raises(UserError, match=words) as caught:
        as_channels(waveform, 8000)
    assert "\n" not in str(caught.value)


def test_a_rate_that_is_not_one_of_music_is_refused():
    with pytest.raises(UserError, match="sample_rate=0"):
        as_channels(torch.zeros(2, 100), 0)
