"""What must be known of a whole piece before its first second is translated."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.norm import Statistics
from cyclegan_audio.translation.channels import polarity

Blocks = Callable[[], Iterable[Tensor]]  # the same blocks (C, n) every time it is called
MAX_WINDOWS = 12  # that stand for the whole piece in the statistics of instance norms


@dataclass(frozen=True)
class Survey:
    """A piece before its translation.

    Attributes:
        n_samples: of each channel.
        lufs: its loudness, without gates where all of it is below them; minus infinity for silence.
        is_silent: every sample is 0.
        signs: (C, 1), -1 for a channel that is turned round for the mid, as it would cancel the others there.
        range_db: the levels that become -1 and 1; None where they are found on the way.
        mid_lufs: loudness of the mean of its channels; None where it is not known beforehand.
        statistics: of the generator's instance norms over the piece; None where each window has its own.
    """

    n_samples: int
    lufs: float
    is_silent: bool
    signs: Tensor
    range_db: tuple[float, float] | None = None
    mid_lufs: float | None = None
    statistics: Statistics | None = field(default=None, repr=False)


def survey_channels(blocks: Iterable[Tensor], sample_rate: int) -> Survey:
    """Length, loudness and polarity of a piece, from its samples.

    Raises:
        UserError: samples that are not finite, or none at all.
    """
    meter = LoudnessMeter(sample_rate)
    covariance: Tensor | None = None
    n_samples, is_silent = 0, True
    for block in finite(blocks, sample_rate):
        n_samples += block.shape[1]
        meter.push(block)
        found = (block @ block.T).double()
        covariance = found if covariance is None else covariance + found
        is_silent = is_silent and not block.any()
    if covariance is None:
        raise UserError("the audio holds no samples; give a piece of music")
    return Survey(n_samples, meter.level_lufs(), is_silent, polarity(covariance))


def finite(blocks: Iterable[Tensor], sample_rate: int) -> Iterator[Tensor]:
    """The blocks as they are.

    Raises:
        UserError: a sample that is not a finite number; says where.
    """
    start = 0
    for block in blocks:
        if not torch.isfinite(block.sum()):
            bad = torch.nonzero(~torch.isfinite(block).all(0))
            at_s = (start + (int(bad[0]) if len(bad) else 0)) / sample_rate
            raise UserError(
                f"the audio has samples that are not finite numbers, first at {at_s:.3f} s; "
                "mend or decode it again"
            )
        start += block.shape[1]
        yield block


class Windows:
    """At most `MAX_WINDOWS` windows of an endless mel, spread evenly over it, and the range of its levels.

    Args:
        window: frames of one.
        floor_db: frames of digital silence, which have no more than this in any band, do not count.
    """

    def __init__(self, window: int, floor_db: float) -> None:
        self.window, self.floor_db = window, floor_db
        self.found: list[Tensor] = []
        self.low_db, self.high_db = math.inf, -math.inf
        self._stride = 1
        self._seen = 0
        self._frames: Tensor | None = None

    def push(self, mel_db: Tensor) -> None:
        """The next frames (M, n) in dB."""
        sounding = mel_db[:, (mel_db > self.floor_db + 1e-3).any(0)]
        if not sounding.shape[1]:
            return
        self.low_db = min(self.low_db, float(sounding.min()))
        self.high_db = max(self.high_db, float(sounding.max()))
        held = sounding if self._frames is None else torch.cat([self._frames, sounding], 1)
        while held.shape[1] >= self.window:
            if self._seen % self._stride == 0:
                self.found.append(held[:, : self.window].clone())
            self._seen += 1
            held = held[:, self.window :]
            if len(self.found) > MAX_WINDOWS:
                self.found = self.found[::2]
                self._stride *= 2
        self._frames = held.clone()
