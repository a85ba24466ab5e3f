"""Resampling by a Kaiser-windowed sinc, of whole waveforms and of endless ones."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.rolling_buffer import RollingBuffer
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
        self.latency_s = is_needed * (self._block + self._margin) * self._in / from_rate
        self._samples = RollingBuffer()
        self._done = 0  # periods that have been resampled

    def push(self, block: Tensor) -> Tensor:
        """The next samples (..., n); returns those that are ready, (..., m), often none."""
        if self._in == self._out:
            return block
        self._samples.append(block)
        done = [block.new_empty(*block.shape[:-1], 0)]
        while self._samples.stop >= (self._done + self._block + self._margin) * self._in:
            done.append(self._take(self._block * self._out))
        return torch.cat(done, -1)

    def finish(self) -> Tensor | None:
        """What is left, (..., m); None where nothing was pushed, or nothing is left by equal rates."""
        if not self._samples.stop:
            return None
        left = self._samples.stop - self._done * self._in
        return self._take(-(-left * self._out // self._in))

    def _take(self, n_out: int) -> Tensor:
        """Resample the next samples, of which `n_out` are wanted, and forget those that no other needs."""
        first = self._samples.start // self._in
        n_periods = self._done + -(-n_out // self._out) + self._margin - first
        piece = self._samples.between(first * self._in, (first + n_periods) * self._in)
        piece = F.pad(piece, (0, n_periods * self._in - piece.shape[-1]))  # silence follows the end
        resampled = torchaudio_functional().resample(piece, self._in, self._out, **KAISER_BEST)
        start = (self._done - first) * self._out
        self._done += self._block
        self._samples.forget((self._done - self._margin) * self._in)
        return resampled[..., start : start + n_out]


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample (..., T) to (..., ceil(T to_rate / from_rate)); see `Resampler`."""
    if from_rate == to_rate or not waveform.shape[-1]:
        return waveform
    resampler = Resampler(from_rate, to_rate)
    blocks = [resampler.push(part) for part in waveform.split(int(BLOCK_S * from_rate), -1)]
    last = resampler.finish()
    return torch.cat([*blocks, *([] if last is None else [last])], -1)
