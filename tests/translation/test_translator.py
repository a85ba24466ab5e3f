import math
from collections.abc import Callable

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.devices import choose_device
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.norm import InstanceNorm
from cyclegan_audio.models.pair import TranslationPair
from cyclegan_audio.translation.live import READ_SAMPLES, latency_s, translate_live
from cyclegan_audio.translation.translator import Translator

WINDOWS = {"hifi": 344, "paper": 189}


class Change(nn.Module):
    """A generator that does one thing to its mel and insists on its multiple of frames."""

    frame_multiple = 4

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, mel: Tensor) -> Tensor:
        assert mel.shape[-1] % self.frame_multiple == 0
        assert mel.abs().max() <= 1
        return self.change(mel)


def pair(preset: str, change: Callable[[Tensor], Tensor]) -> TranslationPair:
    """To "same" by the identity, to "other" by `change`."""
    mel: MelSettings = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
    return TranslationPair(
        ("other", "same"), mel, {"ab": Change(lambda x: x), "ba": Change(change)}, WINDOWS[preset], {}
    )


def lufs(wave: Tensor) -> float:
    meter = LoudnessMeter(44100)
    meter.push(wave)
    return meter.lufs()


def quieter(mel: Tensor) -> Tensor:
    return mel - 0.1


def music(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Tensor:
    """Tones and noise, band-limited to 4 kHz or less, (C, T)."""
    generator = torch.Generator().manual_seed(seed)
    n_samples = int(seconds * rate)
    spectrum = torch.fft.rfft(torch.randn(channels, n_samples, generator=generator))
    spectrum[:, int(min(4000, 0.35 * rate) * seconds) :] = 0
    wave = torch.fft.irfft(spectrum, n_samples)
    t = torch.arange(n_samples) / rate
    return 0.05 * wave / wave.std() + 0.1 * torch.sin(2 * math.pi * 330 * t)


def test_the_generator_gets_what_training_matched():
    seen: list[Tensor] = []
    made = pair("hifi", lambda mel: seen.append(mel[0, 0]) or quieter(mel).clamp(-1, 1))
    made.match = {"loudness_lufs": -20.0, "cutoff_hz": 2000.0}
    translator = Translator(made)
    song = music(5.0, 44100)
    mel_db = translator.mel.mel_db(song * 10 ** ((-20 - lufs(song)) / 20))[0]
    above = translator.mel.band_hz > 2000
    heard = []
    for gain in (0.02, 1.0):
        seen.clear()
        out = translator(song * gain, 44100, "other")
        assert lufs(out) == pytest.approx(lufs(song * gain), abs=0.1)
        heard.append(seen[-1])
        assert all((window[above] == -1).all() for window in seen)
    wanted = translator.mel.normalise(mel_db)[~above].mean(1)
    for window in heard:  # the song's level, however loud the file is; its windows differ a little
        torch.testing.assert_close(window[~above].mean(1), wanted, rtol=0, atol=0.03)
    target_db = translator.translate_mel(mel_db, "other")
    assert torch.equal(target_db[above], mel_db[above])
    assert (target_db - mel_db)[~above].median() == pytest.approx(-6.5, abs=0.01)  # 0.1 of 130 dB / 2


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


def test_a_clip_range_is_that_of_the_whole_song_without_its_silence():
    seen = []
    translator = Translator(pair("paper", lambda x: seen.append((x.min().item(), x.max().item())) or x))
    mel_db = torch.full((128, 1000), -30.0)
    mel_db[:, 0], mel_db[:, 999], mel_db[:, 500:600] = -60.0, 10.0, -100.0
    assert torch.equal(translator.translate_mel(mel_db, "other"), mel_db)
    assert (min(low for low, _ in seen), max(high for _, high in seen)) == (-1, 1)
    assert len(seen) > 1


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


def test_opposed_channels_are_translated_too():
    wave = music(1.0, 44100).expand(2, -1) * torch.tensor([[1.0], [-1.0]])
    louder_highs = torch.linspace(-0.3, 0.3, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + louder_highs).clamp(-1, 1)), "mask")
    got = translator(wave, 44100, to="other")
    torch.testing.assert_close(got[0], -got[1])
    plain = translator(wave[:1], 44100, to="other")
    torch.testing.assert_close(got[:1], plain, rtol=0, atol=0.02)
    assert (got - wave).norm() > 0.1 * wave.norm()


def test_the_amount_goes_from_the_source_to_the_translation():
    wave = music(0.7, 44100, 2)
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)), "mask")
    none, half, whole = (translator(wave, 44100, "other", amount=amount) for amount in (0, 0.5, 1))
    distances = [float((made - wave).norm() / wave.norm()) for made in (none, half, whole)]
    assert distances[0] < 0.01
    assert distances[0] < distances[1] < distances[2]
    with pytest.raises(UserError, match=r"amount=1\.5"):
        translator(wave, 44100, "other", amount=1.5)


def test_a_model_that_gives_no_numbers_is_refused():
    translator = Translator(pair("hifi", lambda x: x * math.nan))
    with pytest.raises(UserError, match="the model gives values that are not finite"):
        translator(music(0.3, 44100), 44100, to="other")


class Normed(Change):
    """A generator whose output depends on the loudness of its window."""

    def __init__(self) -> None:
        super().__init__(lambda x: x)
        self.norm = InstanceNorm()

    def forward(self, mel: Tensor) -> Tensor:
        return (mel + 0.1 * self.norm(mel)).clamp(-1, 1)


def test_windows_share_the_statistics_of_the_piece():
    made = pair("hifi", quieter)
    made.generators["ba"] = Normed()
    translator = Translator(made, "mask")
    wave = music(50.0, 44100)
    wave[:, 300_000:] *= 0.03
    survey = translator.survey(lambda: wave.split(50_000, 1), 44100, "other")
    assert survey.statistics is not None
    change = translator.change("other", survey)
    frame = translator.mel.mel_db(wave)[0, :, :8]
    alone, among = (change(frame.repeat(1, n)[None])[0, :, :8] for n in (1, 43))
    torch.testing.assert_close(alone, among)
    assert made.generators["ba"].norm.fixed is None


def test_what_little_sounds_in_a_long_piece_gives_its_statistics():
    made = pair("hifi", quieter)
    made.generators["ba"] = Normed()
    translator = Translator(made, "mask")
    wave = torch.zeros(1, 50 * 44100)
    wave[:, 900_000:950_000] = music(2.0, 44100)[:, :50_000]
    statistics = translator.survey(lambda: wave.split(50_000, 1), 44100, "other").statistics
    assert statistics is not None
    mel_db = translator.mel.mel_db(wave)[0]
    sounding = translator.mel.normalise(mel_db[:, (mel_db > -99.9).any(0)])
    torch.testing.assert_close(statistics["norm"][0][0], sounding.mean(), rtol=0, atol=0.02)


@pytest.mark.parametrize("seconds", [0.2, 13.0])
def test_a_short_piece_goes_through_the_generator_once_without_its_silence(seconds):
    seen: list[Tensor] = []
    translator = Translator(pair("hifi", lambda mel: seen.append(mel[0, 0]) or quieter(mel).clamp(-1, 1)))
    wave = music(seconds, 44100)
    wave[:, wave.shape[1] // 2 : wave.shape[1] * 3 // 4] = 0
    translator(wave, 44100, to="other")
    (heard,) = seen
    sounding = int((translator.mel.mel_db(wave)[0] > -99.9).any(0).sum())
    assert max(sounding, 344) <= heard.shape[1] < max(sounding, 344) + 8
    assert (heard > -1).any(0).all()


@pytest.mark.parametrize(("signs", "times"), [((1.0, 1.0), 2), ((1.0, -1.0), 3)])
def test_a_piece_is_read_once_more_only_where_a_channel_is_turned_round(signs, times):
    wave = music(0.5, 44100).expand(2, -1) * torch.tensor(signs)[:, None]
    reads = []
    levelled = Translator(pair("hifi", quieter), "mask").translate(
        lambda: reads.append(wave) or wave.split(9000, 1), 44100, "other", []
    )
    assert torch.cat(list(levelled(1.0)), 1).shape == wave.shape
    assert len(reads) == times


@pytest.mark.parametrize("preset", WINDOWS)
def test_a_live_stream_is_late_by_what_it_states(preset):
    translator = Translator(pair(preset, quieter), "mask")
    rate = translator.mel.sample_rate
    wave = music(9.0, rate)
    heard, late, made = 0, 0, []

    def blocks():
        nonlocal heard, late
        for block in wave.split(READ_SAMPLES, 1):
            heard += block.shape[1]
            late = max(late, heard - sum(part.shape[1] for part in made))
            yield block

    for block in translate_live(translator, blocks(), 1, "same"):
        made.append(block)
    assert 0.5 * latency_s(translator) < late / rate <= latency_s(translator)
    out = torch.cat(made, 1)
    assert out.shape == wave.shape
    assert (out - wave)[:, 3000:-3000].norm() < 0.02 * wave.norm()


@pytest.mark.parametrize("channels", [1, 8])
def test_short_pieces_and_many_channels(channels):
    wave = music(0.5, 44100, channels)[:, :441]
    assert Translator(pair("hifi", quieter))(wave, 44100, to="other").shape == (channels, 441)


def test_progress_is_optional_and_an_unknown_genre_lists_the_known():
    with pytest.raises(UserError, match=r"polka.*other or same"):
        Translator(pair("hifi", quieter))(music(0.1, 44100), 44100, to="polka")


def test_samples_that_are_no_numbers_are_refused():
    wave = music(0.1, 44100)
    wave[0, 7] = math.nan
    with pytest.raises(UserError, match="not finite"):
        Translator(pair("hifi", quieter))(wave, 44100, to="other")


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="no device 'abacus'"):
        choose_device("abacus")
