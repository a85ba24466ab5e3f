"""What a translation is compared with."""

import torch

from cyclegan_audio.metrics.baselines import BandMoments, match_moments, nearest_neighbours


def test_moments_are_matched_by_band() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(6, 8, 50, generator=generator) * 3 - 40
    target = torch.randn(5, 8, 50, generator=generator) * torch.linspace(1, 4, 8)[:, None] - 30
    wanted = BandMoments.of(target)
    moved = BandMoments.of(match_moments(source, BandMoments.of(source), wanted))
    torch.testing.assert_close(moved.mean_db, wanted.mean_db, atol=1e-3, rtol=0)
    torch.testing.assert_close(moved.sd_db, wanted.sd_db, atol=1e-3, rtol=0)


def test_the_nearest_of_several_is_the_clip_itself() -> None:
    real = torch.randn(7, 32, 64, generator=torch.Generator().manual_seed(0)) * 6 - 40
    order = torch.tensor([3, 0, 6])
    assert nearest_neighbours(real[order] + 0.1, real).tolist() == order.tolist()
