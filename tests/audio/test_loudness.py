import math
import pickle

import pytest
import torch
import torchaudio

from cyclegan_audio.audio.loudness import LoudnessMeter


def lufs(waveform: torch.Tensor, rate: int, step: int = 10_000) -> float:
    meter = LoudnessMeter(rate)
    for part in waveform.split(step, 1):
        meter.push(part)
    return meter.lufs()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_sine_has_the_loudness_of_the_standard(rate):
    wave = torch.sin(997 * math.tau * torch.arange(3 * rate, dtype=torch.float64) / rate).float()[None]
    assert lufs(wave, rate) == pytest.approx(-3.01, abs=0.05)  # BS.1770-4, annex 1
    assert lufs(wave.expand(2, -1) / 10, rate) == pytest.approx(-20, abs=0.05)


def test_music_with_pauses_is_as_loud_as_torchaudio_says():
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(torch.randn(2, 44100 * 6, generator=generator))
    wave = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[1] + 1).sqrt(), 44100 * 6)
    wave[:, 60_000:120_000] *= 1e-3  # below the gates
    expected = float(torchaudio.functional.loudness(wave, 44100))
    assert lufs(wave, 44100) == pytest.approx(expected, abs=0.1)
    assert lufs(wave, 44100, 999) == pytest.approx(lufs(wave, 44100), abs=1e-4)


def test_silence_and_very_short_sounds():
    assert lufs(torch.zeros(2, 50_000), 44100) == -math.inf
    assert LoudnessMeter(44100).lufs() == -math.inf
    assert lufs(torch.full((1, 100), 0.5), 44100) == pytest.approx(-6.7, abs=0.1)
    assert -20 < lufs(torch.randn(1, 9000, generator=torch.Generator().manual_seed(0)) * 0.3, 44100) < 0


def test_what_is_all_below_the_gates_has_a_level_too():
    wave = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0)) * 0.1
    meters = [LoudnessMeter(44100) for _ in range(3)]
    for meter, gain in zip(meters, (1.0, 1e-4, 0.0), strict=True):
        meter.push(wave * gain)
    loud, quiet, silent = meters
    assert loud.level_lufs() == loud.lufs()
    assert quiet.lufs() == -math.inf
    assert quiet.level_lufs() == pytest.approx(loud.lufs() - 80, abs=0.1)
    assert silent.level_lufs() == -math.inf


def test_the_gates_follow_the_standard_to_a_thousandth_and_the_meter_does_not_grow():
    generator = torch.Generator().manual_seed(0)
    levels = 10 ** torch.linspace(-4, 0, 300)  # 30 s that rise by 80 dB: both gates cut
    wave = (torch.randn(300, 4410, generator=generator) * 0.3 * levels[:, None]).reshape(1, -1)
    alone = [lufs(part, 44100) for part in wave.unfold(1, 4 * 4410, 4410)[0][:, None]]
    energy = torch.tensor([10 ** (value / 10) for value in alone if value > -70])
    gate = 10 * math.log10(float(energy.mean())) - 10
    expected = 10 * math.log10(float(energy[10 * energy.log10() > gate].mean()))
    assert lufs(wave, 44100) == pytest.approx(expected, abs=2e-3)

    meter = LoudnessMeter(44100)
    sizes = []
    for _ in range(2):
        for part in wave.split(4410, 1):
            meter.push(part)
        sizes.append(len(pickle.dumps(vars(meter))))
    assert sizes[0] == sizes[1]
