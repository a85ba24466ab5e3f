"""Bandwidth, roll-off, brightness and the copy check."""

import math

import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.spectral import band_energy, bandwidth_hz, filter_share, high_band_db, roll_off_hz


def low_passed_noise(mel: MelSpectrogram, cut_hz: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    n = 2 * mel.sample_rate
    spectrum = torch.fft.rfft(0.1 * torch.randn(n, generator=generator))
    spectrum[torch.fft.rfftfreq(n, 1 / mel.sample_rate) > cut_hz] = 0
    return mel.mel_db(torch.fft.irfft(spectrum, n)[None])[..., 8:-8]


@pytest.mark.parametrize("cut_hz", [3000.0, 8000.0, 15000.0])
def test_low_passed_noise_ends_where_it_was_cut(any_mel: MelSpectrogram, cut_hz: float) -> None:
    mel_db = low_passed_noise(any_mel, cut_hz)
    leak = 0.08 if any_mel.window == "hann" else 0.4  # side lobes of a Hamming window lie 43 dB down
    assert 0.92 * cut_hz < bandwidth_hz(mel_db, any_mel).item() < (1 + leak) * cut_hz
    assert roll_off_hz(mel_db, any_mel).item() == pytest.approx(0.95 * cut_hz, rel=0.1)
    share = max(1 - 6000 / cut_hz, 1e-12)
    assert 10 ** (high_band_db(mel_db, any_mel).item() / 10) == pytest.approx(share, abs=0.06)


def test_energy_of_bands_sums_to_one_and_knows_no_level(any_mel: MelSpectrogram) -> None:
    mel_db = low_passed_noise(any_mel, 8000.0)
    energy = band_energy(mel_db, any_mel)
    assert energy.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(energy, band_energy(mel_db - 30, any_mel))


def flat(mel: MelSpectrogram, *levels_db: tuple[int, float]) -> torch.Tensor:
    """(1, M, 4): bands whose spectrum has these levels, the others next to nothing."""
    density_db = torch.full((mel.n_mels,), -300.0)
    for band, level_db in levels_db:
        density_db[band] = level_db
    return (density_db + 20 * mel.filter_bank().sum(1).log10())[None, :, None].expand(1, -1, 4)


def test_energy_of_two_bands_by_hand(hifi: MelSpectrogram) -> None:
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


@pytest.mark.parametrize(("level_db", "is_heard"), [(-49.9, True), (-50.1, False)])
def test_content_ends_50_db_under_the_loudest_band(
    hifi: MelSpectrogram, level_db: float, is_heard: bool
) -> None:
    actual = bandwidth_hz(flat(hifi, (30, 0.0), (100, level_db)), hifi).item()
    assert actual == pytest.approx(float(hifi.band_hz[100 if is_heard else 30]))
    assert bandwidth_hz(flat(hifi, (127, 0.0)), hifi).item() == pytest.approx(float(hifi.band_hz[127]))


def test_an_equaliser_is_all_filter_new_events_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(2, 16, 40, generator=generator)
    equalised = source + torch.linspace(-10, 10, 16)[:, None]
    events = torch.randn(2, 16, 40, generator=generator)
    events = events - events.mean(2, keepdim=True)
    assert filter_share(source, equalised).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert filter_share(source, source + events).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert filter_share(source, source).tolist() == [1, 1]
    change = torch.full((1, 1, 4), 1.0) + torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert filter_share(torch.zeros(1, 1, 4), change).item() == pytest.approx(0.5)
