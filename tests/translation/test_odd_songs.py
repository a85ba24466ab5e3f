"""Songs with several defects at once are translated as the song without them, from files and live."""

import pytest
import torch
from torch import Tensor

from cyclegan_audio.translation.translator import Translator
from tests.translation.stand_ins import live, music, pair

RATE, SECONDS, CLICK_S, FALL_DB = 44_100, 16.0, 3.0, -60.0


@pytest.fixture(scope="module")
def translator() -> Translator:
    """Return a translator whose generator raises quiet bands, unless passages are lifted before it."""
    return Translator(pair("hifi", lambda x: (0.7 * x + 0.1).clamp(-1, 1)), "mask")


def song(rate: int = RATE, channels: int = 2, seconds: float = SECONDS) -> Tensor:
    """Return music whose second half is 60 dB lower and ends in a tone."""
    wave = music(seconds, rate, channels)
    time_s = torch.arange(wave.shape[1]) / rate
    wave[:, time_s > seconds - 1] = 0.1 * torch.sin(2 * torch.pi * 440 * time_s[time_s > seconds - 1])
    return torch.where(time_s < seconds / 2, wave, wave * 10 ** (FALL_DB / 20))


def with_defects(wave: Tensor, rate: int = RATE) -> Tensor:
    """Return a song with a click, a DC offset and an inverted channel."""
    wave = wave * torch.tensor([1.0, -1.0])[: len(wave), None] + 0.05
    wave[0, round(CLICK_S * rate)] = 1e4
    return wave


def halves(wave: Tensor, rate: int = RATE) -> tuple[Tensor, Tensor]:
    """Return both halves without the second around the click, the fall and the last 0.2 s."""
    middle, click = wave.shape[1] // 2, round(CLICK_S * rate)
    loud = torch.cat([wave[:, : click - rate // 2], wave[:, click + rate // 2 : middle - rate // 5]], 1)
    return loud, wave[:, middle + rate // 5 : -rate // 5]


def level_db(wave: Tensor) -> float:
    return 10 * float(wave.double().square().mean().log10())


@pytest.mark.parametrize("channels", [1, 2])
def test_a_song_with_all_defects_at_once_is_translated_as_without_them(translator, channels):
    clean = translator(song(channels=channels), RATE, "other")
    got = translator(with_defects(song(channels=channels)), RATE, "other")
    got *= torch.tensor([1.0, -1.0])[:channels, None]
    for part, expected in zip(halves(got), halves(clean), strict=True):
        assert level_db(part) == pytest.approx(level_db(expected), abs=0.5)
        assert (part - expected).norm() < 0.1 * expected.norm()
    falls_db = [level_db(quiet) - level_db(loud) for loud, quiet in (halves(got), halves(song()))]
    assert falls_db[0] == pytest.approx(falls_db[1], abs=2)
    tail = got[:, -RATE // 5 :]
    assert level_db(tail) == pytest.approx(level_db(got[:, -RATE // 2 : -RATE // 5]), abs=1)


@pytest.mark.parametrize("gain_db", [40.0, 80.0])
def test_a_hot_song_with_a_quiet_half_keeps_its_dynamics(translator, gain_db):
    clean, hot = (translator(song() * gain, RATE, "other") for gain in (1.0, 10 ** (gain_db / 20)))
    assert hot.abs().max() <= 0.9901
    assert torch.corrcoef(torch.stack([clean.flatten(), hot.flatten()]))[0, 1] > 0.999
    falls_db = [level_db(quiet) - level_db(loud) for loud, quiet in (halves(hot), halves(clean))]
    assert falls_db[0] == pytest.approx(falls_db[1], abs=0.2)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 8), (192_000, 1)])
def test_defects_at_other_rates_and_channel_counts(translator, rate, channels):
    wave = song(rate, channels, seconds=7.0)
    clean = translator(wave, rate, "other")
    odd = wave + 0.05
    odd[0, round(CLICK_S * rate)] = 1e4
    got = translator(odd, rate, "other")
    for part, expected in zip(halves(got, rate), halves(clean, rate), strict=True):
        assert level_db(part) == pytest.approx(level_db(expected), abs=0.5)


@pytest.mark.parametrize("n_samples", [2, 64, 441, 5000])
def test_sounds_of_few_samples_with_defects(translator, n_samples):
    wave = song()[:, :n_samples] + 0.05
    wave[0, n_samples // 2] = 1e4
    got = translator(wave, RATE, "other")
    assert got.shape == wave.shape
    assert got.isfinite().all()
    assert got.abs().max() <= 0.9901


def test_a_live_stream_with_a_click_and_an_offset_is_translated_as_without_them(translator):
    odd = song() + 0.05
    odd[0, round(CLICK_S * RATE)] = 1e4
    clean, got = (live(translator, wave, RATE) for wave in (song(), odd))
    for part, expected in zip(halves(got), halves(clean), strict=True):
        assert level_db(part) == pytest.approx(level_db(expected), abs=0.5)
