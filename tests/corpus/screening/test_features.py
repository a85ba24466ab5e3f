"""Tests of loudness against torchaudio, and of bandwidth of noise with known cutoffs."""

import pytest
import torch
import torchaudio.functional as AF

from cyclegan_audio.corpus.screening.features import ABSOLUTE_GATE_LUFS, ClipFeatures

RATE = 44_100


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(4 * RATE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("cutoff_hz", [100, 1000, 10_000])
def test_loudness_equals_torchaudio_loudness(rate, cutoff_hz):
    clip = AF.lowpass_biquad(noise(1), rate, cutoff_hz)
    clip[: len(clip) // 4] *= 0.02
    assert ClipFeatures(clip, rate).loudness_lufs == pytest.approx(
        float(AF.loudness(clip[None], rate)), abs=0.2
    )


def test_silence_has_the_gate_loudness():
    assert ClipFeatures(torch.zeros(RATE), RATE).loudness_lufs == ABSOLUTE_GATE_LUFS
    assert ClipFeatures(torch.zeros(RATE), RATE).bandwidth_hz(70.0) == 0.0


@pytest.mark.parametrize("cutoff_hz", [4000, 11_000, 16_000])
def test_bandwidth_is_the_cutoff_of_noise(cutoff_hz):
    spectrum = torch.fft.rfft(noise(2))
    spectrum[round(cutoff_hz * 4) :] = 0
    clip = torch.fft.irfft(spectrum)
    assert ClipFeatures(clip, RATE).bandwidth_hz(70.0) == pytest.approx(cutoff_hz, abs=250)
    assert ClipFeatures(clip * 0.1, RATE).bandwidth_hz(70.0) == pytest.approx(cutoff_hz, abs=250)
    assert ClipFeatures(noise(2), RATE).bandwidth_hz(70.0) == pytest.approx(RATE / 2, abs=50)


def test_power_of_bins_sums_to_mean_square_of_the_frame():
    wave = noise(3)
    power = ClipFeatures(wave, RATE).power
    assert power.shape == (1025, (len(wave) - 2048) // 1024 + 1)
    assert float(power.sum(0).mean()) == pytest.approx(0.01, rel=0.02)
    sine = 0.5 * torch.sin(2 * torch.pi * 100 / 2048 * torch.arange(RATE))
    actual = ClipFeatures(sine, RATE).power[:, 0]
    assert int(actual.argmax()) == 100
    assert float(actual.sum()) == pytest.approx(0.125, rel=1e-3)
    assert ClipFeatures(sine[:1000], RATE).power.shape == (1025, 1)


@pytest.mark.parametrize(("below_db", "hz"), [(69.0, 18_000), (71.0, 5000)])
def test_bandwidth_ends_below_range_db(below_db, hz):
    """Flat to 5 kHz, then flat to 18 kHz at another level."""
    spectrum = torch.fft.rfft(noise(4))
    spectrum /= spectrum.abs().clamp_min(1e-9)
    frequency = torch.fft.rfftfreq(4 * RATE, 1 / RATE)
    spectrum[frequency > 5000] *= 10 ** (-below_db / 20)
    spectrum[frequency > 18_000] = 0
    wave = torch.fft.irfft(spectrum)
    wave *= 0.5 / wave.std()
    assert ClipFeatures(wave, RATE).bandwidth_hz(70.0) == pytest.approx(hz, abs=400)
    assert ClipFeatures(wave, RATE).bandwidth_hz(74.0) == pytest.approx(18_000, abs=300)
    assert ClipFeatures(1e-6 * wave, RATE).bandwidth_hz(70.0) == 0  # below the noise of any recording


def test_mel_bands_are_power_in_db():
    """Power in dB, with a floor at -120 dB."""
    mel_db = ClipFeatures(noise(5), RATE).mel_db
    assert mel_db.shape == (40, ClipFeatures(noise(5), RATE).power.shape[1])
    louder = ClipFeatures(10 * noise(5), RATE).mel_db
    torch.testing.assert_close(louder, mel_db + 20, rtol=0, atol=1e-3)
    assert ClipFeatures(torch.zeros(4096), RATE).mel_db.unique().tolist() == [-120]


def test_the_relative_gate_is_ten_db_below_the_mean():
    """Two halves, the one below by so much: the mean's gate is at 12.79 dB."""
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(20 * RATE) / RATE)
    alone = ClipFeatures(tone, RATE).loudness_lufs
    for below_db, expected in ((12.5, -2.77), (13.1, 0.0)):
        both = torch.cat([tone, tone * 10 ** (-below_db / 20)])
        assert ClipFeatures(both, RATE).loudness_lufs - alone == pytest.approx(expected, abs=0.1)
    assert ClipFeatures(tone * 10 ** (-66 / 20), RATE).loudness_lufs == pytest.approx(alone - 66, abs=0.01)
    assert ClipFeatures(tone * 10 ** (-68 / 20), RATE).loudness_lufs == -70


@pytest.mark.parametrize(("hz", "is_in_band"), [(15_000, True), (18_000, False)])
def test_mel_bands_end_at_16_khz(hz, is_in_band):
    tone = torch.sin(2 * torch.pi * hz * torch.arange(RATE) / RATE)
    assert bool((ClipFeatures(tone, RATE).mel_db[-1] > -20).all()) is is_in_band


@pytest.mark.parametrize(("hz", "is_in_band"), [(24, False), (40, True)])
def test_mel_bands_start_at_30_hz(hz, is_in_band):
    """At 8 kHz, where bins are 4 Hz apart: in a band or 20 dB less."""
    tone = torch.sin(2 * torch.pi * hz * torch.arange(40_000) / 8000)
    assert bool((ClipFeatures(tone, 8000).mel_db[0] > -12).all()) is is_in_band


@pytest.mark.parametrize("hz", [40, 60, 100, 700, 1000, 1500, 2000, 3000, 8000])
def test_loudness_of_a_tone_equals_torchaudio_loudness(hz):
    rate = 48_000 if hz > 100 else 8000  # bins are 23 or 4 Hz apart
    tone = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(4 * rate) / rate)
    expected = float(AF.loudness(tone[None], rate))
    assert ClipFeatures(tone, rate).loudness_lufs == pytest.approx(expected, abs=0.03)
