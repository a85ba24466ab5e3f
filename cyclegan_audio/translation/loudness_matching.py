"""Match the loudness of a result to a target in LUFS, with a peak limiter and make-up gain."""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.translation.mid_side import BLOCK
from cyclegan_audio.utils.errors import UserError

MAX_PEAK = 0.99
MAX_GAIN_DB = 20.0
MAX_MAKEUP_DB, MAX_MAKEUP_ROUNDS = 6.0, 4
MIN_MAKEUP_EFFECT = 0.1  # LU per dB; a step with less effect is undone
TOLERANCE_LU = 0.2
FREE_EXCESS = 10 ** (0.5 / 20)  # limiting peaks that exceed the limit by this costs at most 0.5 LU
LIMITER_BLOCKS = 3  # blocks over which the limiter's gain rises and falls: 4 ms at 44.1 kHz
LIMITER_REACH = 2 * LIMITER_BLOCKS * BLOCK  # samples on either side that affect a gain


class BlockStore(Protocol):
    """A store of blocks between the last two passes: a list, or a file."""

    def append(self, block: Tensor, /) -> None: ...

    def __iter__(self) -> Iterator[Tensor]: ...


class LoudnessMatcher:
    """Store the blocks (C, n) of a result, then render them at a given loudness.

    Attributes:
        n_samples: samples per channel stored so far.
    """

    def __init__(self, store: BlockStore, sample_rate: int) -> None:
        self.store, self.sample_rate = store, sample_rate
        self.n_samples = 0
        self._meter, self._peak = LoudnessMeter(sample_rate), 0.0

    def append(self, block: Tensor) -> None:
        """Store the next block (C, n).

        Raises:
            UserError: it is not finite.
        """
        peak = peak_of(block) if block.numel() else 0.0
        if not math.isfinite(peak):
            raise UserError("the model's output is not finite; use another checkpoint or vocoder")
        self._meter.push(block)
        self.store.append(block)
        self.n_samples += block.shape[1]
        self._peak = max(self._peak, peak)

    def normalised_to(self, lufs: float, max_peak: float = MAX_PEAK) -> Iterator[Tensor]:
        """Render the result at a loudness, with limited peaks and make-up gain for what the limiter takes.

        Args:
            lufs: the target loudness.
            max_peak: highest |sample| of the result.

        Returns:
            Blocks (C, n).
        """
        gain = loudness_gain(lufs, self._meter.lufs_or_ungated())
        if self._peak * gain > max_peak * FREE_EXCESS:
            gain = makeup_gain(self.store, gain, lufs, self.sample_rate, max_peak)
        return limit_peaks(self.store, gain, max_peak)


def peak_of(waveform: Tensor) -> float:
    """Return the largest |sample| without allocating an array."""
    low, high = waveform.aminmax()
    return max(-float(low), float(high))


def loudness_gain(target_lufs: float, measured_lufs: float) -> float:
    """Return the factor from measured to target loudness, at most 20 dB; 1 if either is silence."""
    change_db = target_lufs - measured_lufs
    return 10 ** (min(change_db, MAX_GAIN_DB) / 20) if abs(change_db) < math.inf else 1.0


def makeup_gain(
    blocks: Iterable[Tensor], gain: float, target_lufs: float, sample_rate: int, max_peak: float = MAX_PEAK
) -> float:
    """Raise `gain` by up to 6 dB until the limited blocks reach the target loudness.

    Each round limits and measures all `blocks` (C, n) once. The more the music is limited, the less a dB of
    gain raises its loudness; the last two rounds give this effect, which sets the next step. A step with
    almost no effect is undone.
    """
    makeup_db = step_db = 0.0
    previous_lufs, effect = -math.inf, 1.0
    for _ in range(MAX_MAKEUP_ROUNDS):
        meter = LoudnessMeter(sample_rate)
        for block in limit_peaks(blocks, gain * 10 ** (makeup_db / 20), max_peak):
            meter.push(block)
        lufs = meter.lufs_or_ungated()
        if step_db and (effect := (lufs - previous_lufs) / step_db) < MIN_MAKEUP_EFFECT:
            makeup_db -= step_db
            break
        missing_lu = target_lufs - lufs
        if not TOLERANCE_LU < missing_lu < math.inf or makeup_db >= MAX_MAKEUP_DB:
            break
        previous_lufs, step_db = lufs, min(missing_lu / effect, MAX_MAKEUP_DB - makeup_db)
        makeup_db += step_db
    return gain * 10 ** (makeup_db / 20)


def limit_peaks(blocks: Iterable[Tensor], gain: float = 1.0, max_peak: float = MAX_PEAK) -> Iterator[Tensor]:
    """Multiply blocks (C, n) by `gain` and attenuate all channels around peaks above `max_peak`."""
    buffer, start = RollingBuffer(), 0
    for block in blocks:
        buffer.append(block * gain)
        stop = (buffer.stop - LIMITER_REACH) // BLOCK * BLOCK
        if stop > start:
            yield _limit_part(buffer, start, stop, max_peak)
            start = stop
            buffer.discard_before(max(start - LIMITER_REACH, 0))
    if buffer.stop > start:
        yield _limit_part(buffer, start, buffer.stop, max_peak)


def _limit_part(buffer: RollingBuffer, start: int, stop: int, max_peak: float) -> Tensor:
    context_start = max(start - LIMITER_REACH, 0)
    context = buffer.read(context_start, stop + LIMITER_REACH)
    part = context[:, start - context_start : stop - context_start]
    if peak_of(context) <= max_peak:
        return part
    return part * _limiter_gain(context, max_peak)[:, start - context_start : stop - context_start]


def _limiter_gain(waveform: Tensor, max_peak: float) -> Tensor:
    """Compute the limiter's gain (1, T) for a waveform (C, T).

    The gain that a block needs is held for `LIMITER_BLOCKS` on both sides, then smoothed over one block less:
    it is reached before the peak and never exceeds what the peak allows.
    """
    envelope = waveform.abs().amax(0)[None, None]
    peaks = F.max_pool1d(envelope, BLOCK, ceil_mode=True)
    held = F.max_pool1d(peaks, 2 * LIMITER_BLOCKS + 1, 1, LIMITER_BLOCKS)
    reach = LIMITER_BLOCKS - 1
    gain = F.pad(max_peak / held.clamp_min(max_peak), (reach, reach), mode="replicate")
    gain = F.avg_pool1d(gain, 2 * reach + 1, 1)
    return F.interpolate(gain, scale_factor=BLOCK, mode="linear")[0, :, : waveform.shape[-1]]
