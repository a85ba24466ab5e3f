"""What a Python program has of a translator: arrays, tensors, files, and what it says of itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclegan_audio import Translator, UserError, list_pretrained
from cyclegan_audio.audio.io import decode, save
from tests.translation.stand_ins import music, pair


@pytest.fixture(scope="module")
def translator() -> Translator:
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    return Translator(pair("hifi", lambda x: (x + tilt).clamp(-1, 1)), "mask")


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_arrays_and_tensors_give_the_same_of_their_own_kind(translator, channels):
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


def test_a_file_gives_an_array_and_its_rate(translator, tmp_path):
    wave = music(0.5, 22050)
    save(tmp_path / "song.wav", wave, 22050)
    for path in (tmp_path / "song.wav", str(tmp_path / "song.wav")):
        translated, rate = translator(path, to="other")
        heard, _ = decode(path)
        assert (rate, translated.shape) == (22050, tuple(wave.shape))
        assert np.array_equal(translated, translator(heard.numpy(), 22050, "other"))
    with pytest.raises(UserError, match="give sample_rate in Hz"):
        translator(wave, to="other")
    with pytest.raises(UserError, match="does not exist"):
        translator(tmp_path / "other.wav", to="other")


def test_silence_and_gradients(translator):
    assert np.array_equal(translator(np.zeros((2, 9000)), 44100, "other"), np.zeros((2, 9000), np.float32))
    for wave in (torch.zeros(1, 9000), music(0.3, 44100)):
        assert not translator(wave.requires_grad_(), 44100, "other").requires_grad


def test_genres_targets_and_repr(translator):
    assert (translator.genres, translator.targets) == (("other", "same"), ("same", "other"))
    rest = "mel='hifi', sample_rate=44100, vocoder=MaskVocoder, device='cpu')"
    assert repr(translator) == f"Translator(other <-> same, {rest}"
    generators = translator.pair.generators
    for direction, text in (("ab", "other -> same"), ("ba", "same -> other")):
        one_way = replace(translator.pair, generators={direction: generators[direction]})
        assert repr(Translator(one_way, "mask")) == f"Translator({text}, {rest}"
        assert Translator(one_way, "mask").targets == (text.split()[-1],)


def test_a_genre_is_found_without_regard_to_case(translator):
    wave = music(0.3, 44100)
    assert torch.equal(translator(wave, 44100, "OTHER"), translator(wave, 44100, "other"))


def test_a_run_is_loaded_and_averaged_over_shifts(run, song):
    wave, rate = decode(song)
    got = Translator.load(run, vocoder="mask", device="cpu")(wave, rate, to="trap")
    averaged = Translator.load(str(run), vocoder="mask", device="cpu", shifts=2)(wave, rate, to="trap")
    assert 0.01 < (averaged - got).norm() / got.norm() < 1


def test_files_by_text_or_path(run, song, tmp_path):
    translator = Translator.load(run, vocoder="mask", device="cpu")
    shares: list[float] = []
    target = str(tmp_path / "a.flac")
    seconds = translator.translate_file(str(song), target, "trap", on_progress=shares.append)
    assert seconds == pytest.approx(30000 / 32000)
    assert shares[-1] == 1
    assert translator.translate_file(song, tmp_path / "b.flac", "Trap") == seconds
    made = [decode(tmp_path / name) for name in ("a.flac", "b.flac")]
    assert torch.equal(made[0][0], made[1][0])
    wave, rate = decode(song)
    assert made[0][1] == rate
    torch.testing.assert_close(made[0][0], translator(wave, rate, "trap"), rtol=0, atol=2e-4)
    translator.translate_file(song, tmp_path / "b.flac", "trap", amount=0, overwrite=True)
    assert (decode(tmp_path / "b.flac")[0] - wave).norm() < 0.5 * (made[0][0] - wave).norm()


def test_a_file_that_is_there_is_kept(run, song, tmp_path):
    translator = Translator.load(run, vocoder="mask", device="cpu")
    (tmp_path / "a.wav").write_text("kept")
    before = song.read_bytes()
    for target, options, words in (
        (tmp_path / "a.wav", {}, r"a\.wav is there already; .*overwrite=True"),
        (song, {"overwrite": True}, "written over itself"),
        (tmp_path / "b.wav", {"amount": 2}, "amount=2"),
        (tmp_path / "b.xyz", {}, "unknown suffix"),
    ):
        with pytest.raises(UserError, match=words):
            translator.translate_file(song, target, "trap", **options)
    with pytest.raises(UserError, match=r"no genre 'tarp' in this model; did you mean 'trap'\?"):
        translator.translate_file(song, tmp_path / "b.wav", "tarp")
    with pytest.raises(UserError, match=r"none\.mp3 does not exist"):
        translator.translate_file(tmp_path / "none.mp3", tmp_path / "b.wav", "trap")
    assert (tmp_path / "a.wav").read_text() == "kept"
    assert song.read_bytes() == before
    assert not (tmp_path / "b.wav").exists()


def test_each_pair_that_ships_loads():
    assert "demo" in list_pretrained()
    for name in list_pretrained():
        assert len(Translator.load(name, vocoder="mask", device="cpu").targets) >= 1
