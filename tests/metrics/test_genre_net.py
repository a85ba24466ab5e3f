"""The network of the judge and its features, untrained."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from cyclegan_audio.metrics.band_statistics import N_RELATIONS, band_relations, standardise
from cyclegan_audio.metrics.genre_net import GenreNet, NetSettings, dropped


def test_relations_tell_bands_that_move_together_from_others() -> None:
    steps = torch.randn(2, 1, 200, generator=torch.Generator().manual_seed(0))
    alone = torch.randn(2, 32, 200, generator=torch.Generator().manual_seed(1))
    together, apart = band_relations(steps.expand(2, 32, 200)), band_relations(alone)
    assert together.shape == (2, N_RELATIONS)
    row, column = torch.triu_indices(32, 32)
    off = (row != column).repeat(2)
    of_steps = torch.arange(N_RELATIONS) >= len(row)
    variance = steps.var(2, correction=0)
    torch.testing.assert_close(together[:, ~of_steps], variance.expand(2, len(row)), atol=1e-4, rtol=1e-4)
    assert float(apart[:, off].abs().mean()) < 0.15
    assert float(apart[:, ~off & of_steps].mean()) == pytest.approx(2, abs=0.1)  # steps of noise


def test_standardised_clips_know_no_level_nor_contrast() -> None:
    mels_db = torch.randn(3, 8, 9)
    torch.testing.assert_close(standardise(5 * mels_db - 40), standardise(mels_db), atol=1e-4, rtol=0)
    assert torch.isfinite(standardise(torch.zeros(1, 4, 4))).all()


def test_settings_are_plain_values_for_the_hash() -> None:
    assert json.loads(json.dumps(dataclasses.asdict(NetSettings())))["embedding"] == NetSettings().embedding


def test_both_branches_have_their_say() -> None:
    torch.manual_seed(0)
    net = GenreNet(128, 0.02, NetSettings()).eval()
    mels_db = 20 * torch.randn(5, 128, 60) - 40
    statistics, pictures = net.see(mels_db)
    assert pictures.shape == (5, 128, 30)
    parts = net.statistics(statistics), net.convolutions(pictures)
    torch.testing.assert_close(net(mels_db), parts[0] + parts[1])
    net.share.fill_(0.25)
    torch.testing.assert_close(net(mels_db), 1.5 * parts[0] + 0.5 * parts[1])
    assert min(float(part.detach().std()) for part in parts) > 0
    assert net.embed(mels_db).shape == (5, 2 * NetSettings().embedding)


@pytest.mark.parametrize("sizes", [(80, 47, 0.021), (128, 86, 0.0116), (100, 20, 0.03)])
def test_network_takes_other_mels(sizes) -> None:
    n_mels, n_frames, frame_s = sizes
    net = GenreNet(n_mels, frame_s, NetSettings()).eval()
    assert net(torch.randn(3, n_mels, n_frames)).shape == (3,)


def test_dropout() -> None:
    random = np.random.default_rng(0)
    x = torch.ones(200, 50)
    assert dropped(x, 0.3, None) is x
    thinned = dropped(x, 0.3, random)
    torch.testing.assert_close(thinned.unique(), torch.tensor([0, 1 / 0.7]))
    assert float(thinned.mean()) == pytest.approx(1, abs=0.03)
