"""Sample the clips of an epoch from seed and epoch alone; serve several processes, and resume mid-epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import Sampler

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import get_logger

T = TypeVar("T")

log = get_logger(__name__)


class ClipView(NamedTuple):
    """A clip and its augmentation: a speed, a gain, a circular shift in time, then a crop."""

    clip: int  # index in the list of clips
    start: int = 0  # first frame of the crop
    shift: int = 0  # frames that move from the end of the clip to its start
    gain_db: float = 0.0
    semitones: int = 0  # by which it is played faster, and so higher; below 0 slower


class PairIndex(NamedTuple):
    """The views of a clip of each genre."""

    a: ClipView
    b: ClipView


def sample_epoch_pairs(
    n_a: int,
    n_b: int,
    n_starts: int,
    seed: int,
    epoch: int,
    n_shifts: int = 1,
    gain_db: float = 0.0,
    varispeed: int = 0,
) -> list[PairIndex]:
    """Sample an epoch: every clip of A once in random order, each with a clip of B drawn uniformly.

    Args:
        n_a: number of clips of A.
        n_b: number of clips of B.
        n_starts: number of possible first frames of a crop (1 without cropping).
        seed: seed of the run.
        epoch: counted from 0.
        n_shifts: number of possible shifts (1 without shifts, else the frames of a clip).
        gain_db: gains are uniform in [-gain_db, gain_db]; they do not change pairs and crops.
        varispeed: speeds are uniform over the semitones from -varispeed to varispeed; these change nothing
            else.
    """
    rng = np.random.default_rng([seed, epoch])
    order_a, order_b = rng.permutation(n_a), rng.integers(n_b, size=n_a)
    starts = rng.integers(n_starts, size=(2, n_a))
    gains_db = gain_db * rng.uniform(-1, 1, size=(2, n_a))
    shifts = rng.integers(n_shifts, size=(2, n_a))
    speeds = rng.integers(-varispeed, varispeed + 1, size=(2, n_a))
    sides = (
        [
            ClipView(int(clip), int(start), int(roll), float(gain), int(speed))
            for clip, start, roll, gain, speed in zip(*columns, strict=True)
        ]
        for columns in zip((order_a, order_b), starts, shifts, gains_db, speeds, strict=True)
    )
    return [PairIndex(*views) for views in zip(*sides, strict=True)]


def warn_about_large_batch(batch_size: int, n_clips: int, owner: str) -> None:
    """Log a warning if an epoch does not fill a batch."""
    if batch_size > n_clips:
        log.warning(
            "warning: data.batch_size=%d is more than the %d training clips of %s: each batch holds these %d",
            *(batch_size, n_clips, owner, n_clips),
        )


def validation_pairs(n_a: int, n_b: int, n_pairs: int, seed: int) -> list[PairIndex]:
    """Return fixed pairs, spread over both genres; clips repeat only if a genre has too few."""
    rng = np.random.default_rng([seed, 2**31])
    order_a, order_b = rng.permutation(n_a), rng.permutation(n_b)
    n_pairs = min(n_pairs, max(n_a, n_b))
    return [
        PairIndex(ClipView(int(order_a[i % n_a])), ClipView(int(order_b[i % n_b]))) for i in range(n_pairs)
    ]


class EpochSampler(Sampler[T]):
    """Serves the items of one epoch; they are sampled in the main process, whatever the number of workers.

    Lightning calls `set_epoch` before each epoch. The next epoch skips its first `skip` items, to resume
    mid-epoch; the length stays that of a whole epoch. Several processes share an epoch: each global batch is
    cut into theirs, and items that do not fill one are dropped.

    Args:
        length: items in an epoch.
        sample_epoch: samples the items of an epoch, counted from 0.
    """

    def __init__(self, length: int, sample_epoch: Callable[[int], Sequence[T]]) -> None:
        self.length, self.sample_epoch = length, sample_epoch
        self.epoch = 0
        self.skip = 0
        self.rank, self.n_ranks, self.batch_size = 0, 1, 1

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, of the next iteration."""
        self.epoch = epoch

    def distribute(self, rank: int, n_ranks: int, batch_size: int) -> None:
        """Serve only the batches of process `rank` of `n_ranks`, each of `batch_size` items.

        Raises:
            UserError: an epoch has too few clips for a batch per process.
        """
        self.rank, self.n_ranks, self.batch_size = rank, n_ranks, batch_size
        if n_ranks > 1 and len(self) == 0:
            raise UserError(
                f"{self.length} clips are too few for {n_ranks} processes with a batch of {batch_size} each; "
                "use fewer devices, a smaller data.batch_size or more music"
            )

    def __len__(self) -> int:
        global_batch_size = self.n_ranks * self.batch_size
        return self.length if self.n_ranks == 1 else self.length // global_batch_size * self.batch_size

    def __iter__(self) -> Iterator[T]:
        skip, self.skip = self.skip, 0
        items = self.sample_epoch(self.epoch)
        if self.n_ranks > 1:
            n_served = len(self) * self.n_ranks
            ranks = (index // self.batch_size % self.n_ranks for index in range(n_served))
            items = [item for item, rank in zip(items[:n_served], ranks, strict=True) if rank == self.rank]
        return iter(items[skip:])


class UnpairedSampler(EpochSampler[PairIndex]):
    """Serves `sample_epoch_pairs`."""

    def __init__(self, n_a: int, n_b: int, n_starts: int, seed: int, **augmentation: Any) -> None:
        super().__init__(
            n_a, lambda epoch: sample_epoch_pairs(n_a, n_b, n_starts, seed, epoch, **augmentation)
        )


class ResumableDataModule(pl.LightningDataModule):
    """Base of data modules whose `EpochSampler` can resume mid-epoch.

    Attributes:
        sampler: order of the training items; `setup` creates it.
        batch_size: training items in a batch.
    """

    sampler: EpochSampler[Any]
    batch_size: int

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration over training batches (as Lightning does)."""
        self.sampler.set_epoch(epoch)

    def skip_batches(self, batches_done: int) -> None:
        """Skip the first batches of the next epoch, to resume mid-epoch."""
        self.sampler.skip = batches_done * self.batch_size
