"""Test translation from Python: arrays, tensors and files; length, loudness, channels, silence and seams."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclegan_audio import Translator, UserError, list_pretrained
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.utils.devices import choose_device
from tests.translation.stand_ins import WINDOWS, lufs, music, pair, quieter, translated_mel


@pytest.mark.parametrize("preset", WINDOWS)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 17, 188, 189, 190, 192, 343, 344, 345, 700, 1500])
def test_identity_returns_the_same_mel_at_any_length(preset, n_frames):
    generator = torch.Generator().manual_seed(n_frames)
    mel_db = (torch.randn(128, n_frames, generator=generator) * 20 - 40).clamp_min(-100)
    assert torch.equal(translated_mel(Translator(pair(preset, quieter)), mel_db, "same"), mel_db)


def test_windows_join_without_a_seam():
    ramp = torch.linspace(-0.3, 0.3, 344)  # a change that depends on the position in the window
    translator = Translator(pair("hifi", lambda x: x + ramp))
    flat = torch.full((128, 2000), -40.0)
    steps = (translated_mel(translator, flat, "other") - flat)[0].diff().abs()
    assert steps.max() < 1.2  # dB a frame; a hard cut would jump by 39


def test_silent_frames_stay_silent():
    mel_db = torch.full((128, 500), -20.0)
    mel_db[:, 100:200] = -100.0
    out = translated_mel(Translator(pair("hifi", lambda x: x + 0.5)), mel_db, "other")
    assert out[:, 100:200].eq(-100).all()
    torch.testing.assert_close(out[:, :100], torch.full((128, 100), 12.5))
    silent = torch.full((128, 50), -100.0)
    assert torch.equal(translated_mel(Translator(pair("paper", quieter)), silent, "other"), silent)


@pytest.mark.parametrize("preset", WINDOWS)
@pytest.mark.parametrize(
    ("rate", "channels", "seconds"),
    [(44100, 2, 2.0), (48000, 1, 1.3), (22050, 3, 0.7), (96000, 2, 0.5), (8000, 1, 0.01)],
)
def test_identity_returns_the_music_with_its_length_and_channels(preset, rate, channels, seconds):
    wave = music(seconds, rate, channels)
    got = Translator(pair(preset, quieter), "mask")(wave, rate, to="same")
    assert got.shape == wave.shape
    inner = slice(wave.shape[1] // 8, -wave.shape[1] // 8)
    assert (got - wave)[:, inner].norm() / wave[:, inner].norm() < (0.02 if seconds > 0.1 else 0.5)


def test_long_music_is_translated_in_chunks_without_a_change():
    wave = music(14.0, 44100)
    translator = Translator(pair("hifi", quieter), "mask")
    shares: list[float] = []
    got = translator(wave, 44100, "other", shares.append)
    assert (got - wave)[
        :, 2000:-2000
    ].norm() / wave.norm() < 2e-3  # loudness matching undoes the change of level
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_several_workers_give_the_same_result(monkeypatch):
    wave = music(14.0, 44100, 2)
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)))
    threads = torch.get_num_threads()
    results = []
    for workers in (1, 3):
        monkeypatch.setattr("cyclegan_audio.translation.translator.n_workers", lambda device, n=workers: n)
        results.append(translator(wave, 44100, to="other"))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-5)
    assert torch.get_num_threads() == threads


def test_amount_interpolates_between_source_and_translation():
    wave = music(0.7, 44100, 2)
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)), "mask")
    none, half, whole = (translator(wave, 44100, "other", amount=amount) for amount in (0, 0.5, 1))
    distances = [float((result - wave).norm() / wave.norm()) for result in (none, half, whole)]
    assert distances[0] < 0.01
    assert distances[0] < distances[1] < distances[2]
    with pytest.raises(UserError, match="amount must be a number"):
        translator(wave, 44100, "other", amount=1.5)


def test_model_with_non_finite_output_is_refused():
    for value, vocoder in ((math.nan, "hybrid"), (1e30, "griffin_lim")):  # levels that no sound can have
        translator = Translator(pair("hifi", lambda x, value=value: x * 0 + value), vocoder)
        with pytest.raises(UserError, match="the model's output is not finite"):
            translator(music(0.3, 44100), 44100, to="other")


def test_unknown_genre_message_lists_the_known_ones():
    with pytest.raises(UserError, match=r"polka.*other, same"):
        Translator(pair("hifi", quieter))(music(0.1, 44100), 44100, to="polka")


def test_non_finite_samples_are_refused():
    wave = music(0.1, 44100)
    wave[0, 7] = math.nan
    with pytest.raises(UserError, match="not finite"):
        Translator(pair("hifi", quieter))(wave, 44100, to="other")


def test_choose_device():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="device 'abacus' is not available"):
        choose_device("abacus")


def test_waveform_without_channel_axis_keeps_its_shape():
    wave = music(0.5, 44100)[0]
    assert Translator(pair("hifi", quieter))(wave, 44100, to="same").shape == wave.shape


def test_loudness_equals_that_of_the_input_and_peaks_stay_below_full_scale():
    wave = music(1.0, 44100, 2)
    translator = Translator(pair("hifi", lambda x: (x - 0.2).clamp_min(-1)), "mask")  # 13 dB quieter
    got = translator(wave, 44100, to="other")
    assert lufs(got) == pytest.approx(lufs(wave), abs=0.05)
    loud = wave * (1.4 / wave.abs().max())
    assert translator(loud, 44100, to="other").abs().max() <= 0.9901


def test_music_below_the_loudness_gates_keeps_its_level():
    wave = music(1.0, 44100, 2) * 1e-4
    translator = Translator(pair("hifi", lambda x: (x + 0.8).clamp(-1, 1)))
    got = translator(wave, 44100, to="other")
    assert 0.5 < got.norm() / wave.norm() < 2


def test_sounds_keep_their_stereo_position():
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


def test_opposed_channels_are_translated():
    wave = music(1.0, 44100).expand(2, -1) * torch.tensor([[1.0], [-1.0]])
    louder_highs = torch.linspace(-0.3, 0.3, 128)[:, None]
    translator = Translator(pair("hifi", lambda x: (x + louder_highs).clamp(-1, 1)), "mask")
    got = translator(wave, 44100, to="other")
    torch.testing.assert_close(got[0], -got[1])
    plain = translator(wave[:1], 44100, to="other")
    torch.testing.assert_close(got[:1], plain, rtol=0, atol=0.02)
    assert (got - wave).norm() > 0.1 * wave.norm()


@pytest.mark.parametrize("channels", [1, 8])
def test_short_pieces_and_many_channels_keep_their_shape(channels):
    wave = music(0.5, 44100, channels)[:, :441]
    assert Translator(pair("hifi", quieter))(wave, 44100, to="other").shape == (channels, 441)


@pytest.fixture(scope="module")
def translator() -> Translator:
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    return Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)), "mask")


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_arrays_and_tensors_give_equal_results_of_their_type(translator, channels):
    wave = music(0.5, 44100, channels or 1)
    wave = wave[0] if channels is None else wave
    from_tensor = translator(wave, 44100, "other")
    for array in (wave.numpy(), wave.double().numpy()):
        before = array.copy()
        from_array = translator(array, 44100, "other")
        assert (type(from_array), from_array.dtype, from_array.shape) == (np.ndarray, np.float32, wave.shape)
        assert np.array_equal(from_array, from_tensor.numpy())
        assert np.array_equal(array, before)
    assert isinstance(from_tensor, torch.Tensor)
    assert (from_tensor - wave).norm() > 0.1 * wave.norm()


def test_file_gives_an_array_and_its_rate(translator, tmp_path):
    wave = music(0.5, 22050)
    save(tmp_path / "song.wav", wave, 22050)
    for path in (tmp_path / "song.wav", str(tmp_path / "song.wav")):
        translated, rate = translator(path, to="other")
        decoded, _ = decode(path)
        assert (rate, translated.shape) == (22050, tuple(wave.shape))
        assert np.array_equal(translated, translator(decoded.numpy(), 22050, "other"))
    with pytest.raises(UserError, match="give sample_rate in Hz"):
        translator(wave, to="other")
    with pytest.raises(UserError, match="does not exist"):
        translator(tmp_path / "other.wav", to="other")


def test_silence_and_inputs_with_gradients(translator):
    assert np.array_equal(translator(np.zeros((2, 9000)), 44100, "other"), np.zeros((2, 9000), np.float32))
    for wave in (torch.zeros(1, 9000), music(0.3, 44100)):
        assert not translator(wave.requires_grad_(), 44100, "other").requires_grad


def test_genres_targets_and_repr(translator):
    assert (translator.genres, translator.targets) == (("other", "same"), ("same", "other"))
    rest = "mel='hifi', sample_rate=44100, vocoder=MaskVocoder, device='cpu')"
    assert repr(translator) == f"Translator(other <-> same, {rest}"
    generators = translator.model.generators
    for direction, text in (("ab", "other -> same"), ("ba", "same -> other")):
        one_way = replace(translator.model, generators={direction: generators[direction]})
        assert repr(Translator(one_way, "mask")) == f"Translator({text}, {rest}"
        assert Translator(one_way, "mask").targets == (text.split()[-1],)


def test_genre_names_ignore_case(translator):
    wave = music(0.3, 44100)
    assert torch.equal(translator(wave, 44100, "OTHER"), translator(wave, 44100, "other"))


def test_load_averages_over_shifts(run, song):
    wave, rate = decode(song)
    got = Translator.load(run, vocoder="mask", device="cpu")(wave, rate, to="trap")
    averaged = Translator.load(str(run), vocoder="mask", device="cpu", shifts=2)(wave, rate, to="trap")
    assert 0.01 < (averaged - got).norm() / got.norm() < 1


def test_translate_file_takes_strings_and_paths(run, song, tmp_path):
    translator = Translator.load(run, vocoder="mask", device="cpu")
    shares: list[float] = []
    target = str(tmp_path / "a.flac")
    seconds = translator.translate_file(str(song), target, "trap", on_progress=shares.append)
    assert seconds == pytest.approx(30000 / 32000)
    assert shares[-1] == 1
    assert translator.translate_file(song, tmp_path / "b.flac", "Trap") == seconds
    files = [decode(tmp_path / name) for name in ("a.flac", "b.flac")]
    assert torch.equal(files[0][0], files[1][0])
    wave, rate = decode(song)
    assert files[0][1] == rate
    torch.testing.assert_close(files[0][0], translator(wave, rate, "trap"), rtol=0, atol=2e-4)
    translator.translate_file(song, tmp_path / "b.flac", "trap", amount=0, overwrite=True)
    assert (decode(tmp_path / "b.flac")[0] - wave).norm() < 0.5 * (files[0][0] - wave).norm()


def test_existing_file_is_kept(run, song, tmp_path):
    translator = Translator.load(run, vocoder="mask", device="cpu")
    (tmp_path / "a.wav").write_text("kept")
    before = song.read_bytes()
    for target, options, message in (
        (tmp_path / "a.wav", {}, r"a\.wav exists already; .*overwrite=True"),
        (song, {"overwrite": True}, "written over itself"),
        (tmp_path / "b.wav", {"amount": 2}, "amount must be"),
        (tmp_path / "b.xyz", {}, "unknown suffix"),
    ):
        with pytest.raises(UserError, match=message):
            translator.translate_file(song, target, "trap", **options)
    with pytest.raises(UserError, match=r"no genre 'tarp' in this model; did you mean 'trap'\?"):
        translator.translate_file(song, tmp_path / "b.wav", "tarp")
    with pytest.raises(UserError, match=r"none\.mp3 does not exist"):
        translator.translate_file(tmp_path / "none.mp3", tmp_path / "b.wav", "trap")
    assert (tmp_path / "a.wav").read_text() == "kept"
    assert song.read_bytes() == before
    assert not (tmp_path / "b.wav").exists()


def test_every_pretrained_model_loads():
    assert "demo" in list_pretrained()
    for name in list_pretrained():
        assert len(Translator.load(name, vocoder="mask", device="cpu").targets) >= 1


@pytest.mark.parametrize("offsets", [(0.02, 0.02), (0.2, -0.2), (0.0, 0.6), (-0.011, 0.0)])
def test_a_dc_offset_of_the_song_is_not_in_its_translation(offsets):
    wave = music(3.0, 44100, 2)
    translator = Translator(pair("hifi", quieter), "mask")
    clean = translator(wave, 44100, "other")
    got = translator(wave + torch.tensor(offsets)[:, None], 44100, "other")
    assert got.mean(1).abs().max() < 1e-3
    assert lufs(got) == pytest.approx(lufs(clean), abs=0.1)
    spectra = [torch.fft.rfft(x).abs().square() for x in (got, clean)]
    for low_hz, high_hz in ((20, 60), (60, 1000), (1000, 16000)):
        got_band, clean_band = (power[:, 3 * low_hz : 3 * high_hz].sum() for power in spectra)
        assert 10 * math.log10(got_band / clean_band) == pytest.approx(0, abs=0.3), (low_hz, high_hz)
    assert got[:, : 44100 // 4].abs().max() < 1.5 * clean[:, : 44100 // 4].abs().max()  # no thump


def test_songs_without_an_offset_are_not_filtered():
    wave = music(2.0, 44100, 2)
    translator = Translator(pair("hifi", quieter), "mask")
    statistics = translator.analyse(lambda: [wave], 44100, "other")
    assert not statistics.has_dc_offset
    below, above = (wave - wave.mean(1, keepdim=True) + offset for offset in (0.0098, 0.0102))
    assert not translator.analyse(lambda: [below], 44100, "other").has_dc_offset
    assert translator.analyse(lambda: [above], 44100, "other").has_dc_offset
    above[:, 1000] = 1e6
    assert translator.analyse(lambda: [above], 44100, "other").has_dc_offset
    below[:, 1000] = 1e6  # damage is no offset
    assert not translator.analyse(lambda: [below], 44100, "other").has_dc_offset
