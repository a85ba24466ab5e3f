"""Test distances and their intervals: unbiased for equal sets, and equal to torchmetrics."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.image.kid import KernelInceptionDistance

from cyclegan_audio.metrics.band_statistics import band_statistics
from cyclegan_audio.metrics.distances import (
    FRECHET,
    KERNEL,
    Identity,
    PCAEmbedding,
    distances_to,
    frechet_distance,
    kernel_audio_distance,
    kernel_distance,
    small_sample_warning,
)


def sample_clips(
    rng: np.random.Generator, n_tracks: int, clips: int, shift: float = 0.0
) -> tuple[Tensor, list[str]]:
    """Return embeddings (N, 4) that are correlated within tracks, and the track of each."""
    tracks = np.repeat(np.arange(n_tracks), clips)
    values = rng.normal(shift, 0.7, (n_tracks, 4))[tracks] + rng.normal(0, 0.7, (len(tracks), 4))
    return torch.from_numpy(values), tracks.astype(str).tolist()


def test_kernel_distance_equals_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    a, b = sample_clips(rng, 20, 1)[0], sample_clips(rng, 20, 1, shift=1.0)[0]
    metric = KernelInceptionDistance(feature=Identity(4), subsets=1, subset_size=20)
    metric.update(a, real=True)
    metric.update(b, real=False)
    assert kernel_distance(a, b) == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_frechet_distance_of_shifted_sets_by_hand() -> None:
    a = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert frechet_distance(a, a + torch.tensor([1.0, 2.0, 0.0])) == pytest.approx(5.0, abs=1e-4)


def test_distances_of_equal_sets_are_unbiased_and_intervals_cover_zero() -> None:
    """12 tracks per set."""
    rng = np.random.default_rng(0)
    biased, hits = [], {FRECHET: 0, KERNEL: 0}
    means: dict[str, list[float]] = {FRECHET: [], KERNEL: []}
    rounds = 40
    for _ in range(rounds):
        (a, tracks), (b, others) = sample_clips(rng, 12, 3), sample_clips(rng, 12, 3)
        biased.append(frechet_distance(a, b))
        for kind, values in distances_to(b, others, {"same": a}, tracks).items():
            means[kind].append(values["same"].mean)
            hits[kind] += values["same"].low <= 0 <= values["same"].high
    assert abs(np.mean(means[FRECHET])) < 0.25 * np.mean(biased)
    assert abs(np.mean(means[KERNEL])) < 0.1
    assert all(0.85 * rounds <= n for n in hits.values())


def test_distances_of_different_sets_are_above_zero() -> None:
    rng = np.random.default_rng(1)
    (a, tracks), (b, others) = sample_clips(rng, 12, 3), sample_clips(rng, 12, 3, shift=2.0)
    for values in distances_to(b, others, {"other": a, "shifted": a + 2}, tracks).values():
        assert values["other"].low > 0
        assert values["shifted"].mean < 0.2 * values["other"].mean
        assert (values["other"].n, values["other"].groups) == (36, 12)


def test_pca_embedding_of_band_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(30, 32, 64, generator=generator).cumsum(2) - 40
    embed = PCAEmbedding(lambda mels_db: band_statistics(mels_db, 0.02).flatten(1), clips, components=8)
    embedded = embed(clips)
    assert embedded.shape == (30, embed.num_features) == (30, 8)
    covariance = torch.cov(embedded.T)
    assert covariance[0, 0].item() == pytest.approx(1, rel=0.1)
    assert (covariance - covariance.diag().diag()).abs().max().item() < 1e-6
    torch.testing.assert_close(embed(clips + 12), embedded, atol=1e-3, rtol=1e-3)  # level does not matter
    shuffled = clips[..., torch.randperm(64, generator=generator)]
    assert kernel_distance(embed(shuffled), embedded) > 1


def test_kernel_distance_by_hand() -> None:
    """The cubic kernel (x y / D + 1)^3 of two sets of two numbers each."""
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [-1.0], [0.0]])
    within_a, within_b = 1.0, (2 * (-1) ** 3 + 4 * 1) / 6
    between = (1 + 1 + 1 + 27 + 0 + 1) / 6
    assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between, rel=1e-5)


def test_kernel_audio_distance_by_hand() -> None:
    """The reference has the distances 1, 2 and 3, so the bandwidth is 2 and the kernel exp(-d^2 / 8)."""
    reference, a = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [4.0]])
    within_a, within_b = np.exp(-2), (np.exp(-1 / 8) + np.exp(-9 / 8) + np.exp(-4 / 8)) / 3
    between = (1 + np.exp(-1 / 8) + np.exp(-9 / 8) + np.exp(-16 / 8) + np.exp(-9 / 8) + np.exp(-1 / 8)) / 6
    expected = 100 * (within_a + within_b - 2 * between)
    assert kernel_audio_distance(a, reference) == pytest.approx(expected, rel=1e-5)
    assert kernel_audio_distance(10 * a, 10 * reference) == pytest.approx(expected, rel=1e-5)


def test_kernel_audio_distance_from_identical_clips() -> None:
    reference = torch.full((30, 200), 0.37)
    others = torch.randn(20, 200, generator=torch.Generator().manual_seed(0))
    assert kernel_audio_distance(reference[:20], reference) == pytest.approx(0, abs=0.1)
    assert kernel_audio_distance(others, reference) > 90
    zeros = torch.zeros(8, 200)
    assert kernel_audio_distance(zeros, zeros) == 0


def test_pca_embedding_clips_at_five_and_drops_constant_features() -> None:
    """Two features of which one is constant: one component of standard deviation 1 on the fitted clips."""
    fit = torch.tensor([[-1.0, 3.0], [1.0, 3.0], [-1.0, 3.0], [1.0, 3.0]])[..., None]
    embed = PCAEmbedding(lambda mels: mels.flatten(1), fit)
    assert embed.num_features == 1
    actual = embed(torch.tensor([[1.0, 3.0], [4.0, 3.0], [90.0, 3.0]])[..., None])[:, 0].abs()
    assert actual.tolist() == pytest.approx([1, 4, 5])
    assert PCAEmbedding(lambda mels: mels.flatten(1), torch.randn(40, 30, 1)).num_features == 16


def test_pca_embedding_ignores_the_scale_of_features() -> None:
    fit = torch.randn(40, 3, 1, generator=torch.Generator().manual_seed(0))
    embedded = PCAEmbedding(lambda mels: mels.flatten(1), fit)(fit)
    small = PCAEmbedding(lambda mels: 1e-4 * mels.flatten(1), fit)(fit)
    torch.testing.assert_close(small, embedded, rtol=1e-6, atol=1e-6)


def test_pca_embedding_drops_components_a_millionth_of_the_first() -> None:
    """A copy of a feature that differs by a part in 10^8 adds no component; by a part in 10^4 it does."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 40, 1, generator=generator, dtype=torch.float64)
    for part, expected in ((1e-8, 1), (1e-4, 2)):
        fit = torch.stack([one, one + part * other], 1)
        assert PCAEmbedding(lambda mels: mels.flatten(1), fit).num_features == expected


@pytest.mark.parametrize(
    ("n_clips", "n_tracks", "text"),
    [
        (3, 3, "need at least 4 clips, got 3"),
        (4, 1, "imprecise: 4 clips of 1 track;"),
        (149, 8, "imprecise"),
        (150, 7, "imprecise"),
        (150, 8, ""),
    ],
)
def test_small_sample_warning(n_clips: int, n_tracks: int, text: str) -> None:
    warning = small_sample_warning(n_clips, n_tracks)
    assert text in warning
    assert bool(warning) is bool(text)
