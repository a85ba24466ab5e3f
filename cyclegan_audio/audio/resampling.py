"""Resample waveforms and streams by a Kaiser-windowed sinc."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional

BLOCK_S = 20.0
_MAX_PERIOD = 1024  # input samples; other rates are replaced by the nearest ratio, at most 1e-6 away
_MAX_SPEED_PERIOD = 60  # input samples; speeds are within 0.12 % of equal temperament
# librosa's filter "kaiser_best": 64 zero crossings, flat to 0.94 of the lower Nyquist frequency.
KAISER_BEST = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


class Resampler:
    """A resampler of a stream: the outputs of `push` and `finish`, joined, are the whole at the new rate.

    The values do not depend on the sizes of the blocks; memory is bounded. Equal rates change nothing.

    Args:
        from_rate: sample rate of the input in Hz.
        to_rate: sample rate of the output in Hz.
        block_s: seconds resampled at once, `BLOCK_S` by default; long blocks are faster, short ones have less
            latency.

    Raises:
        UserError: the rates differ and torchaudio does not load.

    Attributes:
        latency_s: maximum delay of the output in seconds.
    """

    def __init__(self, from_rate: int, to_rate: int, block_s: float | None = None) -> None:
        ratio = Fraction(to_rate, from_rate).limit_denominator(_MAX_PERIOD)
        self._in, self._out = ratio.denominator, ratio.numerator  # samples of one period at both rates
        reach = 80 * max(self._in, self._out) // self._out + self._in  # over 64 crossings of the lower rate
        self._margin = -(-reach // self._in)  # in periods, as all positions below
        self._block = max(1, int((block_s or BLOCK_S) * from_rate) // self._in)
        is_needed = self._in != self._out
        if is_needed:
            torchaudio_functional()  # fail before any audio is read
        self.latency_s = is_needed * (self._block + self._margin) * self._in / from_rate
        self._samples = RollingBuffer()
        self._position = 0  # periods that have been resampled

    def push(self, block: Tensor) -> Tensor:
        """Add the next samples (..., n); return those that are ready, (..., m), often none."""
        if self._in == self._out:
            return block
        self._samples.append(block)
        ready = [block.new_empty(*block.shape[:-1], 0)]
        while self._samples.stop >= (self._position + self._block + self._margin) * self._in:
            ready.append(self._resample_next(self._block * self._out))
        return torch.cat(ready, -1)

    def finish(self) -> Tensor | None:
        """Return the remaining samples, (..., m); None if nothing was pushed or the rates are equal."""
        if not self._samples.stop:
            return None
        n_left = self._samples.stop - self._position * self._in
        return self._resample_next(-(-n_left * self._out // self._in))

    def _resample_next(self, n_out: int) -> Tensor:
        """Return the next `n_out` output samples and discard input that no later output needs."""
        first = self._samples.start // self._in
        n_periods = self._position + -(-n_out // self._out) + self._margin - first
        samples = self._samples.read(first * self._in, (first + n_periods) * self._in)
        samples = F.pad(samples, (0, n_periods * self._in - samples.shape[-1]))  # silence follows the end
        resampled = torchaudio_functional().resample(samples, self._in, self._out, **KAISER_BEST)
        start = (self._position - first) * self._out
        self._position += self._block
        self._samples.discard_before((self._position - self._margin) * self._in)
        return resampled[..., start : start + n_out]


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample a waveform (..., T) to (..., ceil(T * to_rate / from_rate)); see `Resampler`."""
    if from_rate == to_rate or not waveform.shape[-1]:
        return waveform
    resampler = Resampler(from_rate, to_rate)
    blocks = [resampler.push(part) for part in waveform.split(int(BLOCK_S * from_rate), -1)]
    last = resampler.finish()
    return torch.cat([*blocks, *([] if last is None else [last])], -1)


def change_speed(waveform: Tensor, semitones: int) -> Tensor:
    """Play a waveform (..., T) faster, and so higher by semitones, as a record; slower if they are below 0.

    Raises:
        UserError: torchaudio does not load.
    """
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(_MAX_SPEED_PERIOD)
    return torchaudio_functional().resample(waveform, ratio.numerator, ratio.denominator, **KAISER_BEST)
