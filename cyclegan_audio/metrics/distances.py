"""Compute distances between sets of clips in an embedding: Frechet distance, kernel distance, KAD."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.jackknife import jackknife

N_COMPONENTS = 16
CLIP_AT = 5.0  # standard deviations of the first component; the cubic kernel would overrate outliers
RECOMMENDED_CLIPS = 150
MIN_CLIPS = 4
RECOMMENDED_TRACKS = 8
FRECHET, KERNEL, KAD = "frechet", "kernel", "kad"
KAD_SCALE = 100.0  # as in the published toolkit, for readable numbers
MIN_BANDWIDTH = 0.03  # of the mean norm of the reference; only identical clips have less


class Identity(nn.Module):
    """Pass embeddings through unchanged; torchmetrics requires a module with `num_features`."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, embedded: Tensor) -> Tensor:
        """Return (N, num_features) unchanged."""
        return embedded


class PCAEmbedding(nn.Module):
    """Embedding of clips: the first principal components (PCA) of standardised features.

    It has few dimensions, so that covariances can be estimated from few clips. It is fitted on training clips
    of both genres together, without labels.

    Args:
        features: maps clips (N, M, F) in dB to features (N, D).
        fit_db: clips (N, M, F) to fit on.
        components: number of components to keep.
    """

    mean: Tensor
    weights: Tensor

    def __init__(
        self, features: Callable[[Tensor], Tensor], fit_db: Tensor, components: int = N_COMPONENTS
    ) -> None:
        super().__init__()
        self.features = features
        fit = features(fit_db).double()
        spread = fit.std(0).clamp_min(1e-6 * float(fit.abs().max()) + 1e-12)
        _, size, axes = torch.linalg.svd((fit - fit.mean(0)) / spread, full_matrices=False)
        rank = int((size > 1e-6 * size[0]).sum())
        self.num_features = min(components, rank)
        self.register_buffer("mean", fit.mean(0))
        # Scale the first component to standard deviation 1; the others keep their ratio to it.
        scale = size[0] / len(fit) ** 0.5
        self.register_buffer("weights", axes[: self.num_features].T / spread[:, None] / scale)

    def forward(self, mels_db: Tensor) -> Tensor:
        """Embed (N, M, F) in dB as (N, num_features)."""
        return ((self.features(mels_db).double() - self.mean) @ self.weights).clamp(-CLIP_AT, CLIP_AT)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Compute the Frechet distance of Gaussians fitted to (N, D) and (K, D); few clips bias it upwards."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    distance = FrechetInceptionDistance(feature=Identity(a.shape[1]))
    distance.update(a, real=True)
    distance.update(b, real=False)
    return float(distance.compute())


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Compute the unbiased squared MMD of (N, D) and (K, D) with a cubic kernel (Binkowski 2018, eq. 4).

    It equals torchmetrics' `KernelInceptionDistance` on whole sets of equal size; here sizes may differ.
    """
    from torchmetrics.image.kid import poly_kernel

    return _squared_mmd(a, b, poly_kernel)


def kernel_audio_distance(a: Tensor, b: Tensor) -> float:
    """Compute the KAD of (N, D) from a reference (K, D) (Chung et al. 2025, arXiv 2502.15602).

    It is 100 times the unbiased squared MMD with a Gaussian kernel, whose bandwidth is the median distance
    between two clips of the reference. It is not smaller than what rounding errors of distances can reach.
    """
    least = MIN_BANDWIDTH * float(b.norm(dim=1).mean()) + 1e-12
    bandwidth = torch.pdist(b).median().clamp_min(least)
    return KAD_SCALE * _squared_mmd(
        a, b, lambda x, y: (-0.5 * (torch.cdist(x, y) / bandwidth).square()).exp()
    )


def _squared_mmd(a: Tensor, b: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Compute the unbiased squared maximum mean discrepancy (MMD) of (N, D) and (K, D)."""

    def within(x: Tensor) -> Tensor:
        values = kernel(x, x)
        return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


Distance = Callable[[Tensor, Tensor], float]
DISTANCES: dict[str, Distance] = {FRECHET: frechet_distance, KERNEL: kernel_distance}


def distances_to(
    reference: Tensor,
    reference_tracks: Sequence[str],
    candidates: dict[str, Tensor],
    tracks: Sequence[str],
    distances: Mapping[str, Distance] = DISTANCES,
) -> dict[str, dict[str, Estimate]]:
    """Estimate the distances of several candidates to a reference, bias-corrected by the jackknife.

    Args:
        reference: embeddings (K, D) of real clips of the target genre.
        reference_tracks: the track of each reference clip.
        candidates: name to embeddings (N, D), all computed from the same N source clips.
        tracks: the track of each of the N clips.
        distances: functions of two sets by kind.

    Returns:
        Estimates by kind of distance, then by candidate.
    """
    names = list(candidates)

    def statistic(rows: list[np.ndarray]) -> np.ndarray:
        real = reference[rows[1]]
        return np.array([d(candidates[name][rows[0]], real) for d in distances.values() for name in names])

    values = iter(jackknife(statistic, [tracks, reference_tracks]))
    return {kind: {name: next(values) for name in names} for kind in distances}


def small_sample_warning(n_clips: int, n_tracks: int) -> str:
    """Return a warning if there are few clips or tracks for distances; empty if there are enough."""
    if n_clips < MIN_CLIPS:
        return f"There are no distances: they need at least {MIN_CLIPS} clips, got {n_clips}."
    if n_clips >= RECOMMENDED_CLIPS and n_tracks >= RECOMMENDED_TRACKS:
        return ""
    return (
        f"The distances are imprecise: {n_clips} clips of {n_tracks} track{'s' * (n_tracks != 1)}; "
        f"use at least {RECOMMENDED_CLIPS} clips of {RECOMMENDED_TRACKS} tracks."
    )
