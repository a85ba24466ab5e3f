"""Which unpaired clips meet in training: a function of seed and epoch alone."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from torch.utils.data import Sampler

from cyclegan_audio.utils.errors import UserError

T = TypeVar("T")

log = logging.getLogger(__name__)


class ClipView(NamedTuple):
    """One clip, and how it is taken: shifted by `gain_db`, rolled, then cut from `start` on."""

    clip: int  # its place in the list
    start: int = 0  # first frame of the crop
    shift: int = 0  # frames that go from the end of the clip to its beginning
    gain_db: float = 0.0


class PairIndex(NamedTuple):
    """A clip of each genre."""

    a: ClipView
    b: ClipView


def sample_epoch_pairs(
    n_a: int, n_b: int, n_starts: int, seed: int, epoch: int, n_rolls: int = 1, gain_db: float = 0.0
) -> list[PairIndex]:
    """An epoch: every clip of A once in random order, each with a clip of B drawn uniformly.

    Args:
        n_a: clips of A.
        n_b: clips of B.
        n_starts: places where a crop may begin (1 without cropping).
        seed: of the run.
        epoch: counted from 0.
        n_rolls: ways to roll a clip (1 without rolling, else its frames).
        gain_db: gains are uniform between minus this and this. Pairs and crops are the same with and without.
    """
    rng = np.random.default_rng([seed, epoch])
    order_a, order_b = rng.permutation(n_a), rng.integers(n_b, size=n_a)
    starts = rng.integers(n_starts, size=(2, n_a))
    gains_db = gain_db * rng.uniform(-1, 1, size=(2, n_a))
    rolls = rng.integers(n_rolls, size=(2, n_a))
    sides = (
        [
            ClipView(int(clip), int(start), int(roll), float(gain))
            for clip, start, roll, gain in zip(*columns, strict=True)
        ]
        for columns in zip((order_a, order_b), starts, rolls, gains_db, strict=True)
    )
    return [PairIndex(*takes) for takes in zip(*sides, strict=True)]


def warn_of_large_batch(batch_size: int, n_clips: int, of: str) -> None:
    """Say so where an epoch does not fill a batch."""
    if batch_size > n_clips:
        log.warning(
            "warning: data.batch_size=%d is more than the %d training clips of %s: each batch holds these %d",
            *(batch_size, n_clips, of, n_clips),
        )


def validation_pairs(n_a: int, n_b: int, n_pairs: int, seed: int) -> list[PairIndex]:
    """The same pairs in every epoch, spread over both genres without repeats while there are clips."""
    rng = np.random.default_rng([seed, 2**31])
    order_a, order_b = rng.permutation(n_a), rng.permutation(n_b)
    n_pairs = min(n_pairs, max(n_a, n_b))
    return [
        PairIndex(ClipView(int(order_a[i % n_a])), ClipView(int(order_b[i % n_b]))) for i in range(n_pairs)
    ]


class EpochSampler(Sampler[T]):
    """Serves one epoch of draws from the main process, so that the number of workers changes nothing.

    Lightning calls `set_epoch` before each epoch. `skip` draws are left out of the next epoch served, to go
    on in its middle; the length stays that of a whole epoch. Where several processes share an epoch, each
    batch of all together is cut into theirs, and draws that do not fill one are left out.

    Args:
        length: draws in an epoch.
        draw: makes the draws of an epoch, counted from 0.
    """

    def __init__(self, length: int, draw: Callable[[int], Sequence[T]]) -> None:
        self.length, self.draw = length, draw
        self.epoch = 0
        self.skip = 0
        self.rank, self.n_ranks, self.batch_size = 0, 1, 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, that the next iteration serves."""
        self.epoch = epoch

    def share(self, rank: int, n_ranks: int, batch_size: int) -> None:
        """Serve only the batches of process `rank` of `n_ranks`, each of `batch_size` draws.

        Raises:
            UserError: an epoch has too few clips to give each process a batch.
        """
        self.rank, self.n_ranks, self.batch_size = rank, n_ranks, batch_size
        if n_ranks > 1 and len(self) == 0:
            raise UserError(
                f"{self.length} clips do not give {n_ranks} processes a batch of {batch_size} each; "
                "use fewer devices, a smaller data.batch_size or more music"
            )

    def __len__(self) -> int:
        together = self.n_ranks * self.batch_size
        return self.length if self.n_ranks == 1 else self.length // together * self.batch_size

    def __iter__(self) -> Iterator[T]:
        skip, self.skip = self.skip, 0
        draws = self.draw(self.epoch)
        if self.n_ranks > 1:
            whole = len(self) * self.n_ranks
            own = (place // self.batch_size % self.n_ranks == self.rank for place in range(whole))
            draws = [draw for draw, mine in zip(draws[:whole], own, strict=True) if mine]
        return iter(draws[skip:])


class UnpairedSampler(EpochSampler[PairIndex]):
    """Serves `sample_epoch_pairs`."""

    def __init__(
        self, n_a: int, n_b: int, n_starts: int, seed: int, n_rolls: int = 1, gain_db: float = 0.0
    ) -> None:
        super().__init__(
            n_a, lambda epoch: sample_epoch_pairs(n_a, n_b, n_starts, seed, epoch, n_rolls, gain_db)
        )
