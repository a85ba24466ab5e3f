"""Resampling by a Kaiser-windowed sinc, of whole waveforms and of endless ones."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional

BLOCK_S = 20.0  # of a file
_MAX_PERIOD = 1024  # input samples: odd rates are taken as the nearest ratio, at most 1e-6 beside
# The filter of librosa's "kaiser_best": 64 zero crossings, flat to 0.94 of the lower Nyquist frequency.
KAISER_BEST = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


class Resampler:
    """Resamples a stream: what `push` and `finish` return, joined, is the whole at the new rate.

    The values do not depend on how the stream is cut; memory is bounded. Equal rates change nothing.

    Args:
        from_rate: in Hz.
        to_rate: in Hz.
        block_s: seconds that are resampled at once, `BLOCK_S` by default: many are fast, few are early.

    Raises:
        UserError: the rates differ and torchaudio does not load.

    Attributes:
        late_s: what is pushed is returned when so many seconds more have been pushed, at the latest.
    """

    def __init__(self, from_rate: int, to_rate: int, block_s: float | None = None) -> None:
        ratio = Fraction(to_rate, from_rate).limit_denominator(_MAX_PERIOD)
        self._in, self._out = ratio.denominator, ratio.numerator  # samples of one period of both rates
        reach = 80 * max(self._in, self._out) // self._out + self._in  # over 64 crossings of the lower rate
        self._margin = -(-reach // self._in)  # in periods, as all places below
        self._block = max(1, int((block_s or BLOCK_S) * from_rate) // self._in)
        is_needed = self._in != self._out
        if is_needed:
            torchaudio_functional()  # where it does not load, refuse before anything is read
        self.late_s = is_needed * (self._block + self._margin) * self._in / from_rate
        self._pending: list[Tensor] = []
        self._length = 0  # samples pending
        self._before = 0  # periods pending that are done already

    def push(self, block: Tensor) -> Tensor:
        """The next samples (..., n); returns those that are ready, (..., m), often none."""
        if self._in == self._out:
            return block
        self._pending.append(block)
        self._length += block.shape[-1]
        done = [block.new_empty(*block.shape[:-1], 0)]
        while self._length >= (self._before + self._block + self._margin) * self._in:
            done.append(self._take(self._block * self._out))
        return torch.cat(done, -1)

    def finish(self) -> Tensor | None:
        """What is left, (..., m); None where nothing was pushed, or nothing is left by equal rates."""
        if not self._pending:
            return None
        left = self._length - self._before * self._in
        return self._take(-(-left * self._out // self._in))

    def _take(self, n_out: int) -> Tensor:
        """Resample what is pending, of which `n_out` samples are wanted, and forget what is done."""
        waveform = torch.cat(self._pending, -1)
        used = -(-n_out // self._out) + self._before + self._margin
        missing = max((used * self._in) - waveform.shape[-1], 0)  # silence follows the end
        piece = F.pad(waveform[..., : used * self._in], (0, missing))
        done = torchaudio_functional().resample(piece, self._in, self._out, **KAISER_BEST)
        start = self._before * self._out
        forgotten = max(self._before + self._block - self._margin, 0)
        self._before = self._before + self._block - forgotten
        self._pending = [waveform[..., forgotten * self._in :].clone()]
        self._length = self._pending[0].shape[-1]
        return done[..., start : start + n_out]


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample (..., T) to (..., ceil(T to_rate / from_rate)); see `Resampler`."""
    if from_rate == to_rate or not waveform.shape[-1]:
        return waveform
    resampler = Resampler(from_rate, to_rate)
    blocks = [resampler.push(part) for part in waveform.split(int(BLOCK_S * from_rate), -1)]
    last = resampler.finish()
    return torch.cat([*blocks, *([] if last is None else [last])], -1)
