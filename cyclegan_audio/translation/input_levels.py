"""Check the samples of a piece, limit its clicks, and scale a piece that is far above full scale."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan_audio.audio.io import MAX_SAMPLE
from cyclegan_audio.translation.loudness_matching import limit_peaks, peak_of
from cyclegan_audio.utils.errors import UserError

HEADROOM = 4.0  # full scale is 1; files of floats up to 12 dB above it are never changed
STEP_S, TYPICAL_QUANTILE = 0.1, 0.9  # a click affects few steps: this quantile of the steps' peaks is typical
CLICK_RATIO = 10.0  # a peak of more than this times the typical one is a click...
LIMIT_RATIO = 4.0  # ...and is limited to this times the typical one, or to full scale
TYPICAL_PEAK = 0.5  # a piece far above full scale is scaled to this typical peak


def check_samples(blocks: Iterable[Tensor], sample_rate: int, name: str = "the audio") -> Iterator[Tensor]:
    """Pass blocks (C, n) on and check that every sample is finite and at most `MAX_SAMPLE`.

    Raises:
        UserError: a sample is not finite or too large; the message names the piece and the second.
    """
    start = 0
    for block in blocks:
        if block.numel() and not peak_of(block) <= MAX_SAMPLE:  # also if the peak is not a number
            raise UserError(f"{name} has {_describe_bad_samples(block, start, sample_rate)}")
        start += block.shape[1]
        yield block


def _describe_bad_samples(block: Tensor, start: int, sample_rate: int) -> str:
    is_bad = ~(block.abs() <= MAX_SAMPLE)
    first = int(torch.nonzero(is_bad.any(0))[0])
    at_s = (start + first) / sample_rate
    if not torch.isfinite(block[:, first]).all():
        return f"samples that are not finite numbers, first at {at_s:.3f} s; repair or decode it again"
    return (
        f"samples above {MAX_SAMPLE:,.0f} (full scale is 1), first at {at_s:.3f} s; repair or export it again"
    )


@dataclass(frozen=True)
class LevelCorrection:
    """A correction of the levels of a piece, before anything is measured.

    Attributes:
        max_peak: |sample| to which clicks are limited, before the gain; infinity changes nothing.
        gain: factor for the whole piece.
        first_click_s: when the first click comes; None without clicks.
    """

    max_peak: float = math.inf
    gain: float = 1.0
    first_click_s: float | None = None

    @property
    def notes(self) -> list[str]:
        """Describe the correction, a phrase for each change."""
        clicks = (
            [] if self.first_click_s is None else [f"limited clicks, first at {self.first_click_s:.1f} s"]
        )
        change_db = 20 * math.log10(self.gain)
        return clicks + [f"scaled by {change_db:.1f} dB, as it is far above full scale"] * (self.gain != 1)

    def apply(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Correct blocks (C, n) of the piece; the blocks of the result have other lengths."""
        return limit_peaks(blocks, self.gain, self.max_peak * self.gain)


class PeakMeter:
    """Measure the peak and the typical peak of a stream."""

    def __init__(self, sample_rate: int) -> None:
        self._step = round(STEP_S * sample_rate)
        self._peaks: list[float] = []
        self._n_left = 0  # samples until the current step is complete

    def push(self, block: Tensor) -> None:
        """Add the next samples (C, n)."""
        peaks = block.abs().amax(0)
        head, rest = peaks[: self._n_left], peaks[self._n_left :]
        if len(head):
            self._peaks[-1] = max(self._peaks[-1], float(head.max()))
            self._n_left -= len(head)
        self._peaks += [float(step.max()) for step in rest.split(self._step) if len(step)]
        if len(rest):
            self._n_left = -len(rest) % self._step

    def correction(self) -> LevelCorrection | None:
        """Return the correction that the piece needs; None for pieces up to 12 dB above full scale."""
        peaks = sorted(peak for peak in self._peaks if peak)
        if not peaks or peaks[-1] <= HEADROOM:
            return None
        typical = peaks[int(TYPICAL_QUANTILE * (len(peaks) - 1))]
        has_clicks, is_hot = peaks[-1] > CLICK_RATIO * typical, typical > HEADROOM
        if not has_clicks and not is_hot:
            return None
        gain = TYPICAL_PEAK / typical if is_hot else 1.0
        if not has_clicks:
            return LevelCorrection(gain=gain)
        max_peak = max(LIMIT_RATIO * typical, 1.0)
        first_click = next(step for step, peak in enumerate(self._peaks) if peak > max_peak)
        return LevelCorrection(max_peak, gain, first_click * STEP_S)
