"""Frechet and kernel distances between sets of clips, in embeddings of our own."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.jackknife import jackknife

N_COMPONENTS = 16
CLIP_AT = 5.0  # spreads of the first component; further out nothing counts more (the kernel is cubic)
RECOMMENDED_CLIPS = 150
MIN_CLIPS = 4
RECOMMENDED_TRACKS = 8
FRECHET, KERNEL = "frechet", "kernel"


class Identity(nn.Module):
    """Hands embeddings that are there already to torchmetrics; `num_features` is what it asks for."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, embedded: Tensor) -> Tensor:
        """(N, num_features) as it is."""
        return embedded


class PCAEmbedding(nn.Module):
    """Any features (N, D) of clips, standardised and turned to their principal components.

    Few dimensions, so that covariances can be estimated from the clips that there are. Fitted on training
    clips of both genres together, without telling which is which.

    Args:
        features: (M, F) clips stacked (N, M, F) in dB to (N, D).
        fit_db: clips to fit on.
        components: how many to keep.
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
        kept = int((size > 1e-6 * size[0]).sum())
        self.num_features = min(components, kept)
        self.register_buffer("mean", fit.mean(0))
        # The first component's spread becomes 1, the others keep their share.
        scale = size[0] / len(fit) ** 0.5
        self.register_buffer("weights", axes[: self.num_features].T / spread[:, None] / scale)

    def forward(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) in dB to (N, num_features)."""
        return ((self.features(mels_db).double() - self.mean) @ self.weights).clamp(-CLIP_AT, CLIP_AT)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Measure the distance of Gaussians fitted to (N, D) and (K, D); it is too large for few clips."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    distance = FrechetInceptionDistance(feature=Identity(a.shape[1]))
    distance.update(a, real=True)
    distance.update(b, real=False)
    return float(distance.compute())


def kernel_audio_distance(a: Tensor, b: Tensor) -> float:
    """Estimate the squared MMD of (N, D) and (K, D) with a cubic kernel, unbiased (Binkowski 2018, eq. 4).

    Equals torchmetrics' `KernelInceptionDistance` on whole sets of equal size; the sizes may differ here.
    """
    from torchmetrics.image.kid import poly_kernel

    def within(x: Tensor) -> Tensor:
        kernel = poly_kernel(x, x)
        return (kernel.sum() - kernel.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * poly_kernel(a, b).mean())


DISTANCES = {FRECHET: frechet_distance, KERNEL: kernel_audio_distance}


def distances_to(
    reference: Tensor,
    reference_tracks: Sequence[str],
    candidates: dict[str, Tensor],
    tracks: Sequence[str],
) -> dict[str, dict[str, Estimate]]:
    """Measure distances of several candidates to a reference, without bias, by kind and candidate.

    Args:
        reference: (K, D) embeddings of real clips of the target genre.
        reference_tracks: their tracks.
        candidates: name to (N, D): what was made of the same N clips.
        tracks: tracks of the N clips.
    """
    names = list(candidates)

    def statistic(rows: list[np.ndarray]) -> np.ndarray:
        real = reference[rows[1]]
        return np.array([d(candidates[name][rows[0]], real) for d in DISTANCES.values() for name in names])

    values = iter(jackknife(statistic, [tracks, reference_tracks]))
    return {kind: {name: next(values) for name in names} for kind in DISTANCES}


def small_sample_warning(n_clips: int, n_tracks: int) -> str:
    """Warn where distances rest on few clips, or there are none; empty where there are enough."""
    if n_clips < MIN_CLIPS:
        return f"There are no distances: {n_clips} clips are too few, at least {MIN_CLIPS} are needed."
    if n_clips >= RECOMMENDED_CLIPS and n_tracks >= RECOMMENDED_TRACKS:
        return ""
    return (
        f"The distances are rough: {n_clips} clips of {n_tracks} {'track' if n_tracks == 1 else 'tracks'}, "
        f"where they want {RECOMMENDED_CLIPS} clips of {RECOMMENDED_TRACKS} tracks or more."
    )
