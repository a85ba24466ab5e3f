"""Loudness of endless music (ITU-R BS.1770-4), from blocks of 100 ms."""

import math
from functools import lru_cache

import torch
from torch import Tensor

STEP_S = 0.1
STEPS = 4  # a block of 400 ms, three quarters shared with the next
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LUFS = -0.691
# The two filters of BS.1770: a shelf for the head, and a high-pass (their analogue form, De Man 2014).
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


class LoudnessMeter:
    """Integrated loudness in LUFS of what was pushed; all channels weigh 1.

    The filters are applied to the spectrum of each step of 100 ms, so that no state is carried on.

    Attributes:
        energies: mean square by step after the filters, summed over channels.
    """

    def __init__(self, sample_rate: int) -> None:
        self.step = round(STEP_S * sample_rate)
        self.sample_rate = sample_rate
        self.energies: list[Tensor] = []
        self._rest: Tensor | None = None

    def push(self, waveform: Tensor) -> None:
        """The next samples (C, n)."""
        whole = waveform if self._rest is None else torch.cat([self._rest, waveform], 1)
        count = whole.shape[1] // self.step
        self._rest = whole[:, count * self.step :].clone()
        if count:
            steps = whole[:, : count * self.step].unflatten(1, (count, self.step))
            power = torch.view_as_real(torch.fft.rfft(steps)).square().sum(-1)
            power = power @ _weights(self.sample_rate, self.step)
            self.energies.append(power.sum(0) * (2 / self.step**2))

    def lufs(self) -> float:
        """The loudness so far; minus infinity for silence and for less than 400 ms without any loud part."""
        if not self.energies:
            return self._of_rest()
        energies = torch.cat(self.energies).double()
        blocks = energies.unfold(0, STEPS, 1).mean(1) if len(energies) >= STEPS else energies.mean()[None]
        loud = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
        if not len(loud):
            return -math.inf
        gate = float(_lufs(loud.mean())) + RELATIVE_GATE_LU
        return float(_lufs(loud[_lufs(loud) > gate].mean()))

    def _of_rest(self) -> float:
        """Less than one step: the plain level."""
        if self._rest is None or not self._rest.any():
            return -math.inf
        return float(_lufs(self._rest.double().square().mean(1).sum()))


def _lufs(energy: Tensor) -> Tensor:
    return 10 * energy.clamp_min(1e-20).log10() + OFFSET_LUFS


@lru_cache(maxsize=8)
def _weights(sample_rate: int, step: int) -> Tensor:
    """Squared gain of the two filters at the frequencies of a real FFT of `step` samples; DC is 0."""
    s = 1j * torch.arange(step // 2 + 1, dtype=torch.float64) * (sample_rate / step)
    high, band, low = 10 ** (SHELF_DB / 20), (10 ** (SHELF_DB / 20)) ** 0.4996667741545416, 1.0
    x = s / SHELF_HZ
    shelf = (high * x**2 + band / SHELF_Q * x + low) / (x**2 + x / SHELF_Q + 1)
    y = s / HIGH_PASS_HZ
    high_pass = y**2 / (y**2 + y / HIGH_PASS_Q + 1)
    return (shelf * high_pass).abs().square().float()
