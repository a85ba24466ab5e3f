"""Test the baselines of a translation."""

import torch

from cyclegan_audio.metrics.baselines import BandMoments, match_mean, match_moments, nearest_neighbours


def test_match_moments_matches_each_band() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(6, 8, 50, generator=generator) * 3 - 40
    target = torch.randn(5, 8, 50, generator=generator) * torch.linspace(1, 4, 8)[:, None] - 30
    expected = BandMoments.of(target)
    moved = BandMoments.of(match_moments(source, BandMoments.of(source), expected))
    torch.testing.assert_close(moved.mean_db, expected.mean_db, atol=1e-3, rtol=0)
    torch.testing.assert_close(moved.sd_db, expected.sd_db, atol=1e-3, rtol=0)


def test_nearest_neighbour_of_a_clip_is_itself() -> None:
    real = torch.randn(7, 32, 64, generator=torch.Generator().manual_seed(0)) * 6 - 40
    order = torch.tensor([3, 0, 6])
    assert nearest_neighbours(real[order] + 0.1, real).tolist() == order.tolist()


def test_match_mean_shifts_bands_by_the_difference_of_the_means() -> None:
    source = torch.tensor([[0.0, 2.0], [-10.0, -10.0]])
    moved = match_mean(source, torch.tensor([0.0, -12.0]), torch.tensor([3.0, -20.0]))
    assert torch.equal(moved, torch.tensor([[3.0, 5.0], [-18.0, -18.0]]))
