"""A small neural genre classifier of mels, trained apart from any CycleGAN: convolutions and statistics."""

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

FRAME_S = 0.02  # frames are averaged to about this length, so that both mel definitions cost alike
CONVOLUTION_POOL = 2  # convolutions see so many of these as one
OUTLIER = 4.0  # standard deviations of a feature
BLOCK = 64  # clips at once
MIN_VARIANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class BranchSettings:
    """How one of the two branches is taught.

    Attributes:
        epochs: over the clips, in at least `min_batches` and at most `max_batches`.
        weight_decay: of AdamW.
        label_smoothing: share of the label that says nothing.
        mixup: both parameters of the beta distribution of shares (Zhang et al. 2018); 0 mixes nothing.
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
    """Numbers of the network and of its training.

    Attributes:
        widths: filters of each layer of convolutions.
        embedding: hidden units of each branch.
        dropout: of features, and before the last layer.
        statistics, convolutions: how the two branches are taught.
        lr: of AdamW; it follows one cosine cycle.
        weight_averaging_share: of the batches, at the end, over which weights are averaged.
        views: augmented examples of each clip, made beforehand.
        plain_views: times that the clip as it is counts beside them.
        crop_share: share of a clip's frames in a view.
        convolution_crop_share: share of a view's frames that convolutions see at once.
        stretch: a view is played faster or slower by a factor of at most e to this.
        shift_bands: convolutions see it moved up or down by at most so many bands, as if in another key.
        masked_bands: fewer than so many neighbouring bands are hidden from convolutions.
        tilt_db: largest random gain of a band relative to the clip's mean, smooth over bands.
        noise_db: largest standard deviation of the random error of each point.
        quiet_floor, loud_floor: a random noise floor fills at most this share of the clip's range from below
            in the one half of the examples, and from this to that in the other.
        floor_spread_db: least and largest standard deviation of the floor.
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
    """One hidden layer on features of what a branch sees of clips: (N, ...) to one logit (N,).

    Args:
        size: D of the features (N, D).
        settings: sizes.
    """

    def __init__(self, size: int, settings: GenreNetSettings) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.embedding = nn.Linear(size, settings.embedding)
        self.last = nn.Linear(settings.embedding, 1)

    def features(self, seen: Tensor) -> Tensor:
        """(N, ...) to (N, D), standardised and clipped: one odd feature decides nothing."""
        raise NotImplementedError

    def embed(self, seen: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """(N, ...) to the hidden layer (N, embedding); with `random`, some features are left out."""
        return F.relu(self.embedding(seeded_dropout(self.features(seen), self.dropout, random)))

    def classify(self, hidden: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """(N, embedding) to logits (N,)."""
        return self.last(seeded_dropout(hidden, self.dropout, random))[:, 0]

    def forward(self, seen: Tensor, random: np.random.Generator | None = None) -> Tensor:
        """(N, ...) to logits (N,)."""
        return self.classify(self.embed(seen, random), random)


class StatisticsBranch(Branch):
    """Looks at fixed statistics (N, D), standardised as by the clips that it was taught by."""

    def __init__(self, size: int, settings: GenreNetSettings) -> None:
        super().__init__(size, settings)
        self.mean = nn.Buffer(torch.zeros(size))
        self.scale = nn.Buffer(torch.ones(size))

    def fit_standardisation(self, statistics: Tensor) -> None:
        """Statistics (V, N, D) of training examples."""
        self.mean.copy_(statistics.mean((0, 1)))
        self.scale.copy_(statistics.flatten(0, 1).std(0, correction=0).clamp_min(1e-6))

    def features(self, seen: Tensor) -> Tensor:
        return ((seen - self.mean) / self.scale).clamp(-OUTLIER, OUTLIER)


class ConvolutionalBranch(Branch):
    """Looks at standardised mels (N, M, F) through layers of 3 x 3 filters over bands and time.

    Two by two points are the channels of the first layer; each other layer halves the bands, the second also
    time. Of what the last layer gives, mean, standard deviation and maximum over time count.
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

    def features(self, seen: Tensor) -> Tensor:
        even = F.pad(self.level(seen), (0, seen.shape[2] % 2, 0, seen.shape[1] % 2))
        points = F.pixel_unshuffle(even[:, None], 2)
        x = self.layers(points.contiguous(memory_format=torch.channels_last))
        return self.norm(torch.cat([_mean_and_std(x), x.amax(-1).flatten(1)], 1)).clamp(-OUTLIER, OUTLIER)


class GenreNet(nn.Module):
    """Mels in dB (N, M, F) of any level to one logit (N,), positive for the second genre.

    Each clip is standardised over its bands and frames, so that level does not count. Two branches look at
    it: convolutions over bands and time, and one hidden layer on the mean and standard deviation over time of
    each band and of its steps from frame to frame, on its modulation, and on how bands move together. Their
    logits are added by shares that tracks left out of training tell (experiments/005_paper_results).

    Args:
        n_mels: M.
        frame_s: seconds from frame to frame.
        settings: sizes.
    """

    def __init__(self, n_mels: int, frame_s: float, settings: GenreNetSettings) -> None:
        super().__init__()
        self.pool = max(1, round(FRAME_S / frame_s))
        self.frame_s = frame_s * self.pool
        self.statistics = StatisticsBranch(8 * n_mels + N_COVARIANCES, settings)
        self.convolutions = ConvolutionalBranch(n_mels, settings)
        self.mixing_weight = nn.Buffer(torch.tensor(0.5))

    def branch_inputs(self, mels_db: Tensor) -> tuple[Tensor, Tensor]:
        """(N, M, F) to what the two branches see: (N, 8 M + N_COVARIANCES) and (N, M, F / pools)."""
        x = standardise(mels_db)
        x = F.avg_pool1d(x, self.pool) if self.pool > 1 else x
        moments = _mean_and_std(x), _mean_and_std(x.diff(dim=2).abs())
        statistics = torch.cat([*moments, *modulation_log_power(x, self.frame_s), band_covariances(x)], 1)
        return statistics, F.avg_pool1d(x, CONVOLUTION_POOL)

    def embed(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to the hidden layers of both branches (N, 2 embedding)."""
        statistics, pictures = self.branch_inputs(mels_db)
        return torch.cat([self.statistics.embed(statistics), self.convolutions.embed(pictures)], 1)

    def forward(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to logits (N,)."""
        statistics, pictures = self.branch_inputs(mels_db)
        return self.combine_logits(self.statistics(statistics), self.convolutions(pictures))

    def combine_logits(self, statistics: Tensor, convolutions: Tensor) -> Tensor:
        """Logits (N,) of the branches to those of both."""
        return 2 * torch.lerp(statistics, convolutions, self.mixing_weight)


def seeded_dropout(x: Tensor, share: float, random: np.random.Generator | None) -> Tensor:
    """Dropout by a generator of its own, so that trainings in threads do not disturb each other; or x."""
    if random is None:
        return x
    kept = torch.from_numpy(random.random(x.shape, dtype=np.float32) >= share)
    return x * kept / (1 - share)


def _mean_and_std(x: Tensor) -> Tensor:
    """Mean and standard deviation over the last axis, (N, ..., F) to (N, D)."""
    mean = x.mean(-1)
    spread = (x.square().mean(-1) - mean.square()).clamp_min(0).add(MIN_VARIANCE).sqrt()
    return torch.cat([mean.flatten(1), spread.flatten(1)], 1)
