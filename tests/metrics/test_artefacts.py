"""Faults that are put in are found, and real sound has none."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.metrics.artefacts import (
    checkerboard_db,
    clicks_per_s,
    find_clicks,
    quiet_db,
    seam_db,
    silence_gain_db,
)

Sound = Callable[..., Tensor]


def sounding(mel: MelSettings, bursts: Sound, melody: Sound) -> Tensor:
    rate = mel.sample_rate
    return melody([(0.0, 4.0, 220.0)], rate) + bursts(
        np.cumsum([0.2, 0.31, 0.17, 0.43, 0.29, 0.37, 0.23, 0.47, 0.19, 0.41]), rate
    )


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_lattice_is_found(
    any_mel: MelSettings, bursts: Sound, melody: Sound, period: int, axis: int
) -> None:
    mel_db = any_mel.mel_db(sounding(any_mel, bursts, melody)[None])
    place = torch.arange(mel_db.shape[axis])
    lattice = 6 * torch.cos(2 * math.pi * place / period)
    worse = mel_db + (lattice if axis == 2 else lattice[:, None])
    assert checkerboard_db(mel_db).item() < 8
    assert checkerboard_db(worse).item() > checkerboard_db(mel_db).item() + 3


def test_silence_that_became_noise(any_mel: MelSettings, melody: Sound) -> None:
    mel_db = any_mel.mel_db(melody([(0.0, 2.0, 220.0)], any_mel.sample_rate)[None])
    noisy = torch.where(torch.arange(mel_db.shape[2]) > 0.6 * mel_db.shape[2], mel_db + 20, mel_db)
    assert silence_gain_db(mel_db, mel_db).item() == 0
    assert 10 < silence_gain_db(mel_db, noisy).item() <= 20
    assert math.isnan(silence_gain_db(torch.zeros(1, 8, 10), torch.zeros(1, 8, 10)).item())


def test_quietest_passages_under_the_loudest() -> None:
    mel_db = torch.zeros(1, 4, 100)
    mel_db[..., 90:] = -30
    assert quiet_db(mel_db).item() == pytest.approx(-30, abs=1e-3)
    assert quiet_db(mel_db + 12).item() == pytest.approx(-30, abs=1e-3)


def test_clicks_are_counted_drums_are_not(hifi: MelSettings, bursts: Sound, melody: Sound) -> None:
    clean = 0.5 * sounding(hifi, bursts, melody)
    clicked = clean.clone()
    clicked[torch.arange(1, 9) * 20011] += 0.3
    clean_rate, clicked_rate = clicks_per_s(torch.stack([clean, clicked]), 44100).tolist()
    assert clean_rate < 0.3
    assert clicked_rate == pytest.approx(clean_rate + 2, abs=0.3)


def test_a_hard_seam_is_found_a_smooth_one_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    change = torch.randn(16, 200, generator=generator)
    broken = change.clone()
    broken[:, 100:] += 8
    assert abs(seam_db(change, [100])) < 1.5
    assert seam_db(broken, [100]) > 6
    assert math.isnan(seam_db(change, []))


def test_the_ends_of_noise_are_no_clicks():
    noise = torch.randn(2000, 1024, generator=torch.Generator().manual_seed(0)) * 0.1
    assert find_clicks(noise, 44100).sum() == 0
