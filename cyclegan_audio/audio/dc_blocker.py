"""Subtract the DC offset of a stream by a high-pass (a DC blocker), constant or drifting."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

CUTOFF_HZ = 5.0  # second-order Butterworth: 0.02 dB at 20 Hz
LIVE_CUTOFF_HZ = 1.0  # for streams that may have no offset: shifts the phase of music less
MAX_AMPLITUDE = 2.0  # larger samples are damaged; they must not ring in the filter
MAX_OFFSET = 0.01  # of full scale; smaller ones do no harm


class DCBlocker:
    """A high-pass for a stream of blocks.

    It starts at the mean of the first block, so that a constant offset leaves no transient; the sizes of the
    other blocks do not matter. Samples that are not finite or beyond `MAX_AMPLITUDE` do not affect others.
    """

    def __init__(self, rate: int, cutoff_hz: float = CUTOFF_HZ) -> None:
        from scipy.signal import butter

        self._sections = butter(2, cutoff_hz, "highpass", fs=rate, output="sos")
        self._state: np.ndarray | None = None

    def push(self, block: Tensor) -> Tensor:
        """Return the next samples (C, n) without their offset."""
        from scipy.signal import sosfilt, sosfilt_zi

        plausible = bound_amplitude(block).double().numpy()
        if self._state is None:
            self._state = sosfilt_zi(self._sections)[:, None] * plausible.mean(1, keepdims=True)
        high, self._state = sosfilt(self._sections, plausible, zi=self._state)
        return block - torch.from_numpy(plausible - high).float()


def block_dc(blocks: Iterable[Tensor], rate: int, cutoff_hz: float = CUTOFF_HZ) -> Iterator[Tensor]:
    """Yield the blocks (C, n) of a piece without their offset."""
    blocker = DCBlocker(rate, cutoff_hz)
    for block in blocks:
        yield blocker.push(block)


def channel_offsets(channels: Tensor) -> Tensor:
    """Return the mean of each channel of (C, T), (C,), without the effect of damaged samples."""
    return bound_amplitude(channels).mean(1)


def bound_amplitude(samples: Tensor) -> Tensor:
    """Return samples with NaN as 0 and the others within `MAX_AMPLITUDE`."""
    return samples.nan_to_num().clamp(-MAX_AMPLITUDE, MAX_AMPLITUDE)
