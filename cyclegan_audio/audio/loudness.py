"""Measure the integrated loudness of a stream in LUFS (ITU-R BS.1770-4)."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]

STEP_S = 0.1
STEPS = 4  # a block lasts 400 ms and shares three quarters with the next
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LUFS = -0.691
BIN_LU, MAX_LUFS = 0.01, 40.0
_BINS = round((MAX_LUFS - ABSOLUTE_GATE_LUFS) / BIN_LU)
# The two K-weighting filters of BS.1770: a high shelf and a high-pass (their analogue form, De Man 2014).
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


class LoudnessMeter:
    """A meter of the integrated loudness of a stream, at constant memory; every channel has weight 1.

    The filters are applied to the spectrum of each step of 100 ms, so they have no state. A histogram with
    bins of 0.01 LU counts the blocks, as the relative gate is known only at the end.
    """

    def __init__(self, sample_rate: int) -> None:
        self.step = round(STEP_S * sample_rate)
        self.sample_rate = sample_rate
        self._rest: Tensor | None = None
        self._steps = np.empty(0)  # filtered mean square of the last steps, summed over channels
        self._has_blocks = False
        self._counts, self._energies = np.zeros(_BINS), np.zeros(_BINS)
        self._n_steps, self._energy = 0, 0.0  # without any gate

    def push(self, waveform: Tensor) -> None:
        """Add the next samples (C, n)."""
        samples = waveform if self._rest is None else torch.cat([self._rest, waveform], 1)
        n_steps = samples.shape[1] // self.step
        self._rest = samples[:, n_steps * self.step :].clone()
        if n_steps:
            steps = samples[:, : n_steps * self.step].unflatten(1, (n_steps, self.step))
            spectrum = torch.view_as_real(torch.fft.rfft(steps)).flatten(-2)  # real, imaginary, real, ...
            power = spectrum.square_() @ _k_weights(self.sample_rate, self.step)
            self._add_steps((power.sum(0) * (2 / self.step**2)).double().numpy())

    def _add_steps(self, energies: Array) -> None:
        self._n_steps += len(energies)
        self._energy += float(energies.sum())
        steps = np.concatenate([self._steps, energies])
        self._steps = steps[1 - STEPS :].copy() if len(steps) >= STEPS else steps
        if len(steps) < STEPS:
            return
        self._has_blocks = True
        blocks = np.lib.stride_tricks.sliding_window_view(steps, STEPS).mean(1)
        loud = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
        bins = _bin(_lufs(loud))
        self._counts += np.bincount(bins, minlength=_BINS)
        self._energies += np.bincount(bins, loud, _BINS)

    def integrated_lufs(self) -> float:
        """Return the gated loudness so far; minus infinity if everything is below the absolute gate."""
        if not self._counts.any():
            return self._short_lufs()
        gate = float(_lufs(self._energies.sum() / self._counts.sum())) + RELATIVE_GATE_LU
        above = slice(int(_bin(np.array(max(gate, ABSOLUTE_GATE_LUFS)))), None)
        return float(_lufs(self._energies[above].sum() / self._counts[above].sum()))

    def lufs_or_ungated(self) -> float:
        """Return the gated loudness, or the ungated one if everything is below the gates; silence: -inf."""
        lufs = self.integrated_lufs()
        if lufs > -math.inf or not self._energy:
            return lufs
        return float(_lufs(np.array(self._energy / self._n_steps)))

    def _short_lufs(self) -> float:
        """Return the loudness of less than one block (mean of steps) or less than one step (unfiltered)."""
        if len(self._steps):
            lufs = float(_lufs(self._steps.mean()))
            return lufs if lufs > ABSOLUTE_GATE_LUFS and not self._has_blocks else -math.inf
        if self._rest is None or not self._rest.any():
            return -math.inf
        return float(_lufs(np.array(float(self._rest.double().square().mean(1).sum()))))


def _lufs(energy: Array) -> Array:
    return 10 * np.log10(np.maximum(energy, 1e-20)) + OFFSET_LUFS


def _bin(lufs: Array) -> Array:
    return ((lufs - ABSOLUTE_GATE_LUFS) / BIN_LU).astype(np.int64).clip(0, _BINS - 1)


@lru_cache(maxsize=8)
def _k_weights(sample_rate: int, step: int) -> Tensor:
    """Return the squared gain of both filters at each bin of a real FFT of `step` samples, each twice."""
    s = 1j * torch.arange(step // 2 + 1, dtype=torch.float64) * (sample_rate / step)
    high, band, low = 10 ** (SHELF_DB / 20), (10 ** (SHELF_DB / 20)) ** 0.4996667741545416, 1.0
    x = s / SHELF_HZ
    shelf = (high * x**2 + band / SHELF_Q * x + low) / (x**2 + x / SHELF_Q + 1)
    y = s / HIGH_PASS_HZ
    high_pass = y**2 / (y**2 + y / HIGH_PASS_Q + 1)
    return (shelf * high_pass).abs().square().float().repeat_interleave(2)


def equalise_loudness(
    sounds: Sequence[Tensor], sample_rate: int, lufs: float, max_peak: float
) -> tuple[list[Tensor], float]:
    """Scale sounds (T,) to the same loudness; silent ones stay silent.

    Returns:
        The sounds, and their loudness in LUFS: `lufs`, or less where a peak would exceed `max_peak`.
    """
    levels = [integrated_lufs(sound[None], sample_rate) for sound in sounds]
    peaks_db = [20 * float(sound.abs().max().log10()) for sound in sounds]
    headroom = [level - peak for level, peak in zip(levels, peaks_db, strict=True) if math.isfinite(level)]
    common = min([lufs, *(room + 20 * math.log10(max_peak) for room in headroom)])
    gains = [10 ** ((common - level) / 20) if math.isfinite(level) else 1.0 for level in levels]
    return [sound * gain for sound, gain in zip(sounds, gains, strict=True)], common


def integrated_lufs(waveform: Tensor, sample_rate: int) -> float:
    """Measure the gated loudness of a waveform (C, T); minus infinity for silence."""
    meter = LoudnessMeter(sample_rate)
    meter.push(waveform)
    return meter.integrated_lufs()


def fade_ends(waveform: Tensor, n_samples: int) -> Tensor:
    """Fade the first and the last samples of a waveform (..., T) linearly from and to 0."""
    ramp = torch.linspace(0, 1, n_samples)[: waveform.shape[-1]]
    out = waveform.clone()
    out[..., : len(ramp)] *= ramp
    out[..., waveform.shape[-1] - len(ramp) :] *= ramp.flip(0)
    return out
