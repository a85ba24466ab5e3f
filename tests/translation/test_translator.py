import math

import pytest
import torch

from cyclegan_audio.translation.streaming import READ_SAMPLES, latency_s, translate_live
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import WINDOWS, music, pair, quieter


@pytest.mark.parametrize("preset", WINDOWS)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 17, 188, 189, 190, 192, 343, 344, 345, 700, 1500])
def test_identity_leaves_the_mel_exactly_at_any_length(preset, n_frames):
    generator = torch.Generator().manual_seed(n_frames)
    mel_db = (torch.randn(128, n_frames, generator=generator) * 20 - 40).clamp_min(-100)
    assert torch.equal(Translator(pair(preset, quieter)).translate_mel(mel_db, "same"), mel_db)


def test_windows_meet_without_a_seam():
    ramp = torch.linspace(-0.3, 0.3, 344)  # a change that depends on the place in the window
    translator = Translator(pair("hifi", lambda x: x + ramp))
    flat = torch.full((128, 2000), -40.0)
    steps = (translator.translate_mel(flat, "other") - flat)[0].diff().abs()
    assert steps.max() < 1.2  # dB a frame; a hard cut would jump by 39


def test_silent_frames_stay_silent_whatever_the_generator_wants():
    mel_db = torch.full((128, 500), -20.0)
    mel_db[:, 100:200] = -100.0
    out = Translator(pair("hifi", lambda x: x + 0.5)).translate_mel(mel_db, "other")
    assert out[:, 100:200].eq(-100).all()
    torch.testing.assert_close(out[:, :100], torch.full((128, 100), 12.5))
    silent = torch.full((128, 50), -100.0)
    assert torch.equal(Translator(pair("paper", quieter)).translate_mel(silent, "other"), silent)


@pytest.mark.parametrize("preset", WINDOWS)
@pytest.mark.parametrize(
    ("rate", "channels", "seconds"),
    [(44100, 2, 2.0), (48000, 1, 1.3), (22050, 3, 0.7), (96000, 2, 0.5), (8000, 1, 0.01)],
)
def test_identity_gives_the_music_back_with_its_rate_length_and_channels(preset, rate, channels, seconds):
    wave = music(seconds, rate, channels)
    got = Translator(pair(preset, quieter), "mask")(wave, rate, to="same")
    assert got.shape == wave.shape
    inner = slice(wave.shape[1] // 8, -wave.shape[1] // 8)
    assert (got - wave)[:, inner].norm() / wave[:, inner].norm() < (0.02 if seconds > 0.1 else 0.5)


def test_long_music_goes_in_chunks_that_change_nothing():
    wave = music(14.0, 44100)
    translator = Translator(pair("hifi", quieter), "mask")
    shares: list[float] = []
    got = translator(wave, 44100, "other", shares.append)
    assert (got - wave)[:, 2000:-2000].norm() / wave.norm() < 2e-3  # one level change, undone by the loudness
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_several_workers_give_the_same_song(monkeypatch):
    wave = music(14.0, 44100, 2)
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)))
    threads = torch.get_num_threads()
    made = []
    for workers in (1, 3):
        monkeypatch.setattr("cyclegan_audio.translation.translator.n_workers", lambda device, n=workers: n)
        made.append(translator(wave, 44100, to="other"))
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=1e-5)
    assert torch.get_num_threads() == threads


def test_the_amount_goes_from_the_source_to_the_translation():
    wave = music(0.7, 44100, 2)
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)), "mask")
    none, half, whole = (translator(wave, 44100, "other", amount=amount) for amount in (0, 0.5, 1))
    distances = [float((made - wave).norm() / wave.norm()) for made in (none, half, whole)]
    assert distances[0] < 0.01
    assert distances[0] < distances[1] < distances[2]
    with pytest.raises(UserError, match="amount must be a number"):
        translator(wave, 44100, "other", amount=1.5)


def test_a_model_that_gives_no_numbers_is_refused():
    translator = Translator(pair("hifi", lambda x: x * math.nan))
    with pytest.raises(UserError, match="the model gives values that are not finite"):
        translator(music(0.3, 44100), 44100, to="other")


@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize("preset", WINDOWS)
def test_a_live_stream_is_late_by_what_it_states(preset, rate):
    translator = Translator(pair(preset, quieter), "mask")
    wave = music(9.0, rate)
    heard, late, made = 0, 0, []

    def blocks():
        nonlocal heard, late
        for block in wave.split(READ_SAMPLES, 1):
            heard += block.shape[1]
            late = max(late, heard - sum(part.shape[1] for part in made))
            yield block

    for block in translate_live(translator, blocks(), rate, 1, "same"):
        made.append(block)
    assert 0.5 * latency_s(translator, rate) < late / rate <= latency_s(translator, rate)
    out = torch.cat(made, 1)
    assert out.shape == wave.shape
    assert (out - wave)[:, 3000:-3000].norm() < 0.02 * wave.norm()


def test_progress_is_optional_and_an_unknown_genre_lists_the_known():
    with pytest.raises(UserError, match=r"polka.*other, same"):
        Translator(pair("hifi", quieter))(music(0.1, 44100), 44100, to="polka")


def test_samples_that_are_no_numbers_are_refused():
    wave = music(0.1, 44100)
    wave[0, 7] = math.nan
    with pytest.raises(UserError, match="not finite"):
        Translator(pair("hifi", quieter))(wave, 44100, to="other")


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="device 'abacus' is not available"):
        choose_device("abacus")
