"""Test bandwidth, roll-off, brightness, chroma, bass and the fixed-filter fraction."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import chroma
from cyclegan_audio.metrics.spectral import (
    band_energy,
    bandwidth_hz,
    bass_similarity,
    chroma_similarity,
    fixed_filter_fraction,
    high_band_db,
    roll_off_hz,
)


def low_passed_noise(mel: MelSpectrogram, cut_hz: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    n = 2 * mel.sample_rate
    spectrum = torch.fft.rfft(0.1 * torch.randn(n, generator=generator))
    spectrum[torch.fft.rfftfreq(n, 1 / mel.sample_rate) > cut_hz] = 0
    return mel.mel_db(torch.fft.irfft(spectrum, n)[None])[..., 8:-8]


@pytest.mark.parametrize("cut_hz", [3000.0, 8000.0, 15000.0])
def test_bandwidth_and_roll_off_of_low_passed_noise(any_mel: MelSpectrogram, cut_hz: float) -> None:
    mel_db = low_passed_noise(any_mel, cut_hz)
    leak = 0.08 if any_mel.window == "hann" else 0.4  # side lobes of a Hamming window lie 43 dB down
    assert 0.92 * cut_hz < bandwidth_hz(mel_db, any_mel).item() < (1 + leak) * cut_hz
    assert roll_off_hz(mel_db, any_mel).item() == pytest.approx(0.95 * cut_hz, rel=0.1)
    share = max(1 - 6000 / cut_hz, 1e-12)
    assert 10 ** (high_band_db(mel_db, any_mel).item() / 10) == pytest.approx(share, abs=0.06)


def test_band_energy_sums_to_one_and_ignores_level(any_mel: MelSpectrogram) -> None:
    mel_db = low_passed_noise(any_mel, 8000.0)
    energy = band_energy(mel_db, any_mel)
    assert energy.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(energy, band_energy(mel_db - 30, any_mel))


def flat(mel: MelSpectrogram, *levels_db: tuple[int, float]) -> torch.Tensor:
    """(1, M, 4): bands whose spectrum has these levels, the others almost silent."""
    density_db = torch.full((mel.n_mels,), -300.0)
    for band, level_db in levels_db:
        density_db[band] = level_db
    return (density_db + 20 * mel.filter_bank().sum(1).log10())[None, :, None].expand(1, -1, 4)


def test_band_energy_of_two_bands_by_hand(hifi: MelSpectrogram) -> None:
    """A band counts by its power times its bins: the squared sum of its weights over their squares' sum."""
    low, high = 40, 110
    bank = hifi.filter_bank()[[low, high]]
    bins = (bank.sum(1).square() / bank.square().sum(1)).tolist()
    parts = [bins[0] * 1.0, bins[1] * 0.1]  # -10 dB
    mel_db = flat(hifi, (low, 0.0), (high, -10.0))
    energy = band_energy(mel_db, hifi)[0]
    assert energy[low].item() == pytest.approx(parts[0] / sum(parts), abs=1e-5)
    assert energy[high].item() == pytest.approx(parts[1] / sum(parts), abs=1e-5)
    assert high_band_db(mel_db, hifi).item() == pytest.approx(
        10 * math.log10(parts[1] / sum(parts)), abs=1e-3
    )
    for share, band in ((0.94, high), (0.96, low)):
        level_db = 10 * math.log10(bins[0] / bins[1] * (1 - share) / share)
        actual = roll_off_hz(flat(hifi, (low, 0.0), (high, level_db)), hifi).item()
        assert actual == pytest.approx(float(hifi.band_hz[band]))


def test_band_energy_of_a_single_loud_frame_sums_to_one(any_mel: MelSpectrogram) -> None:
    mel_db = torch.full((1, any_mel.n_mels, 400), -300.0)
    mel_db[0, 40, 7] = 0.0
    energy = band_energy(mel_db, any_mel)[0]
    assert energy[40].item() == pytest.approx(1)
    assert energy.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(("level_db", "audible"), [(-49.9, True), (-50.1, False)])
def test_bandwidth_ends_50_db_below_the_loudest_band(
    hifi: MelSpectrogram, level_db: float, audible: bool
) -> None:
    actual = bandwidth_hz(flat(hifi, (30, 0.0), (100, level_db)), hifi).item()
    assert actual == pytest.approx(float(hifi.band_hz[100 if audible else 30]))
    assert bandwidth_hz(flat(hifi, (127, 0.0)), hifi).item() == pytest.approx(float(hifi.band_hz[127]))


def test_fixed_filter_fraction_is_one_for_equalisers_and_zero_for_events() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(2, 16, 40, generator=generator)
    equalised = source + torch.linspace(-10, 10, 16)[:, None]
    events = torch.randn(2, 16, 40, generator=generator)
    events = events - events.mean(2, keepdim=True)
    assert fixed_filter_fraction(source, equalised).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert fixed_filter_fraction(source, source + events).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert fixed_filter_fraction(source, source).tolist() == [1, 1]
    change = torch.full((1, 1, 4), 1.0) + torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert fixed_filter_fraction(torch.zeros(1, 1, 4), change).item() == pytest.approx(0.5)


A4 = 440.0
TUNE = [(i * 0.5, i * 0.5 + 0.45, A4 * 2 ** (step / 12)) for i, step in enumerate([0, 3, 7, 10, 5, 2, 8, 0])]
OTHER = [(a, b, hz * 2 ** (4 / 12)) for a, b, hz in TUNE]
BASS = [(i * 0.5, i * 0.5 + 0.4, hz) for i, hz in enumerate([55, 82, 55, 110, 65, 98, 55, 73])]
OTHER_BASS = [(i * 0.5 + 0.25, i * 0.5 + 0.45, hz) for i, hz in enumerate([98, 55, 110, 65, 110, 55, 82, 55])]
Melody = Callable[..., Tensor]


@pytest.mark.parametrize("step", range(12))
def test_chroma_of_a_tone_is_its_pitch_class(any_mel: MelSpectrogram, melody: Melody, step: int) -> None:
    tone = melody([(0.0, 4.0, 2 * A4 * 2 ** (step / 12))], any_mel.sample_rate)
    mel_db = any_mel.mel_db(tone[None])
    strength = chroma(mel_db, any_mel)[0].mean(1)
    assert min((int(strength.argmax()) - step) % 12, (step - int(strength.argmax())) % 12) <= 1


def test_chroma_similarity_ignores_filters_and_separates_tunes(
    any_mel: MelSpectrogram, melody: Melody
) -> None:
    rate = any_mel.sample_rate
    tune, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (TUNE, OTHER))
    tilt_db = torch.linspace(0, -24, any_mel.n_mels)[:, None]
    assert chroma_similarity(tune, tune, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert chroma_similarity(tune, tune + tilt_db, any_mel).item() > 0.9
    assert chroma_similarity(tune, other, any_mel).item() < 0.4


def test_bass_similarity_separates_bass_lines(any_mel: MelSpectrogram, melody: Melody) -> None:
    rate = any_mel.sample_rate
    line, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (BASS, OTHER_BASS))
    assert bass_similarity(line, line + 6, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert bass_similarity(line, other, any_mel).item() < 0.4


def test_bass_similarity_ignores_equalisers_and_higher_bands(hifi: MelSpectrogram) -> None:
    n_low = int((hifi.band_hz < 250).sum())
    flat = (20 * hifi.filter_bank().sum(1).clamp_min(1e-9).log10())[:, None].expand(-1, 40).clone()
    moving = flat.clone()
    moving[:n_low, ::2] += 6
    equalised = moving + torch.where(torch.arange(128) % 2 == 0, 10.0, -10.0)[:, None]
    equalised[n_low:] = flat[n_low:] + torch.randn(128 - n_low, 40)
    assert bass_similarity(moving[None], equalised[None], hifi).item() == pytest.approx(1, abs=1e-5)
    assert bass_similarity(moving[None], flat[None], hifi).item() == 0


def test_chroma_similarity_weights_loud_moments_more(hifi: MelSpectrogram) -> None:
    """Two clips that agree in the first half only; cosines 1 and 0."""
    bands = [int((hifi.band_hz - hz).abs().argmin()) for hz in (880, 1245)]
    one = torch.full((1, 128, 34), -400.0)
    one[0, bands[0]] = 0.0
    other = one.clone()
    other[0, bands[0], 17:], other[0, bands[1], 17:] = -400.0, -40.0
    similarity = chroma_similarity(one, other, hifi).item()
    assert similarity > 0.6
    other[0, bands[1], 17:] = 0.0
    assert chroma_similarity(one, other, hifi).item() < similarity
