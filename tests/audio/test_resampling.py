"""Test lengths, gains and latency of resampled audio."""

import math

import pytest
import torch

from cyclegan_audio.audio.resampling import Resampler, change_speed, resample


def sine(hz: float, rate: int, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(hz * math.tau * torch.arange(round(seconds * rate), dtype=torch.float64) / rate).float()


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 48000), (48000, 44100), (16000, 8000)])
def test_sine_keeps_time_pitch_and_level_up_to_nine_tenths_of_nyquist(from_rate, to_rate):
    for hz in (100.0, 0.45 * min(from_rate, to_rate)):
        got, expected = resample(sine(hz, from_rate), from_rate, to_rate), sine(hz, to_rate)
        assert got.shape == expected.shape
        inner = slice(to_rate // 20, -to_rate // 20)
        torch.testing.assert_close(got[inner], expected[inner], rtol=0, atol=4e-3)  # 0.02 dB


@pytest.mark.parametrize(("hz", "max_amplitude"), [(4100, 1e-4), (7000, 1e-5)])
def test_frequencies_above_the_lower_nyquist_are_removed(hz, max_amplitude):
    got = resample(sine(hz, 16000), 16000, 8000)
    assert got[400:-400].abs().max() < max_amplitude


def test_lengths_are_rounded_up_and_equal_rates_return_the_input():
    assert resample(torch.zeros(2, 441), 44100, 48000).shape == (2, 480)
    assert resample(torch.zeros(2, 442), 44100, 48000).shape == (2, 482)  # 481.1
    assert resample(torch.zeros(1), 44100, 8000).shape == (1,)
    assert resample(torch.zeros(2, 0), 44100, 48000).shape == (2, 0)
    wave = torch.randn(2, 100)
    assert resample(wave, 8000, 8000) is wave
    equal = Resampler(8000, 8000)
    assert equal.push(wave) is wave
    assert equal.finish() is None
    assert equal.latency_s == 0
    assert Resampler(8000, 16000).finish() is None


@pytest.mark.parametrize("block_s", [0.003, 0.02, 0.2])
@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 48000), (8000, 48000), (48000, 8000)])
def test_any_block_length_gives_the_same_values_within_its_latency(from_rate, to_rate, block_s):
    wave = torch.randn(2, from_rate // 4, generator=torch.Generator().manual_seed(0)) * 0.1
    resampler = Resampler(from_rate, to_rate, block_s)
    assert resampler.push(wave[:, :1]).shape == (2, 0)
    parts = [resampler.push(part) for part in wave[:, 1:].split(from_rate // 30, 1)]
    ready_s = sum(part.shape[1] for part in parts) / to_rate
    assert 0.25 - ready_s <= resampler.latency_s
    latency_s = resampler.latency_s
    assert latency_s == pytest.approx(block_s + 80 / min(from_rate, to_rate), rel=0.2, abs=0.012)
    got = torch.cat([*parts, resampler.finish()], 1)
    torch.testing.assert_close(got, resample(wave, from_rate, to_rate), rtol=0, atol=1e-6)


def test_output_is_ready_at_the_latency():
    resampler = Resampler(44100, 48000, 0.1)
    needed = round(resampler.latency_s * 44100)
    assert resampler.push(torch.zeros(1, needed - 1)).shape == (1, 0)
    assert resampler.push(torch.zeros(1, 1)).shape == (1, 30 * 160)  # 0.1 s is 30 periods of 147 samples


@pytest.mark.parametrize("semitones", [-12, -2, -1, 1, 2, 12])
def test_a_faster_sound_is_shorter_and_higher(semitones):
    rate, seconds = 44100, 2
    waveform = sine(440, rate, seconds)
    faster = change_speed(waveform, semitones)
    ratio = 2 ** (semitones / 12)
    assert len(faster) == pytest.approx(len(waveform) / ratio, rel=1e-3)
    spectrum = torch.fft.rfft(faster * torch.hann_window(len(faster))).abs()
    assert float(spectrum.argmax()) * rate / len(faster) == pytest.approx(440 * ratio, rel=2e-3)
    assert faster.square().mean() == pytest.approx(0.5, rel=0.01)
