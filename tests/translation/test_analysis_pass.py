"""What is known of a piece before its translation, and what the generator gets by it."""

import pytest
import torch
from torch import Tensor

from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.translation.analysis_pass import (
    ChannelAnalysis,
    MidAnalysis,
    PieceStatistics,
    Windows,
    check_finite,
)
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import Normed, lufs, music, pair, quieter


def test_the_generator_gets_what_training_matched():
    seen: list[Tensor] = []
    made = pair("hifi", lambda mel: seen.append(mel[0, 0]) or quieter(mel).clamp(-1, 1))
    made.normalisation = {"loudness_lufs": -20.0, "cutoff_hz": 2000.0}
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


def test_a_clip_range_is_that_of_the_whole_song_without_its_silence():
    seen = []
    translator = Translator(pair("paper", lambda x: seen.append((x.min().item(), x.max().item())) or x))
    mel_db = torch.full((128, 1000), -30.0)
    mel_db[:, 0], mel_db[:, 999], mel_db[:, 500:600] = -60.0, 10.0, -100.0
    assert torch.equal(translator.translate_mel(mel_db, "other"), mel_db)
    assert (min(low for low, _ in seen), max(high for _, high in seen)) == (-1, 1)
    assert len(seen) > 1


def test_windows_share_the_statistics_of_the_piece():
    made = pair("hifi", quieter)
    made.generators["ba"] = Normed()
    translator = Translator(made, "mask")
    wave = music(50.0, 44100)
    wave[:, 300_000:] *= 0.03
    survey = translator.analyse(lambda: wave.split(50_000, 1), 44100, "other")
    assert survey.statistics is not None
    change = translator.windowed_generator("other", survey)
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
    statistics = translator.analyse(lambda: wave.split(50_000, 1), 44100, "other").statistics
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


def test_windows_are_spread_evenly_over_a_long_piece():
    """Of 30 windows every second stays once there are 13, then every fourth."""
    windows = Windows(4, -100.0)
    mel_db = torch.arange(30.0).repeat_interleave(4).expand(2, -1) - 50
    for part in mel_db.split(7, 1):
        windows.push(part)
        assert len(windows.found) <= 12
    windows.push(torch.full((2, 3), -100.0))
    windows.finish()
    assert [window.unique().tolist() for window in windows.found] == [[n - 50.0] for n in range(0, 29, 4)]
    assert all(window.shape == (2, 4) for window in windows.found)
    assert windows.n_frames == 123
    assert (windows.low_db, windows.high_db) == (-50, -21)


def test_twelve_windows_all_stay_and_a_rest_is_left_out():
    windows = Windows(2, -100.0)
    windows.push(torch.arange(25.0)[None])
    windows.finish()
    assert torch.cat(windows.found, 1).tolist() == [list(range(24))]


def test_silence_is_no_part_of_windows_and_little_sound_is_reflected():
    windows = Windows(6, -100.0)
    windows.push(torch.full((2, 9), -100.0))
    assert windows.found == []
    windows.push(torch.tensor([[-99.9995, -99.99, -100.0], [-100.0, -100.0, -40.0]]))
    windows.finish()
    (only,) = windows.found
    torch.testing.assert_close(only[0], torch.tensor([-99.99, -100, -99.99, -100, -99.99, -100]))
    assert only[1].tolist() == [-100, -40, -100, -40, -100, -40]
    assert windows.n_frames == 12
    silent = Windows(6, -100.0)
    silent.push(torch.full((2, 9), -100.0))
    silent.finish()
    assert silent.found == []


def test_channels_are_surveyed_block_by_block():
    left = music(1.0, 44100)
    survey = ChannelAnalysis(44100)
    for part in torch.cat([left, -0.5 * left]).split(10_000, 1):
        survey.push(part)
    actual = survey.finish()
    assert actual.n_samples == 44100
    assert actual.signs.flatten().tolist() == [1, -1]
    assert not actual.is_silent
    assert actual.lufs == pytest.approx(lufs(torch.cat([left, 0.5 * left])), abs=1e-3)
    silent = ChannelAnalysis(44100)
    silent.push(torch.zeros(2, 500))
    assert silent.finish().is_silent
    late = ChannelAnalysis(44100)
    for block in (torch.zeros(1, 5), torch.ones(1, 1), torch.zeros(1, 5)):
        late.push(block)
    assert not late.finish().is_silent
    with pytest.raises(UserError, match="holds no samples"):
        ChannelAnalysis(44100).finish()


@pytest.mark.parametrize(("bad", "at"), [((1, 37), "1.137"), ((0, 99), "1.199"), ((0, 0), "1.100")])
def test_what_is_not_finite_is_placed(bad, at):
    blocks = [torch.zeros(2, 1000), torch.zeros(2, 100), torch.zeros(2, 100)]
    assert all(torch.equal(one, other) for one, other in zip(check_finite(blocks, 1000), blocks, strict=True))
    blocks[2][bad] = torch.nan
    with pytest.raises(UserError, match=f"first at {at} s"):
        list(check_finite(blocks, 1000))


@pytest.mark.parametrize(("n_windows", "is_short"), [(12, True), (12.1, False)])
def test_what_fits_twelve_windows_goes_through_as_one(n_windows, is_short):
    translator = Translator(pair("hifi", quieter))
    mel = translator.mel
    survey = MidAnalysis(mel.sample_rate, mel, CorpusNormalisation(), 8, torch.device("cpu"))
    survey.push(torch.randn(round(8 * n_windows) * mel.hop_length) * 0.1)
    actual = survey.finish(PieceStatistics(0, 0.0, False, torch.ones(1, 1)))
    assert actual.is_short is is_short
    assert actual.range_db == (mel.min_db, mel.max_db)
    assert actual.mid_lufs is None  # not asked for
