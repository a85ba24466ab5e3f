"""Integrated loudness against torchaudio, and the fallback for quiet music."""

import math
import pickle

import pytest
import torch
import torchaudio

from cyclegan_audio.audio.loudness import LoudnessMeter, equalise_loudness, fade_ends, integrated_lufs


def lufs(waveform: torch.Tensor, rate: int, step: int = 10_000) -> float:
    meter = LoudnessMeter(rate)
    for part in waveform.split(step, 1):
        meter.push(part)
    return meter.integrated_lufs()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_sine_has_the_loudness_of_the_standard(rate):
    wave = torch.sin(997 * math.tau * torch.arange(3 * rate, dtype=torch.float64) / rate).float()[None]
    assert lufs(wave, rate) == pytest.approx(-3.01, abs=0.05)  # BS.1770-4, annex 1
    assert lufs(wave.expand(2, -1) / 10, rate) == pytest.approx(-20, abs=0.05)


def test_gated_loudness_equals_torchaudio():
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(torch.randn(2, 44100 * 6, generator=generator))
    wave = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[1] + 1).sqrt(), 44100 * 6)
    wave[:, 60_000:120_000] *= 1e-3  # below the gates
    expected = float(torchaudio.functional.loudness(wave, 44100))
    assert lufs(wave, 44100) == pytest.approx(expected, abs=0.1)
    assert lufs(wave, 44100, 999) == pytest.approx(lufs(wave, 44100), abs=1e-4)


def test_loudness_of_silence_and_very_short_audio():
    assert lufs(torch.zeros(2, 50_000), 44100) == -math.inf
    assert LoudnessMeter(44100).integrated_lufs() == -math.inf
    assert lufs(torch.full((1, 100), 0.5), 44100) == pytest.approx(-6.7, abs=0.1)
    assert -20 < lufs(torch.randn(1, 9000, generator=torch.Generator().manual_seed(0)) * 0.3, 44100) < 0


def test_audio_below_the_gates_has_an_ungated_loudness():
    wave = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0)) * 0.1
    meters = [LoudnessMeter(44100) for _ in range(3)]
    for meter, gain in zip(meters, (1.0, 1e-4, 0.0), strict=True):
        meter.push(wave * gain)
    loud, quiet, silent = meters
    assert loud.lufs_or_ungated() == loud.integrated_lufs()
    assert quiet.integrated_lufs() == -math.inf
    assert quiet.lufs_or_ungated() == pytest.approx(loud.integrated_lufs() - 80, abs=0.1)
    assert silent.lufs_or_ungated() == -math.inf


def test_gates_follow_the_standard_and_the_meter_does_not_grow():
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


@pytest.mark.parametrize("level", [1.0, 0.995, 0.99])
@pytest.mark.parametrize(("below_db", "is_counted"), [(12.775, True), (12.80, False)])
def test_relative_gate_is_10_lu_below_the_mean(level, below_db, is_counted):
    tone = level * torch.cos(torch.arange(8000 * 40) * math.tau / 8)[None]  # a mean of (1 + q) / 2 has its
    quiet = tone * 10 ** (-below_db / 20)  # gate at a twentieth of 1 + q: q = 1 / 19, or 12.788 dB
    both = lufs(torch.cat([tone, quiet], 1), 8000)
    mean_db = 10 * math.log10((1 + 10 ** (-below_db / 10)) / 2)
    assert both - lufs(tone, 8000) == pytest.approx(mean_db if is_counted else 0, abs=0.03)


@pytest.mark.parametrize("hz", [20, 40, 100, 2000, 10_000])
def test_k_weighting_of_tones_follows_the_standard(hz):
    actual = [lufs(torch.sin(f * math.tau * torch.arange(96_000) / 48_000)[None], 48_000) for f in (hz, 1000)]
    assert actual[0] - actual[1] == pytest.approx(weight_db(hz) - weight_db(1000), abs=0.03)


def weight_db(hz: float) -> float:
    """Return the gain of the two filters at 48 kHz in BS.1770-4, tables 1 and 2."""
    z = complex(math.cos(math.tau * hz / 48_000), -math.sin(math.tau * hz / 48_000))  # z to the power of -1
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return 20 * math.log10(abs(shelf * high_pass))


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.39, 0.41])
def test_shortest_audio_has_a_loudness(seconds):
    tone = 0.1 * torch.cos(torch.arange(round(8000 * seconds)) * math.tau / 8)[None]
    weight = weight_db(1000) if seconds > 0.1 else 0.0  # less than a step of 0.1 s is not weighted
    assert lufs(tone, 8000) == pytest.approx(-23.01 - 0.691 + weight, abs=0.1)
    assert lufs(tone.repeat(2, 1), 8000) - lufs(tone, 8000) == pytest.approx(3.01, abs=0.01)
    assert lufs(tone / 2000, 8000) == (pytest.approx(-89.0, abs=1) if seconds < 0.1 else -math.inf)


def test_sounds_get_the_loudness_that_the_highest_peak_allows():
    rate = 44100
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(2 * rate) / rate)
    click = torch.zeros(2 * rate)
    click[::4410] = 1.0
    sounds, lufs = equalise_loudness([tone, 0.01 * tone, 0 * tone], rate, -20.0, 0.9)
    assert lufs == -20
    assert [integrated_lufs(sound[None], rate) for sound in sounds] == [
        pytest.approx(-20, abs=0.02),
        pytest.approx(-20, abs=0.02),
        -math.inf,
    ]
    sounds, lufs = equalise_loudness([tone, click], rate, -20.0, 0.9)
    assert lufs < -20
    assert float(sounds[1].max()) == pytest.approx(0.9)
    assert integrated_lufs(sounds[0][None], rate) == pytest.approx(lufs, abs=0.02)


def test_ends_are_faded():
    faded = fade_ends(torch.ones(1, 10), 3)
    assert faded[0].tolist() == [0.0, 0.5, 1, 1, 1, 1, 1, 1, 0.5, 0.0]
    assert fade_ends(torch.ones(2), 3).shape == (2,)
