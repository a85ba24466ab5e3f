"""A small neural genre classifier of mels, trained apart from any CycleGAN."""

import dataclasses
import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAME_S = 0.02  # frames are averaged to about this length, so that both mel definitions cost alike
CUTOFFS_HZ = (4000.0, 20000.0)  # training examples lose all above a random frequency of this range
MODULATION_HZ = (1.0, 2.0, 4.0, 8.0, 16.0)  # edges of the bands of the modulation spectrum
NOISE_SPREAD_DB = 6.0
GROUPS = 32  # of neighbouring bands, whose relations are looked at
N_RELATIONS = GROUPS * (GROUPS + 1)
OUTLIER = 4.0  # standard deviations of a feature
BLOCK = 64  # clips at once
NORMALISED_LIMIT = 3.0  # standard deviations; deeper silence says nothing more


@dataclasses.dataclass(frozen=True)
class NetSettings:
    """Numbers of the network and of its training.

    Attributes:
        embedding: size of what `embed` gives.
        dropout: of features, and before the last layer.
        views: augmented examples of each clip, made beforehand.
        plain_views: times that the clip as it is counts beside them.
        epochs: over the clips, at least.
        min_batches: at least so many, for small corpora.
        lr, weight_decay: of AdamW; the rate follows one cosine cycle.
        crop_share: share of a clip's frames in a training example.
        tilt_db: largest random gain of a band relative to the clip's mean, smooth over bands.
        noise_db: largest standard deviation of the random error of each point.
        quiet_floor, loud_floor: a random noise floor fills at most this share of the clip's range from below
            in the one half of the examples, and from this to that in the other.
        floor_spread_db: least and largest standard deviation of the floor.
    """

    embedding: int = 64
    dropout: float = 0.3
    views: int = 8
    plain_views: int = 2
    epochs: int = 30
    min_batches: int = 250
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    crop_share: float = 0.7
    tilt_db: float = 3.0
    noise_db: float = 3.0
    quiet_floor: float = 0.2
    loud_floor: float = 0.65
    floor_spread_db: tuple[float, float] = (1.0, 6.0)
    seed: int = 0


class GenreNet(nn.Module):
    """Mels in dB (N, M, F) of any level to one logit (N,), positive for the second genre.

    Each clip is standardised over its bands and frames, so that level does not count. One hidden layer looks
    at the mean and standard deviation over time of each band and of its steps from frame to frame, at its
    modulation, and at how bands move together. Convolutions beside it only lowered its accuracy
    (experiments/005_paper_results).

    Args:
        n_mels: M.
        frame_s: seconds from frame to frame.
        settings: sizes.
    """

    def __init__(self, n_mels: int, frame_s: float, settings: NetSettings) -> None:
        super().__init__()
        self.pool = max(1, round(FRAME_S / frame_s))
        self.frame_s = frame_s * self.pool
        size = 8 * n_mels + N_RELATIONS
        self.mean = nn.Buffer(torch.zeros(size))
        self.scale = nn.Buffer(torch.ones(size))
        self.dropout = nn.Dropout(settings.dropout)
        self.embedding = nn.Linear(size, settings.embedding)
        self.last = nn.Linear(settings.embedding, 1)

    def features(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to (N, 8 M + N_RELATIONS), in blocks."""
        return torch.cat([self._features(block) for block in mels_db.split(BLOCK)])

    def _features(self, mels_db: Tensor) -> Tensor:
        x = standardise(mels_db)
        x = F.avg_pool1d(x, self.pool) if self.pool > 1 else x
        moments = _moments(x), _moments(x.diff(dim=2).abs())
        return torch.cat([*moments, *modulation_log_power(x, self.frame_s), band_relations(x)], 1)

    def standardised(self, features: Tensor) -> Tensor:
        """(..., D) as seen from the training examples, clipped: one odd feature decides nothing."""
        return ((features - self.mean) / self.scale).clamp(-OUTLIER, OUTLIER)

    def hidden(self, standardised: Tensor) -> Tensor:
        """(N, D) standardised features to (N, embedding)."""
        return F.relu(self.embedding(self.dropout(standardised)))

    def embed(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to (N, embedding)."""
        return self.hidden(self.standardised(self.features(mels_db)))

    def verdict(self, hidden: Tensor) -> Tensor:
        """(N, embedding) to logits (N,)."""
        return self.last(self.dropout(hidden))[:, 0]

    def forward(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to logits (N,)."""
        return self.verdict(self.embed(mels_db))


def modulation_log_power(x: Tensor, frame_s: float) -> list[Tensor]:
    """For each octave of modulation from 1 to 16 Hz, its power in each band: (N, M, F) to four of (N, M)."""
    n_frames = x.shape[2]
    power = torch.fft.rfft(x - x.mean(2, keepdim=True)).abs().square() / n_frames**2
    modulation_hz = torch.fft.rfftfreq(n_frames, frame_s)
    bands = []
    for low, high in pairwise(MODULATION_HZ):
        inside = (modulation_hz >= low) & (modulation_hz < high)
        bands.append((power[:, :, inside].sum(2) + 1e-6).log())
    return bands


def band_relations(x: Tensor) -> Tensor:
    """Which bands move together: (N, M, F) to (N, N_RELATIONS).

    The covariances over time of 32 groups of neighbouring bands, and the same of their steps from frame to
    frame (upper triangles, row by row).
    """
    groups = F.adaptive_avg_pool2d(x, (GROUPS, x.shape[2]))
    groups = groups - groups.mean(2, keepdim=True)
    steps = groups.diff(dim=2)
    row, column = torch.triu_indices(GROUPS, GROUPS)
    both = [y @ y.transpose(1, 2) / y.shape[2] for y in (groups, steps)]
    return torch.cat([covariance[:, row, column] for covariance in both], 1)


def _moments(x: Tensor) -> Tensor:
    """Mean and standard deviation over the last axis, (N, ..., F) to (N, D)."""
    spread = (x.var(-1, correction=0) + 1e-5).sqrt()
    return torch.cat([x.mean(-1).flatten(1), spread.flatten(1)], 1)


def standardise(mels_db: Tensor) -> Tensor:
    """Each clip of (N, M, F) to mean 0 and standard deviation 1 over bands and frames, clipped at 3."""
    centred = mels_db - mels_db.mean((1, 2), keepdim=True)
    scale = centred.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-3)
    return (centred / scale).clamp(-NORMALISED_LIMIT, NORMALISED_LIMIT)


def low_pass(mels_db: Tensor, band_hz: Tensor, cutoff_hz: float | Tensor) -> Tensor:
    """Bands above the cutoff (a number, or one a clip (N,)) fall to the least value of their clip."""
    cutoff = torch.as_tensor(cutoff_hz).reshape(-1, 1, 1)
    return torch.where(band_hz[:, None] > cutoff, mels_db.amin((1, 2), keepdim=True), mels_db)


def noisy(mels_db: Tensor, below_db: float, seed: int = 0) -> Tensor:
    """Mels (N, M, F) with noise in every band, `below_db` under the loudest point of each clip."""
    drawn = NOISE_SPREAD_DB * torch.randn(mels_db.shape, generator=torch.Generator().manual_seed(seed))
    return mels_db.maximum(mels_db.amax((1, 2), keepdim=True) - below_db + drawn)


def random_cutoffs_hz(n: int, random: torch.Generator) -> Tensor:
    """(n,) frequencies, uniform in octaves."""
    low, high = (math.log(hz) for hz in CUTOFFS_HZ)
    return (low + (high - low) * torch.rand(n, generator=random)).exp()


def augment(mels_db: Tensor, band_hz: Tensor, settings: NetSettings, random: torch.Generator) -> Tensor:
    """What noise, equalisers, codecs and errors of a generator do to mels (N, M, F); same shape but shorter.

    A cut in time, a smooth random gain over bands, random errors of points, a noise floor, and, half the
    time, a low pass.
    """
    n, n_mels, n_frames = mels_db.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=random)

    length = max(1, round(settings.crop_share * n_frames))
    start = int(torch.randint(n_frames - length + 1, (1,), generator=random))
    x = mels_db[:, :, start : start + length]
    knots = uniform(-settings.tilt_db, settings.tilt_db, 1, 5)
    x = x + F.interpolate(knots, n_mels, mode="linear", align_corners=True)[:, 0, :, None]
    x = x + uniform(0, settings.noise_db, 1, 1) * torch.randn(x.shape, generator=random)
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    quiet, loud = settings.quiet_floor, settings.loud_floor
    filled = torch.where(uniform(0, 1, 1, 1) < 0.5, uniform(-quiet, quiet, 1, 1), uniform(quiet, loud, 1, 1))
    spread = uniform(*settings.floor_spread_db, 1, 1) * torch.randn(x.shape, generator=random)
    x = x.maximum(low + (high - low) * filled + spread)
    cutoff_hz = torch.where(uniform(0, 1) < 0.5, random_cutoffs_hz(n, random), torch.inf)
    return low_pass(x, band_hz, cutoff_hz)
