"""Level, channels and silence of what was translated."""

import pytest
import torch

from cyclegan_audio.translation.translator import Translator
from tests.translation.stand_ins import lufs, music, pair, quieter


def test_a_mono_waveform_without_channel_axis_keeps_its_shape():
    wave = music(0.5, 44100)[0]
    assert Translator(pair("hifi", quieter))(wave, 44100, to="same").shape == wave.shape


def test_level_follows_the_input_and_peaks_stay_below_full_scale():
    wave = music(1.0, 44100, 2)
    translator = Translator(pair("hifi", lambda x: (x - 0.2).clamp_min(-1)), "mask")  # 13 dB quieter
    got = translator(wave, 44100, to="other")
    assert lufs(got) == pytest.approx(lufs(wave), abs=0.05)
    loud = wave * (1.4 / wave.abs().max())
    assert translator(loud, 44100, to="other").abs().max() <= 0.9901


def test_music_far_below_the_gates_stays_as_quiet():
    wave = music(1.0, 44100, 2) * 1e-4
    made_loud = Translator(pair("hifi", lambda x: (x + 0.8).clamp(-1, 1)))
    got = made_loud(wave, 44100, to="other")
    assert 0.5 < got.norm() / wave.norm() < 2


def test_what_stands_on_one_side_stays_there():
    wave = music(1.0, 44100, 2)
    wave[1] = 0
    got = Translator(pair("hifi", quieter), "mask")(wave, 44100, to="other")
    assert got[1].norm() < 1e-3 * got[0].norm()
    assert got[0].norm() > 0.5 * wave[0].norm()
    both = music(1.0, 44100).expand(2, -1)
    middle = Translator(pair("hifi", quieter))(both, 44100, to="other")
    torch.testing.assert_close(middle[0], middle[1])


@pytest.mark.parametrize("vocoder", ["hybrid", "mask", "griffin_lim"])
def test_digital_silence_stays_silent(vocoder):
    wave = music(2.0, 44100, 2)
    wave[:, 30000:60000] = 0
    got = Translator(pair("hifi", lambda x: (x + 0.3).clamp_max(1)), vocoder)(wave, 44100, to="other")
    assert got[:, 33000:57000].eq(0).all()
    assert got[:, :20000].abs().max() > 0.05
    nothing = torch.zeros(2, 5000)
    assert torch.equal(Translator(pair("hifi", quieter), vocoder)(nothing, 44100, to="other"), nothing)


def test_opposed_channels_are_translated_too():
    wave = music(1.0, 44100).expand(2, -1) * torch.tensor([[1.0], [-1.0]])
    louder_highs = torch.linspace(-0.3, 0.3, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + louder_highs).clamp(-1, 1)), "mask")
    got = translator(wave, 44100, to="other")
    torch.testing.assert_close(got[0], -got[1])
    plain = translator(wave[:1], 44100, to="other")
    torch.testing.assert_close(got[:1], plain, rtol=0, atol=0.02)
    assert (got - wave).norm() > 0.1 * wave.norm()


@pytest.mark.parametrize("channels", [1, 8])
def test_short_pieces_and_many_channels(channels):
    wave = music(0.5, 44100, channels)[:, :441]
    assert Translator(pair("hifi", quieter))(wave, 44100, to="other").shape == (channels, 441)
