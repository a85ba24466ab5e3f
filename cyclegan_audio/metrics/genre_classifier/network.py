"""Define the network of the genre classifier: a convolutional branch and a branch on band statistics."""

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.metrics.band_statistics import (
    N_COVARIANCES,
    band_covariances,
    modulation_log_power,
    standardise,
)

FRAME_S = 0.02  # frames are averaged to about this length, so that all mel settings cost the same
CONVOLUTION_POOL = 2  # further pooling in time before the convolutions
OUTLIER = 4.0  # standard deviations of a feature
BLOCK = 64  # clips at once
MIN_VARIANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class BranchSettings:
    """Training settings of one branch.

    Attributes:
        epochs: over the clips, limited to between `min_batches` and `max_batches`.
        weight_decay: weight decay of AdamW.
        label_smoothing: fraction of each label that is replaced by 0.5.
        mixup: both parameters of the beta distribution (Zhang et al. 2018); 0 disables mixup.
    """

    epochs: int
    min_batches: int
    max_batches: int
    batch_size: int
    weight_decay: float
    label_smoothing: float
    mixup: float = 0.0


@dataclasses.dataclass(frozen=True)
class GenreNetSettings:
    """Settings of the network and its training.

    Attributes:
        widths: filters of each convolutional layer.
        embedding: hidden units of each branch.
        dropout: dropout of the features and the hidden layer.
        statistics, convolutions: training settings of the two branches.
        lr: maximum learning rate of AdamW, on a one-cycle schedule.
        weight_averaging_share: fraction of the batches, at the end, over which weights are averaged.
        views: augmented versions of each clip, computed before training.
        plain_views: how often the original clip counts relative to one augmented version.
        crop_share: fraction of the clip's frames in an augmented version.
        convolution_crop_share: fraction of those frames in an example for the convolutions.
        stretch: maximum of |log| of the random tempo change.
        shift_bands: maximum shift of examples for the convolutions, in bands (another key).
        masked_bands: fewer than this many neighbouring bands are masked in examples for the convolutions.
        tilt_db: maximum of the random smooth gain over bands.
        noise_db: maximum standard deviation of the Gaussian noise.
        quiet_floor, loud_floor: height of the random noise floor as a fraction of the clip's range: up to
            `quiet_floor` in one half of the examples, from `quiet_floor` to `loud_floor` in the other.
        floor_spread_db: minimum and maximum standard deviation of the noise floor.
        seed: seed of initialisation, augmentation and training.
    """

    widths: tuple[int, ...] = (16, 24, 32, 48)
    embedding: int = 64
    dropout: float = 0.3
    statistics: BranchSettings = BranchSettings(30, 150, 5000, 64, weight_decay=0.02, label_smoothing=0.05)
    convolutions: BranchSettings = BranchSettings(
        20, 60, 1200, 32, weight_decay=0.05, label_smoothing=0.1, mixup=0.3
    )
    lr: float = 2e-3
    weight_averaging_share: float = 0.1
    views: int = 8
    plain_views: int = 2
    crop_share: float = 0.7
    convolution_crop_share: float = 0.7
    stretch: float = 0.15
    shift_bands: int = 4
    masked_bands: int = 16
    tilt_db: float = 3.0
    noise_db: float = 3.0
    quiet_floor: float = 0.2
    loud_floor: float = 0.65
    floor_spread_db: tuple[float, float] = (1.0, 6.0)
    seed: int = 0


class Branch(nn.Module):
    """A classifier with one hidden layer on features of its inputs (N, ...); gives logits (N,).

    Args:
        size: D of the features (N, D).
        settings: layer sizes and dropout.
    """

    def __init__(self, size: int, settings: GenreNetSettings) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.embedding = nn.Linear(size, settings.embedding)
        self.last = nn.Linear(settings.embedding, 1)

    def features(self, inputs: Tensor) -> Tensor:
        """Compute standardised features (N, D) of the inputs (N, ...), clipped against outliers."""
        raise NotImplementedError

    def embed(self, inputs: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """Compute the hidden layer (N, embedding) of the inputs (N, ...); `random` enables dropout."""
        return F.relu(self.embedding(seeded_dropout(self.features(inputs), self.dropout, random)))

    def classify(self, hidden: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """Compute logits (N,) of the hidden layer (N, embedding); `random` enables dropout."""
        return self.last(seeded_dropout(hidden, self.dropout, random))[:, 0]

    def forward(self, inputs: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """Compute logits (N,) of the inputs (N, ...); `random` enables dropout."""
        return self.classify(self.embed(inputs, random), random)


class StatisticsBranch(Branch):
    """Branch on band statistics (N, D), standardised by those of the training clips."""

    def __init__(self, size: int, settings: GenreNetSettings) -> None:
        super().__init__(size, settings)
        self.mean = nn.Buffer(torch.zeros(size))
        self.scale = nn.Buffer(torch.ones(size))

    def fit_standardisation(self, statistics: Tensor) -> None:
        """Set mean and scale from the statistics (V, N, D) of training examples."""
        self.mean.copy_(statistics.mean((0, 1)))
        self.scale.copy_(statistics.flatten(0, 1).std(0, correction=0).clamp_min(1e-6))

    def features(self, inputs: Tensor) -> Tensor:
        return ((inputs - self.mean) / self.scale).clamp(-OUTLIER, OUTLIER)


class ConvolutionalBranch(Branch):
    """Branch of 3 x 3 convolutions over bands and frames of standardised mels (N, M, F).

    Blocks of two by two points are the input channels. Every layer but the first halves the bands, the second
    also the frames. Features are mean, standard deviation and maximum of the last layer over time.
    """

    def __init__(self, n_mels: int, settings: GenreNetSettings) -> None:
        widths = settings.widths
        super().__init__(3 * widths[-1] * math.ceil(n_mels / 2 ** len(widths)), settings)
        self.level = nn.BatchNorm1d(n_mels, affine=False)
        layers: list[nn.Module] = []
        strides = [(1, 1), (2, 2), *[(2, 1)] * (len(widths) - 2)]
        for n, width, stride in zip((4, *widths), widths, strides, strict=False):
            filters = nn.Conv2d(n, width, 3, stride, 1, bias=False)
            layers += [filters, nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm1d(self.embedding.in_features)

    def features(self, inputs: Tensor) -> Tensor:
        padded = F.pad(self.level(inputs), (0, inputs.shape[2] % 2, 0, inputs.shape[1] % 2))
        blocks = F.pixel_unshuffle(padded[:, None], 2)
        x = self.layers(blocks.contiguous(memory_format=torch.channels_last))
        return self.norm(torch.cat([_mean_and_std(x), x.amax(-1).flatten(1)], 1)).clamp(-OUTLIER, OUTLIER)


class GenreNet(nn.Module):
    """Network from mels in dB (N, M, F) of any level to one logit (N,), positive for the second genre.

    Each clip is standardised, which removes its level. One branch convolves over bands and frames. The other
    has one hidden layer on statistics: mean and standard deviation of each band and of its steps from frame
    to frame, modulation, and covariances between bands. Their logits are averaged with a weight that is
    fitted on held-out tracks (experiments/005_paper_results).

    Args:
        n_mels: M.
        frame_s: seconds from frame to frame.
        settings: layer sizes and dropout.
    """

    def __init__(self, n_mels: int, frame_s: float, settings: GenreNetSettings) -> None:
        super().__init__()
        self.pool = max(1, round(FRAME_S / frame_s))
        self.frame_s = frame_s * self.pool
        self.statistics = StatisticsBranch(8 * n_mels + N_COVARIANCES, settings)
        self.convolutions = ConvolutionalBranch(n_mels, settings)
        self.mixing_weight = nn.Buffer(torch.tensor(0.5))

    def branch_inputs(self, mels_db: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the inputs of both branches: statistics (N, 8 M + N_COVARIANCES) and mels (N, M, F)."""
        x = standardise(mels_db)
        x = F.avg_pool1d(x, self.pool) if self.pool > 1 else x
        moments = _mean_and_std(x), _mean_and_std(x.diff(dim=2).abs())
        statistics = torch.cat([*moments, *modulation_log_power(x, self.frame_s), band_covariances(x)], 1)
        return statistics, F.avg_pool1d(x, CONVOLUTION_POOL)

    def embed(self, mels_db: Tensor) -> Tensor:
        """Concatenate the hidden layers of both branches (N, 2 embedding)."""
        statistics, mels = self.branch_inputs(mels_db)
        return torch.cat([self.statistics.embed(statistics), self.convolutions.embed(mels)], 1)

    def forward(self, mels_db: Tensor) -> Tensor:
        """Compute logits (N,) of mels (N, M, F)."""
        statistics, mels = self.branch_inputs(mels_db)
        return self.combine_logits(self.statistics(statistics), self.convolutions(mels))

    def combine_logits(self, statistics: Tensor, convolutions: Tensor) -> Tensor:
        """Combine the logits (N,) of the two branches by `mixing_weight`."""
        return 2 * torch.lerp(statistics, convolutions, self.mixing_weight)


def seeded_dropout(x: Tensor, probability: float, random: np.random.Generator | None) -> Tensor:
    """Apply dropout with a separate random generator, which keeps parallel trainings reproducible."""
    if random is None:
        return x
    kept = torch.from_numpy(random.random(x.shape, dtype=np.float32) >= probability)
    return x * kept / (1 - probability)


def _mean_and_std(x: Tensor) -> Tensor:
    """Compute mean and standard deviation over the last axis, (N, ..., F) to (N, D)."""
    mean = x.mean(-1)
    std = (x.square().mean(-1) - mean.square()).clamp_min(0).add(MIN_VARIANCE).sqrt()
    return torch.cat([mean.flatten(1), std.flatten(1)], 1)
