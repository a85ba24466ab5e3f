"""Loudness against the library's filters, and bandwidth of noise cut at known frequencies."""

import pytest
import torch
import torchaudio.functional as AF

from cyclegan_audio.data.screening.analysis import ABSOLUTE_GATE_LUFS, Analysis

RATE = 44_100


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(4 * RATE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("cutoff_hz", [100, 1000, 10_000])
def test_loudness_is_that_of_bs1770(rate, cutoff_hz):
    clip = AF.lowpass_biquad(noise(1), rate, cutoff_hz)
    clip[: len(clip) // 4] *= 0.02
    assert Analysis(clip, rate).loudness_lufs == pytest.approx(float(AF.loudness(clip[None], rate)), abs=0.2)


def test_silence_has_the_loudness_of_the_gate():
    assert Analysis(torch.zeros(RATE), RATE).loudness_lufs == ABSOLUTE_GATE_LUFS
    assert Analysis(torch.zeros(RATE), RATE).bandwidth_hz(70.0) == 0.0


@pytest.mark.parametrize("cutoff_hz", [4000, 11_000, 16_000])
def test_bandwidth_is_where_content_ends(cutoff_hz):
    spectrum = torch.fft.rfft(noise(2))
    spectrum[round(cutoff_hz * 4) :] = 0
    clip = torch.fft.irfft(spectrum)
    assert Analysis(clip, RATE).bandwidth_hz(70.0) == pytest.approx(cutoff_hz, abs=250)
    assert Analysis(clip * 0.1, RATE).bandwidth_hz(70.0) == pytest.approx(cutoff_hz, abs=250)
    assert Analysis(noise(2), RATE).bandwidth_hz(70.0) == pytest.approx(RATE / 2, abs=50)
