"""Bandwidth, roll-off, brightness and the copy check."""

import pytest
import torch

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.metrics.tone import band_energy, bandwidth_hz, filter_share, roll_off_hz, top_end_db


def low_passed_noise(mel: MelSettings, cut_hz: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    n = 2 * mel.sample_rate
    spectrum = torch.fft.rfft(0.1 * torch.randn(n, generator=generator))
    spectrum[torch.fft.rfftfreq(n, 1 / mel.sample_rate) > cut_hz] = 0
    return mel.mel_db(torch.fft.irfft(spectrum, n)[None])[..., 8:-8]


@pytest.mark.parametrize("cut_hz", [3000.0, 8000.0, 15000.0])
def test_low_passed_noise_ends_where_it_was_cut(any_mel: MelSettings, cut_hz: float) -> None:
    mel_db = low_passed_noise(any_mel, cut_hz)
    leak = 0.08 if any_mel.window == "hann" else 0.4  # side lobes of a Hamming window lie 43 dB down
    assert 0.92 * cut_hz < bandwidth_hz(mel_db, any_mel).item() < (1 + leak) * cut_hz
    assert roll_off_hz(mel_db, any_mel).item() == pytest.approx(0.95 * cut_hz, rel=0.1)
    share = max(1 - 6000 / cut_hz, 1e-12)
    assert 10 ** (top_end_db(mel_db, any_mel).item() / 10) == pytest.approx(share, abs=0.06)


def test_energy_of_bands_sums_to_one_and_knows_no_level(any_mel: MelSettings) -> None:
    mel_db = low_passed_noise(any_mel, 8000.0)
    energy = band_energy(mel_db, any_mel)
    assert energy.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(energy, band_energy(mel_db - 30, any_mel))


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
