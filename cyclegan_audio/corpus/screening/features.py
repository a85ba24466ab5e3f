"""Compute a clip's power spectrum once, and from it mel bands, loudness and bandwidth."""

import dataclasses
import math
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional

N_FFT = 2048
HOP = 1024
N_MFCC = 13
MEL_BANDS = 40
MEL_RANGE_HZ = (30.0, 16000.0)
GATING_BLOCK_S, GATING_STEP_S = 0.4, 0.1  # of ITU-R BS.1770-4
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU, OFFSET_LUFS = -70.0, -10.0, -0.691
EPSILON = 1e-12
IMPULSE_SAMPLES = 1 << 14
SMOOTHING_HZ = 300.0
MIN_CONTENT_DB = -110.0  # per bin; below the noise floor of any recording


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """Features of a mono clip (T,) float at `rate`, each computed once on demand.

    F frames of 2048 samples with a Hann window, 1024 samples apart.
    """

    mono: Tensor
    rate: int

    @cached_property
    def power(self) -> Tensor:
        """Power spectrogram (1025, F); the sum over bins is the mean square of the frame."""
        window = _window()
        mono = self.mono
        if len(mono) < N_FFT:
            mono = torch.nn.functional.pad(mono, (0, N_FFT - len(mono)))
        spectrum = torch.stft(mono, N_FFT, HOP, window=window, center=False, return_complex=True)
        real_square, imaginary_square = torch.view_as_real(spectrum).square_().unbind(-1)
        return (real_square + imaginary_square).mul_(2.0 / (N_FFT * float(window.square().sum())))

    @cached_property
    def _bands(self) -> Tensor:
        """Power in 40 mel bands, and K-weighted total power, (41, F)."""
        return _filter_banks(self.rate) @ self.power

    @cached_property
    def mel_db(self) -> Tensor:
        """40 mel bands in dB, (40, F)."""
        return 10 * (self._bands[:MEL_BANDS] + EPSILON).log10()

    @cached_property
    def loudness_lufs(self) -> float:
        """Integrated loudness of the mono clip after ITU-R BS.1770-4; -70 if all of it is below the gate.

        The K weighting is applied to the power spectrum, at a sixth of the cost of filtering samples.
        """
        frames = self._bands[MEL_BANDS]
        n_block = max(1, min(len(frames), round(GATING_BLOCK_S * self.rate / HOP)))
        step = max(1, round(GATING_STEP_S * self.rate / HOP))
        blocks = frames.unfold(0, n_block, step).mean(1)
        loud = blocks[OFFSET_LUFS + 10 * (blocks + EPSILON).log10() > ABSOLUTE_GATE_LUFS]
        if not len(loud):
            return ABSOLUTE_GATE_LUFS
        gate = 10 * math.log10(float(loud.mean())) + RELATIVE_GATE_LU
        loud = loud[10 * loud.log10() > gate]
        return OFFSET_LUFS + 10 * math.log10(float(loud.mean()))

    def bandwidth_hz(self, range_db: float) -> float:
        """Return the highest frequency within `range_db` of the spectrum's maximum; 0 for silence.

        The spectrum is the mean power over time, smoothed over 300 Hz.
        """
        mean = self.power.mean(1)
        width = max(1, round(SMOOTHING_HZ * N_FFT / self.rate)) | 1
        smooth = torch.nn.functional.avg_pool1d(mean[None], width, 1, width // 2, count_include_pad=False)[0]
        level = 10 * (smooth + EPSILON).log10()
        above = (level > max(float(level.max()) - range_db, MIN_CONTENT_DB)).nonzero()
        return float(above[-1, 0]) * self.rate / N_FFT if len(above) else 0.0


@lru_cache(maxsize=1)
def _window() -> Tensor:
    return torch.hann_window(N_FFT)


@lru_cache(maxsize=4)
def _filter_banks(rate: int) -> Tensor:
    """Return the mel filter bank and the K weighting for power spectra, (41, 1025)."""
    low_hz, high_hz = MEL_RANGE_HZ
    mel = (
        torchaudio_functional()
        .melscale_fbanks(N_FFT // 2 + 1, low_hz, min(high_hz, rate / 2), MEL_BANDS, rate)
        .T
    )
    return torch.cat([mel, _k_weighting(rate)[None]]).contiguous()


def _k_weighting(rate: int) -> Tensor:
    """Return the power response of the two filters of BS.1770-4 at each bin, (1025,)."""
    functional = torchaudio_functional()
    impulse = torch.zeros(IMPULSE_SAMPLES, dtype=torch.float64)
    impulse[0] = 0.5  # biquads of torchaudio clip at full scale
    shelf = functional.treble_biquad(impulse, rate, 4.0, 1500.0, 2**-0.5)
    response = torch.fft.rfft(functional.highpass_biquad(shelf, rate, 38.0, 0.5) * 2).abs().square()
    return response[:: IMPULSE_SAMPLES // N_FFT].float()
