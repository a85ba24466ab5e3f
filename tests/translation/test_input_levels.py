"""Clicks and pieces far above full scale: refused, limited or scaled, and never what sets a song's level."""

import math

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from cyclegan_audio.audio.io import decode
from cyclegan_audio.translation.input_levels import MAX_SAMPLE, PeakMeter, check_samples
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import lufs, music, pair

RATE = 44_100
CLICK_AT = 3 * RATE + 17


@pytest.fixture(
    scope="module", params=["hifi", "paper"]
)  # levels of the mel: fixed, and by the piece's extremes
def translator(request) -> Translator:
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    return Translator(pair(request.param, lambda x: (x + tilt).clamp(-1, 1)), "mask")


def song() -> Tensor:
    return 2 * music(6.0, RATE, 2)


def without_neighbourhood(wave: Tensor) -> Tensor:
    """Return a waveform without the 400 ms before and after the click."""
    reach = round(0.4 * RATE)
    return torch.cat([wave[:, : CLICK_AT - reach], wave[:, CLICK_AT + reach :]], 1)


def translate(translator: Translator, wave: Tensor, folder, suffix: str) -> Tensor:
    soundfile.write(folder / "in.wav", wave.T.numpy(), RATE, subtype="FLOAT")
    translator.translate_file(folder / "in.wav", folder / f"out{suffix}", "other", overwrite=True)
    return decode(folder / f"out{suffix}")[0]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_click_does_not_change_the_level_of_the_song(translator, tmp_path, suffix):
    clean = translate(translator, song(), tmp_path, suffix)
    for click in (100.0, -1e4, 1e6):
        wave = song()
        wave[0, CLICK_AT] = click
        got = translate(translator, wave, tmp_path, suffix)
        assert got.shape == clean.shape
        assert got.abs().max() <= 1
        levels = [lufs(without_neighbourhood(result)) for result in (clean, got)]
        assert levels[1] == pytest.approx(levels[0], abs=0.5), f"click of {click}"
        if suffix == ".wav":  # the music around it is the same, too
            far = without_neighbourhood(got) - without_neighbourhood(clean)
            assert far.norm() < 0.02 * clean.norm(), f"click of {click}"


def test_a_song_that_is_hot_throughout_keeps_its_shape(translator):
    wave = song()
    expected = translator(wave / wave.abs().max() / 2, RATE, "other")
    for gain_db in (20, 60, 90):
        got = translator(wave * 10 ** (gain_db / 20), RATE, "other")
        assert got.abs().max() <= 0.9901
        correlation = torch.corrcoef(torch.stack([got.flatten(), expected.flatten()]))[0, 1]
        assert correlation > 0.999, f"{gain_db} dB above"


def test_headroom_of_float_files_is_used_as_it_is():
    wave = music(2.0, RATE, 2)
    for peak in (1.0, 3.99):
        assert meter_of(wave * (peak / wave.abs().max())).correction() is None
    quiet = wave * 1e-3
    quiet[0, 1000] = 3.99
    assert meter_of(quiet).correction() is None
    assert meter_of(torch.zeros(2, 1000)).correction() is None
    assert PeakMeter(RATE).correction() is None


def meter_of(wave: Tensor, block: int = 1000) -> PeakMeter:
    meter = PeakMeter(RATE)
    for part in wave.split(block, 1):
        meter.push(part)
    return meter


@pytest.mark.parametrize("block", [101, 999, 4410, 20_000, 88_200])
def test_correction_does_not_depend_on_the_sizes_of_the_blocks(block):
    wave = torch.full((1, 20 * 4410), 0.25)
    wave[0, 4410 * 7 - 1] = -50
    correction = meter_of(wave, block).correction()
    assert (correction.max_peak, correction.gain) == (1.0, 1.0)
    corrected = torch.cat(list(correction.apply(wave.split(block, 1))), 1)
    assert corrected.shape == wave.shape
    assert corrected[0, 4410 * 7 - 1] == pytest.approx(-1)
    assert torch.equal(corrected[:, : 4410 * 6], wave[:, : 4410 * 6])
    assert correction.notes == ["limited clicks, first at 0.6 s"]


def test_clicks_are_limited_in_a_hot_piece_too():
    wave = torch.full((1, 20 * 4410), 100.0)
    wave[0, 5000] = 1e6
    correction = meter_of(wave).correction()
    assert (correction.max_peak, correction.gain) == (400.0, 0.005)
    assert torch.cat(list(correction.apply([wave])), 1).abs().max() == pytest.approx(2.0)
    hot = "scaled by -46.0 dB, as it is far above full scale"
    assert correction.notes == ["limited clicks, first at 0.1 s", hot]
    assert meter_of(wave[:, 9000:]).correction().notes == [hot]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"not finite numbers, first at {at} s; repair"),
        (-math.inf, r"not finite numbers, first at {at} s; repair"),
        (1.001e6, r"above 1,000,000 \(full scale is 1\), first at {at} s; repair"),
        (-1e20, r"above 1,000,000 \(full scale is 1\), first at {at} s; repair"),
        (3.4e38, r"above 1,000,000 \(full scale is 1\), first at {at} s; repair"),
    ],
)
@pytest.mark.parametrize(("bad", "at"), [((1, 37), "1.137"), ((0, 99), "1.199"), ((0, 0), "1.100")])
def test_bad_samples_are_refused_with_name_and_second(value, message, bad, at):
    blocks = [torch.zeros(2, 1000), torch.zeros(2, 100), torch.full((2, 100), MAX_SAMPLE), torch.zeros(2, 0)]
    checked = check_samples(blocks, 1000, "a.wav")
    assert all(torch.equal(one, other) for one, other in zip(checked, blocks, strict=True))
    blocks[2][bad] = value
    with pytest.raises(UserError, match=f"a.wav has samples .*{message.format(at=at)}"):
        list(check_samples(blocks, 1000, "a.wav"))


@pytest.mark.parametrize("value", [1e20, math.nan])
def test_message_about_a_file_names_it(translator, tmp_path, value):
    wave = song().numpy()
    wave[0, RATE] = np.float32(value)
    soundfile.write(tmp_path / "odd.wav", wave.T, RATE, subtype="FLOAT")
    for call in (
        lambda: translator(tmp_path / "odd.wav", to="other"),
        lambda: translator.translate_file(tmp_path / "odd.wav", tmp_path / "out.mp3", "other"),
    ):
        with pytest.raises(UserError, match=r"odd\.wav has samples .* first at 1\.000 s; "):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["odd.wav"]
