"""The level of a translated song: its loudness, and peaks."""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.translation.mid_side import BLOCK

MAX_PEAK = 0.99
MAX_RAISE_DB = 20.0
MAX_MAKE_UP_DB, MAKE_UP_ROUNDS = 6.0, 4
LEAST_SHARE = 0.1  # of a raise that must come out as loudness
TOLERANCE_LU = 0.2
FREE_EXCESS = 10 ** (0.5 / 20)  # peaks above the limit by no more take no more than 0.5 LU
LIMITER_BLOCKS = 3  # over which the limiter's gain rises and falls: 4 ms at 44.1 kHz
LIMITER_REACH = 2 * LIMITER_BLOCKS * BLOCK  # samples that decide a gain, on both sides


class Store(Protocol):
    """Keeps blocks between the last two passes: a list, or a file."""

    def append(self, block: Tensor, /) -> None: ...

    def __iter__(self) -> Iterator[Tensor]: ...


class LoudnessMatcher:
    """Blocks (C, n) of a result in a store, until its loudness is known.

    Attributes:
        n_samples: kept so far.
    """

    def __init__(self, store: Store, sample_rate: int) -> None:
        self.store, self.sample_rate = store, sample_rate
        self.n_samples = 0
        self._meter, self._peak = LoudnessMeter(sample_rate), 0.0

    def append(self, block: Tensor) -> None:
        """The next block."""
        self._meter.push(block)
        self.store.append(block)
        self.n_samples += block.shape[1]
        if block.numel():
            self._peak = max(self._peak, peak_of(block))

    def normalised_to(self, lufs: float, max_peak: float = MAX_PEAK) -> Iterator[Tensor]:
        """The result at this loudness, peaks limited; what that takes from the loudness is made up for."""
        gain = loudness_gain(lufs, self._meter.lufs_or_ungated())
        if self._peak * gain > max_peak * FREE_EXCESS:
            gain = made_up(self.store, gain, lufs, self.sample_rate, max_peak)
        return limit_peaks(self.store, gain, max_peak)


def peak_of(waveform: Tensor) -> float:
    """The largest |sample|, without an array of them all."""
    low, high = waveform.aminmax()
    return max(-float(low), float(high))


def loudness_gain(wanted_lufs: float, found_lufs: float) -> float:
    """The factor from one loudness to another, up by 20 dB at most; 1 where either is silence."""
    change_db = wanted_lufs - found_lufs
    return 10 ** (min(change_db, MAX_RAISE_DB) / 20) if abs(change_db) < math.inf else 1.0


def made_up(
    blocks: Iterable[Tensor], gain: float, wanted_lufs: float, sample_rate: int, max_peak: float = MAX_PEAK
) -> float:
    """`gain` and what `limited` takes from the loudness of peaky music by it, 6 dB at most.

    Every round goes through `blocks` (C, n) once more. The louder the music is, the less comes of a dB more:
    how much, the last two rounds tell. A raise of which almost nothing comes is taken back.
    """
    raise_db = step_db = 0.0
    before_lufs, share = -math.inf, 1.0
    for _ in range(MAKE_UP_ROUNDS):
        meter = LoudnessMeter(sample_rate)
        for block in limit_peaks(blocks, gain * 10 ** (raise_db / 20), max_peak):
            meter.push(block)
        found_lufs = meter.lufs_or_ungated()
        if step_db and (share := (found_lufs - before_lufs) / step_db) < LEAST_SHARE:
            raise_db -= step_db
            break
        missing_lu = wanted_lufs - found_lufs
        if not TOLERANCE_LU < missing_lu < math.inf or raise_db >= MAX_MAKE_UP_DB:
            break
        before_lufs, step_db = found_lufs, min(missing_lu / share, MAX_MAKE_UP_DB - raise_db)
        raise_db += step_db
    return gain * 10 ** (raise_db / 20)


def limit_peaks(blocks: Iterable[Tensor], gain: float = 1.0, max_peak: float = MAX_PEAK) -> Iterator[Tensor]:
    """Blocks (C, n) times `gain`, lowered around peaks that are too high, all channels alike."""
    buffer, done = RollingBuffer(), 0
    for block in blocks:
        buffer.append(block * gain)
        stop = (buffer.stop - LIMITER_REACH) // BLOCK * BLOCK
        if stop > done:
            yield _limit_part(buffer, done, stop, max_peak)
            done = stop
            buffer.discard_before(max(done - LIMITER_REACH, 0))
    if buffer.stop > done:
        yield _limit_part(buffer, done, buffer.stop, max_peak)


def _limit_part(buffer: RollingBuffer, start: int, stop: int, max_peak: float) -> Tensor:
    begin = max(start - LIMITER_REACH, 0)
    piece = buffer.read(begin, stop + LIMITER_REACH)
    part = piece[:, start - begin : stop - begin]
    if peak_of(piece) <= max_peak:
        return part
    return part * _limiter_gain(piece, max_peak)[:, start - begin : stop - begin]


def _limiter_gain(waveform: Tensor, max_peak: float) -> Tensor:
    """(1, T) for (C, T).

    The gain that a block needs is held over `LIMITER_BLOCKS` on both sides and then smoothed over one block
    less, so that it is reached before the peak and is never more than the peak allows.
    """
    envelope = waveform.abs().amax(0)[None, None]
    peaks = F.max_pool1d(envelope, BLOCK, ceil_mode=True)
    held = F.max_pool1d(peaks, 2 * LIMITER_BLOCKS + 1, 1, LIMITER_BLOCKS)
    reach = LIMITER_BLOCKS - 1
    gain = F.pad(max_peak / held.clamp_min(max_peak), (reach, reach), mode="replicate")
    gain = F.avg_pool1d(gain, 2 * reach + 1, 1)
    return F.interpolate(gain, scale_factor=BLOCK, mode="linear")[0, :, : waveform.shape[-1]]
