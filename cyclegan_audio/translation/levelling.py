"""Lift quiet passages to the level of the piece before the model, and lower the result by the same gain."""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from torch import Tensor

from cyclegan_audio.audio.rolling_buffer import RollingBuffer

Array = npt.NDArray[np.float64]

BLOCK_S = 0.001
WINDOW_BLOCKS = 5  # blocks of which a level is measured
GAP_S = 3.0  # shorter falls belong to the rhythm and are not lifted
EDGE_BLOCKS = 2  # blocks over which a lift rises and falls
KEPT_DB, LIFTED_DB = 6.0, 12.0  # falls up to the first are left alone, from the second lifted whole
OMITTED_DB = 45.0  # passages that are lifted by more may be hiss, and are no part of a piece's statistics
SILENCE_DB = -120.0
GATE_DB = -70.0  # levels below it do not count for the reference, as in BS.1770
TOP_SHARE, TOP_S = 0.05, 3.0  # the loudest twentieth, at most 3 s, may be an outlier
TOP_RANGE_DB = 10.0
BIN_DB, MIN_DB, MAX_DB = 0.1, -130.0, 100.0
LIVE_DELAY_S = (WINDOW_BLOCKS + 2 * EDGE_BLOCKS + 1) * BLOCK_S  # for levels, edges and their interpolation
UPDATE_BLOCKS = 1000  # a stream's reference is computed again after so many


class SlidingFilter:
    """The stage that applies a filter of limited reach to a stream of numbers.

    Args:
        function: maps numbers (..., n) to (n,); each result depends on its neighbours within the reach.
        before: numbers before a result that it depends on.
        after: numbers after it.
    """

    def __init__(self, function: Callable[[Array], Array], before: int, after: int) -> None:
        self.function, self.before, self.after = function, before, after
        self._values: Array | None = None  # from `before` numbers before the next result on
        self._n_before = 0

    def push(self, values: Array, last: bool = False) -> Array:
        """Add numbers (..., n); return the results (m,) that are now final."""
        self._values = values if self._values is None else np.concatenate([self._values, values], -1)
        stop = self._values.shape[-1] - (0 if last else self.after)
        if stop <= self._n_before:
            return np.empty(0)
        results = self.function(self._values)[self._n_before : stop]
        first = max(stop - self.before, 0)
        self._values, self._n_before = self._values[..., first:], stop - first
        return results


class LevelCourse:
    """The stage from samples to the level of the music around each block of 1 ms, in dB.

    The level is the variance within 5 ms, which leaves out DC and deep bass. Gaps of up to 3 s between louder
    sounds are filled up to the lower of both (a morphological closing), so that the course follows passages,
    not drums, and steps with them at once. A live course cannot look ahead: it holds the highest level of the
    last 3 s.
    """

    def __init__(self, sample_rate: int, live: bool = False) -> None:
        self.block = max(round(BLOCK_S * sample_rate), 1)
        gap, reach = round(GAP_S / BLOCK_S), WINDOW_BLOCKS - 1
        self._level = SlidingFilter(_levels_db, reach, reach)
        self._fill = SlidingFilter(_held(gap), gap, 0) if live else SlidingFilter(_closed(gap), gap, gap)
        self._rest: Tensor | None = None

    def push(self, samples: Tensor, last: bool = False) -> Array:
        """Add samples (C, n); return the levels (m,) that are now final."""
        samples = samples if self._rest is None else torch.cat([self._rest, samples], 1)
        n_blocks = samples.shape[1] // self.block
        self._rest = samples[:, n_blocks * self.block :].clone()
        blocks = samples[:, : n_blocks * self.block].double().unflatten(1, (n_blocks, self.block))
        moments = torch.cat([blocks.mean(2), blocks.square().mean(2)])
        if last and self._rest.shape[1]:
            rest = self._rest.double()
            ending = torch.cat([rest.mean(1), rest.square().mean(1)])[:, None]
            moments = torch.cat([moments, ending], 1)
        return self._fill.push(self._level.push(moments.numpy(), last), last)


def _levels_db(moments: Array) -> Array:
    """Compute the level of each block from means and mean squares of all channels (2 C, n).

    It is the lowest variance of the windows that the block is in, so that it steps with the music.
    """
    padded = np.pad(moments, ((0, 0), (WINDOW_BLOCKS - 1, WINDOW_BLOCKS - 1)), mode="edge")
    mean, square = np.split(np.lib.stride_tricks.sliding_window_view(padded, WINDOW_BLOCKS, 1).mean(2), 2)
    variance = (square - mean**2).mean(0).clip(10 ** (MIN_DB / 10))
    windows = np.lib.stride_tricks.sliding_window_view(10 * np.log10(variance), WINDOW_BLOCKS)
    levels: Array = windows.min(1)
    return levels


def _closed(gap: int) -> Callable[[Array], Array]:
    def close(levels: Array) -> Array:
        highest = maximum_filter1d(levels, gap + 1, mode="constant", cval=-math.inf)
        return minimum_filter1d(highest, gap + 1, mode="constant", cval=math.inf)

    return close


def _held(gap: int) -> Callable[[Array], Array]:
    def hold(levels: Array) -> Array:
        return maximum_filter1d(levels, gap + 1, mode="constant", cval=-math.inf, origin=gap // 2)

    return hold


class LevelHistogram:
    """Count the levels of a course, and find the level of the piece from them, at constant memory."""

    def __init__(self) -> None:
        self._counts = np.zeros(round((MAX_DB - MIN_DB) / BIN_DB), np.int64)

    def add(self, levels_db: Array) -> None:
        """Count levels (n,) in dB."""
        bins = ((levels_db - MIN_DB) / BIN_DB).astype(np.int64).clip(0, len(self._counts) - 1)
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def reference_db(self) -> float:
        """Return the level of the piece: the median of the levels within 10 dB of the loudest.

        The loudest is the level that 3 s, or a twentieth of a short piece, exceed: a click does not count.
        Minus infinity if everything is below -70 dB.
        """
        counts = self._counts.copy()
        counts[: _bin(GATE_DB)] = 0
        if not counts.any():
            return -math.inf
        n_top = min(TOP_SHARE * counts.sum(), TOP_S / BLOCK_S)
        top = len(counts) - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), n_top))
        counts[: max(top - round(TOP_RANGE_DB / BIN_DB), 0)] = 0
        median = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return MIN_DB + (median + 0.5) * BIN_DB

    def has_quiet_passages(self) -> bool:
        """Return whether any level, without silence, is so far below the reference that it is lifted."""
        quiet = max(self.reference_db() - KEPT_DB, SILENCE_DB)
        return bool(self._counts[_bin(SILENCE_DB) : _bin(quiet)].any())


def _bin(level_db: float) -> int:
    return round((level_db - MIN_DB) / BIN_DB)


def lift_db(levels_db: Array, reference_db: float) -> Array:
    """Return the gain in dB that brings quiet levels (n,) to the reference; 0 for silence and small falls."""
    fall = reference_db - levels_db
    lift = (LIFTED_DB / (LIFTED_DB - KEPT_DB) * (fall - KEPT_DB)).clip(0, np.maximum(fall, 0))
    return np.where(levels_db > SILENCE_DB, lift, 0.0)


class Leveller:
    """Lift the quiet passages of a stream, and lower its translation by the same gain.

    The gain of a sample is at most the smallest lift of the blocks around it, so a loud entry is not boosted.
    `restore` divides by the same gain, so a step stays a step.

    Args:
        sample_rate: sample rate in Hz.
        reference_db: the level to lift to, minus infinity for no change; None for a live stream, whose level
            so far is the reference.
    """

    def __init__(self, sample_rate: int, reference_db: float | None) -> None:
        self.reference_db = reference_db
        self._course = LevelCourse(sample_rate, live=reference_db is None)
        self._histogram, self._n_levels, self._level_so_far_db = LevelHistogram(), 0, -math.inf
        self._smooth = SlidingFilter(_smoothed, 2 * EDGE_BLOCKS - 1, 2 * EDGE_BLOCKS - 1)
        self._samples, self._lift_db = RollingBuffer(), RollingBuffer()
        self._n_restored = 0

    def lift(self, blocks: Iterable[Tensor], omit_db: float = math.inf) -> Iterator[Tensor]:
        """Lift blocks (C, n), or silence what needs more than `omit_db`; the joined results are as long."""
        if self.reference_db == -math.inf:
            yield from blocks
            return
        start = 0
        for block in blocks:
            if not block.shape[1]:
                continue
            self._samples.append(block)
            self._push(self._course.push(block))
            stop = max((self._lift_db.stop - 1) * self._course.block, start)
            yield self._multiplied(self._samples.read(start, stop), start, 1, omit_db)
            self._samples.discard_before(stop)
            start = stop
        if self._samples.stop:
            self._push(self._course.push(self._samples.read(start, start), last=True), last=True)
            yield self._multiplied(self._samples.read(start, self._samples.stop), start, 1, omit_db)

    def restore(self, samples: Tensor) -> Tensor:
        """Undo the lift of the next samples (C, n)."""
        if self.reference_db == -math.inf or not samples.shape[1]:
            return samples
        start = self._n_restored
        self._n_restored += samples.shape[1]
        restored = self._multiplied(samples, start, -1)
        self._lift_db.discard_before(self._n_restored // self._course.block - 1)
        return restored

    def _push(self, levels_db: Array, last: bool = False) -> None:
        if self.reference_db is None:
            lift = np.concatenate([np.empty(0), *map(self._live_lift_db, self._by_update(levels_db))])
        else:
            lift = lift_db(levels_db, self.reference_db)
        self._lift_db.append(torch.from_numpy(self._smooth.push(lift, last)))

    def _by_update(self, levels_db: Array) -> list[Array]:
        """Split levels (n,) where the reference of a live stream is computed again."""
        first = -self._n_levels % UPDATE_BLOCKS
        return np.split(levels_db, range(first, len(levels_db), UPDATE_BLOCKS))

    def _live_lift_db(self, levels_db: Array) -> Array:
        if self._n_levels % UPDATE_BLOCKS == 0:
            self._level_so_far_db = self._histogram.reference_db()
        self._n_levels += len(levels_db)
        self._histogram.add(levels_db)
        return lift_db(levels_db, self._level_so_far_db)

    def _multiplied(self, samples: Tensor, start: int, sign: int, omit_db: float = math.inf) -> Tensor:
        """Multiply samples (C, n) from position `start` by the gain (`sign` 1), or divide (-1)."""
        stop, block = start + samples.shape[1], self._course.block
        first = max(start // block - 1, self._lift_db.start)
        lift = self._lift_db.read(first, stop // block + 2).numpy() if stop > start else np.empty(0)
        if not lift.any():
            return samples
        centres = (np.arange(first, first + len(lift)) + 0.5) * block
        gain_db = np.interp(np.arange(start, stop) + 0.5, centres, lift)
        gain = np.where(gain_db > omit_db, 0.0, 10 ** (sign * gain_db / 20))
        return samples * torch.from_numpy(gain).float()


def _smoothed(lift: Array) -> Array:
    """Hold the smallest lift (n,) on both sides, then smooth it: no block gets more than its own lift."""
    held = minimum_filter1d(lift, 2 * EDGE_BLOCKS + 1, mode="nearest")
    padded = np.pad(held, EDGE_BLOCKS - 1, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * EDGE_BLOCKS - 1).mean(1)
