"""Test the untrained network of the genre classifier and its features."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cyclegan_audio.metrics.band_statistics import N_COVARIANCES, band_covariances, standardise
from cyclegan_audio.metrics.genre_classifier.network import (
    ConvolutionalBranch,
    GenreNet,
    GenreNetSettings,
    StatisticsBranch,
    modulation_log_power,
    seeded_dropout,
)


def test_band_covariances_separate_correlated_from_independent_bands() -> None:
    steps = torch.randn(2, 1, 200, generator=torch.Generator().manual_seed(0))
    alone = torch.randn(2, 32, 200, generator=torch.Generator().manual_seed(1))
    together, apart = band_covariances(steps.expand(2, 32, 200)), band_covariances(alone)
    assert together.shape == (2, N_COVARIANCES)
    row, column = torch.triu_indices(32, 32)
    off = (row != column).repeat(2)
    of_steps = torch.arange(N_COVARIANCES) >= len(row)
    variance = steps.var(2, correction=0)
    torch.testing.assert_close(together[:, ~of_steps], variance.expand(2, len(row)), atol=1e-4, rtol=1e-4)
    assert float(apart[:, off].abs().mean()) < 0.15
    assert float(apart[:, ~off & of_steps].mean()) == pytest.approx(2, abs=0.1)  # steps of noise


def test_standardise_removes_level_and_contrast() -> None:
    mels_db = torch.randn(3, 8, 9)
    torch.testing.assert_close(standardise(5 * mels_db - 40), standardise(mels_db), atol=1e-4, rtol=0)
    assert torch.isfinite(standardise(torch.zeros(1, 4, 4))).all()


def test_settings_can_be_serialised_for_the_hash() -> None:
    assert (
        json.loads(json.dumps(dataclasses.asdict(GenreNetSettings())))["embedding"]
        == GenreNetSettings().embedding
    )


def test_logits_combine_both_branches() -> None:
    torch.manual_seed(0)
    net = GenreNet(128, 0.02, GenreNetSettings()).eval()
    mels_db = 20 * torch.randn(5, 128, 60) - 40
    statistics, mels = net.branch_inputs(mels_db)
    assert mels.shape == (5, 128, 30)
    assert net.statistics.last.weight.shape == net.convolutions.last.weight.shape == (1, 64)
    branch_logits = net.statistics(statistics), net.convolutions(mels)
    torch.testing.assert_close(net(mels_db), branch_logits[0] + branch_logits[1])
    net.mixing_weight.fill_(0.25)
    torch.testing.assert_close(net(mels_db), 1.5 * branch_logits[0] + 0.5 * branch_logits[1])
    assert min(float(part.detach().std()) for part in branch_logits) > 0
    assert net.embed(mels_db).shape == (5, 2 * GenreNetSettings().embedding)


def test_modulation_log_power_by_hand() -> None:
    """In 2 s of frames of 20 ms, a sine of amplitude 3 has power 9 / 4 in the octave that contains it."""
    time_s = torch.arange(100) * 0.02
    silence = math.log(1e-6)
    for hz, octave in (
        (0.5, None),
        (1.0, 0),
        (2.0, 1),
        (3.5, 1),
        (4.0, 2),
        (8.0, 3),
        (15.5, 3),
        (16.0, None),
    ):
        x = 7 + 3 * torch.cos(math.tau * hz * time_s)[None, None]
        actual = [float(band) for band in modulation_log_power(x, 0.02)]
        expected = [math.log(2.25) if n == octave else silence for n in range(4)]
        assert actual == pytest.approx(expected, abs=1e-2)


def test_standardise_clips_at_three() -> None:
    x = torch.zeros(1, 10, 10)
    x[0, 0, 0] = 100.0  # 99 over a spread of 9.95
    out = standardise(x)
    assert out.max() == 3
    assert float(out[0, 5, 5]) == pytest.approx(-1 / math.sqrt(99), abs=1e-4)


def test_convolutions_layer_by_layer() -> None:
    """Compare with a float64 reference: 2 x 2 blocks, strides, moments and maxima, clipped at 4."""
    torch.manual_seed(0)
    net = ConvolutionalBranch(13, GenreNetSettings(widths=(4, 6, 5))).eval()
    net.norm.running_var.fill_(0.0004)
    inputs = torch.randn(2, 13, 9)
    with torch.no_grad():
        x = torch.zeros(2, 14, 10, dtype=torch.float64)
        x[:, :13, :9] = inputs.double() / math.sqrt(1 + 1e-5)
        x = torch.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)
        convs = [layer.weight.double() for layer in net.layers if isinstance(layer, nn.Conv2d)]
        for weight, stride in zip(convs, ((1, 1), (2, 2), (2, 1)), strict=True):
            x = F.relu(F.conv2d(x, weight, stride=stride, padding=1) / math.sqrt(1 + 1e-5))
        assert x.shape == (2, 5, 2, 3)
        moments = [x.mean(-1), (x.var(-1, correction=0) + 1e-5).sqrt(), x.amax(-1)]
        expected = torch.cat([part.flatten(1) for part in moments], 1) / math.sqrt(0.0004 + 1e-5)
        actual = net.features(inputs).double()
    assert float(expected.max()) > 4
    torch.testing.assert_close(actual, expected.clamp(-4, 4), atol=1e-3, rtol=0)


def test_statistics_branch_standardises_and_clips_at_four() -> None:
    net = StatisticsBranch(2, GenreNetSettings())
    net.fit_standardisation(torch.tensor([[[0.0, 5.0], [2.0, 5.0]], [[4.0, 5.0], [6.0, 5.0]]]))
    assert net.mean.tolist() == [3, 5]
    assert net.scale.tolist() == pytest.approx([math.sqrt(5), 1e-6])
    inputs = torch.tensor([[3 + 2 * math.sqrt(5), 5.0], [100.0, 4.0]])
    assert net.features(inputs).flatten().tolist() == pytest.approx([2, 0, 4, -4])


@pytest.mark.parametrize(("frame_s", "pool"), [(0.0116, 2), (0.0213, 1), (0.005, 4), (0.03, 1), (0.06, 1)])
def test_branch_inputs_pool_frames_to_about_20_ms(frame_s: float, pool: int) -> None:
    net = GenreNet(32, frame_s, GenreNetSettings())
    assert (net.pool, net.frame_s) == (pool, pytest.approx(pool * frame_s))
    mels_db = torch.randn(2, 32, 80)
    statistics, mels = net.branch_inputs(mels_db)
    x = F.avg_pool1d(standardise(mels_db), pool)
    steps = x.diff(dim=2).abs()
    assert mels.shape == (2, 32, 80 // pool // 2)
    parts = [x.mean(2), x.std(2, correction=0), steps.mean(2), steps.std(2, correction=0)]
    torch.testing.assert_close(statistics[:, : 4 * 32], torch.cat(parts, 1), atol=1e-3, rtol=0)
    modulation = torch.cat(modulation_log_power(x, pool * frame_s), 1)
    torch.testing.assert_close(statistics[:, 4 * 32 : 8 * 32], modulation)
    assert statistics.shape[1] == 8 * 32 + 2 * 32 * 33 // 2


def test_default_settings_are_unchanged() -> None:
    """Changing a setting changes the genre metrics of every report."""
    assert dataclasses.astuple(GenreNetSettings()) == (
        (16, 24, 32, 48), 64, 0.3,
        (30, 150, 5000, 64, 0.02, 0.05, 0.0),
        (20, 60, 1200, 32, 0.05, 0.1, 0.3),
        2e-3, 0.1, 8, 2, 0.7, 0.7, 0.15, 4, 16, 3.0, 3.0, 0.2, 0.65, (1.0, 6.0), 0,
    )  # fmt: skip


@pytest.mark.parametrize("sizes", [(80, 47, 0.021), (128, 86, 0.0116), (100, 20, 0.03)])
def test_network_accepts_other_mel_sizes(sizes) -> None:
    n_mels, n_frames, frame_s = sizes
    net = GenreNet(n_mels, frame_s, GenreNetSettings()).eval()
    assert net(torch.randn(3, n_mels, n_frames)).shape == (3,)


def test_seeded_dropout() -> None:
    random = np.random.default_rng(0)
    x = torch.ones(200, 50)
    assert seeded_dropout(x, 0.3, None) is x
    dropped = seeded_dropout(x, 0.3, random)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 1 / 0.7]))
    assert float(dropped.mean()) == pytest.approx(1, abs=0.03)
