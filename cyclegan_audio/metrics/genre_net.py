"""A small convolutional genre classifier of mels, trained apart from any CycleGAN."""

import dataclasses
import math
from collections.abc import Callable, Sequence
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
NORMALISED_LIMIT = 3.0  # standard deviations; deeper silence says nothing more


@dataclasses.dataclass(frozen=True)
class NetSettings:
    """Numbers of the network and of its training.

    Attributes:
        channels: of the convolutions; each halves bands and frames.
        embedding: size of what `embed` gives.
        dropout: before the last layer.
        epochs: over the clips of the larger genre, at least.
        min_batches: at least so many, for small corpora.
        lr, weight_decay: of AdamW; the rate follows one cosine cycle.
        crop_share: share of a clip's frames in a training example.
        tilt_db: largest random gain of a band relative to the clip's mean, smooth over bands.
        noise_db: largest standard deviation of the random error of each point.
        floor_share: a random noise floor fills at most this share of the clip's range from below.
    """

    channels: tuple[int, ...] = (16, 32, 48, 64)
    embedding: int = 64
    dropout: float = 0.3
    epochs: int = 8
    min_batches: int = 250
    batch_size: int = 32
    lr: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    crop_share: float = 0.7
    tilt_db: float = 3.0
    noise_db: float = 3.0
    floor_share: float = 0.3
    seed: int = 0


class GenreNet(nn.Module):
    """Mels in dB (N, M, F) of any level to one logit (N,), positive for the second genre.

    Each clip is standardised over its bands and frames, so that level does not count. What strided
    convolutions give in each of their bands goes, as mean and standard deviation over time, into one layer,
    beside the same of the mel itself and of its steps from frame to frame, its modulation, and how its bands
    move together.

    Args:
        n_mels: M.
        frame_s: seconds from frame to frame.
        settings: sizes.
    """

    def __init__(self, n_mels: int, frame_s: float, settings: NetSettings) -> None:
        super().__init__()
        self.pool = max(1, round(FRAME_S / frame_s))
        self.frame_s = frame_s * self.pool
        layers: list[nn.Module] = []
        before, bands = 1, n_mels
        for index, channels in enumerate(settings.channels):
            size, stride = ((8, 5), (4, 2)) if index == 0 else ((3, 3), (2, 2))
            padding = (2, 2) if index == 0 else (1, 1)
            layers += [
                nn.Conv2d(before, channels, size, stride, padding, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            before, bands = channels, -(-bands // stride[0])
        self.convolutions = nn.Sequential(*layers)
        n_direct = 8 * n_mels + N_RELATIONS
        self.direct = nn.Sequential(nn.BatchNorm1d(n_direct), nn.Dropout(settings.dropout))
        self.embedding = nn.Linear(2 * before * bands + n_direct, settings.embedding)
        self.dropout = nn.Dropout(settings.dropout)
        self.last = nn.Linear(settings.embedding, 1)

    def embed(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to (N, embedding)."""
        x = standardise(mels_db)
        x = F.avg_pool1d(x, self.pool) if self.pool > 1 else x
        modulation = modulation_log_power(x, self.frame_s)
        moments = _moments(x), _moments(x.diff(dim=2).abs())
        direct = self.direct(torch.cat([*moments, *modulation, band_relations(x)], 1))
        deep = _moments(self.convolutions(x[:, None].contiguous(memory_format=torch.channels_last)))
        return F.relu(self.embedding(torch.cat([deep, direct], 1)))

    def forward(self, mels_db: Tensor) -> Tensor:
        """(N, M, F) to logits (N,)."""
        return self.last(self.dropout(self.embed(mels_db)))[:, 0]


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
    noise = torch.randn(x.shape, generator=random)
    x = x + uniform(0, settings.noise_db, 1, 1) * noise
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    floor = low + (high - low) * uniform(-0.2, settings.floor_share, 1, 1)
    x = torch.logaddexp(x, floor + noise)
    cutoff_hz = torch.where(uniform(0, 1) < 0.5, random_cutoffs_hz(n, random), torch.inf)
    return low_pass(x, band_hz, cutoff_hz)


def _mix(examples: Tensor, labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018, alpha 1) of standardised examples, half of them, and their labels."""
    n = len(labels)
    other = torch.randperm(n, generator=random)
    share = torch.where(torch.rand(n, generator=random) < 0.5, torch.rand(n, generator=random), 1.0)
    x, of_clip = standardise(examples), share[:, None, None]
    return of_clip * x + (1 - of_clip) * x[other], share * labels + (1 - share) * labels[other]


def train_net(
    mels_db: Tensor,
    labels: Tensor,
    band_hz: Tensor,
    frame_s: float,
    settings: NetSettings,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> GenreNet:
    """Train on mels (N, M, F) with labels (N,) of 0 and 1; both genres count alike.

    Args:
        on_batch: told the batches done and their total.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net = GenreNet(mels_db.shape[1], frame_s, settings).train()
        draws = _balanced_epochs(labels, settings)
        optimizer = torch.optim.AdamW(net.parameters(), settings.lr, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=len(draws))
        random = torch.Generator().manual_seed(settings.seed)
        for done, rows in enumerate(draws, 1):
            examples = augment(mels_db[rows], band_hz, settings, random)
            examples, mixed = _mix(examples, labels[rows].float(), random)
            targets = mixed * (1 - settings.label_smoothing) + settings.label_smoothing / 2
            loss = F.binary_cross_entropy_with_logits(net(examples), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            on_batch(done, len(draws))
    return net.eval()


def _balanced_epochs(labels: Tensor, settings: NetSettings) -> Sequence[Tensor]:
    """Batches of row numbers; in each epoch every genre gives as many clips as the larger one has."""
    random = torch.Generator().manual_seed(settings.seed)
    genres = [torch.nonzero(labels == label)[:, 0] for label in (0, 1)]
    n = max(map(len, genres))
    in_epoch = max(1, 2 * n // settings.batch_size)
    batches: list[Tensor] = []
    for _ in range(max(settings.epochs, -(-settings.min_batches // in_epoch))):
        drawn = torch.cat([_repeated(rows, n, random) for rows in genres])
        drawn = drawn[torch.randperm(len(drawn), generator=random)]
        batches += drawn.tensor_split(in_epoch)
    return batches


def _repeated(rows: Tensor, count: int, random: torch.Generator) -> Tensor:
    """`count` of the rows in random order, each as often as the others, but for one."""
    rounds = -(-count // len(rows))
    orders = [rows[torch.randperm(len(rows), generator=random)] for _ in range(rounds)]
    return torch.cat(orders)[:count]
