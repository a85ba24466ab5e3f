"""Test the augmentation and degradation of mels."""

import dataclasses

import torch

from cyclegan_audio.metrics.genre_classifier.augmentation import (
    add_noise,
    augment,
    crop_at_tempo,
    low_pass,
    shift_bands,
)
from cyclegan_audio.metrics.genre_classifier.network import GenreNetSettings


def test_low_pass_keeps_bands_below_the_cutoff() -> None:
    mels_db = torch.rand(2, 4, 5)
    out = low_pass(mels_db, torch.tensor([100.0, 1000, 5000, 9000]), 4000.0)
    assert torch.equal(out[:, :2], mels_db[:, :2])
    lowest = mels_db.amin((1, 2))
    assert torch.equal(out[:, 2:], lowest[:, None, None].expand(2, 2, 5))


def test_add_noise_fills_quiet_bands_only() -> None:
    mels_db = torch.full((2, 40, 50), -90.0)
    mels_db[:, 3] = torch.tensor([0.0, -20.0])[:, None]
    out = add_noise(mels_db, 40.0)
    assert torch.equal(out[:, 3], mels_db[:, 3])
    quiet = out[:, 4:].flatten(1)
    torch.testing.assert_close(quiet.mean(1), torch.tensor([-40.0, -60.0]), atol=0.5, rtol=0)
    assert torch.equal(add_noise(mels_db, 40.0), out)


def test_shift_bands_repeats_the_outermost_band() -> None:
    x = torch.arange(5.0)[None, :, None].expand(3, 5, 2)
    moved = shift_bands(x, torch.tensor([0, 2, -1]))
    assert moved[:, :, 1].tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2], [1, 2, 3, 4, 4]]


def test_crop_at_tempo_by_hand() -> None:
    x = torch.arange(101.0).expand(4, 3, 101)
    crops = crop_at_tempo(x, 51, torch.tensor([1.0, 0.5, 1.5, 9.0]), torch.tensor([0.0, 1.0, 0.5, 0.5]))
    assert crops.shape == (4, 3, 51)
    expected = [
        (0, 1),
        (75, 0.5),
        (12.5, 1.5),
        (0, 2),
    ]  # first frame and step; the last is limited by its clip
    for crop, (start, step) in zip(crops, expected, strict=True):
        torch.testing.assert_close(crop, (start + step * torch.arange(51.0)).expand(3, 51))
    assert crop_at_tempo(x[:, :, :1], 1, torch.ones(4), torch.zeros(4)).shape == (4, 3, 1)


def test_augment_is_random_and_finite() -> None:
    random = torch.Generator().manual_seed(0)
    mels_db = 20 * torch.randn(6, 128, 50) - 40
    band_hz = torch.linspace(50, 20000, 128)
    one, two = (augment(mels_db, band_hz, GenreNetSettings(), random) for _ in range(2))
    assert one.shape == (6, 128, 35)
    assert torch.isfinite(one).all()
    assert not torch.equal(one, two)
    disabled = dataclasses.replace(
        GenreNetSettings(), tilt_db=0, noise_db=0, quiet_floor=0, loud_floor=0, crop_share=1, stretch=0
    )
    change_db = (augment(mels_db, band_hz, disabled, random) - mels_db)[:, band_hz < 4000].abs()
    assert float(change_db.median()) < 0.01
