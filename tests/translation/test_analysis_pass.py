"""Test the analysis of a piece, and the generator's input that follows from it."""

import math

import pytest
import torch
from torch import Tensor

from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.translation.analysis_pass import (
    ChannelAnalysis,
    MidAnalysis,
    PieceStatistics,
    WindowSampler,
)
from cyclegan_audio.translation.stages import n_edge_frames
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import InstanceNormGenerator, lufs, music, pair, quieter, translated_mel
from tests.vocoders.sounds import preset


def test_input_is_normalised_as_in_training():
    inputs: list[Tensor] = []
    model = pair("hifi", lambda mel: inputs.append(mel[0, 0]) or quieter(mel).clamp(-1, 1))
    model.normalisation = {"loudness_lufs": -20.0, "cutoff_hz": 2000.0}
    translator = Translator(model)
    song = music(5.0, 44100)
    mel_db = translator.mel.mel_db(song * 10 ** ((-20 - lufs(song)) / 20))[0]
    above = translator.mel.band_hz > 2000
    windows = []
    for gain in (0.02, 1.0):
        inputs.clear()
        out = translator(song * gain, 44100, "other")
        assert lufs(out) == pytest.approx(lufs(song * gain), abs=0.1)
        windows.append(inputs[-1])
        assert all((window[above] == -1).all() for window in inputs)
    expected = translator.mel.normalise(mel_db)[~above].mean(1)
    for window in windows:  # the same level, whatever the level of the file
        torch.testing.assert_close(window[~above].mean(1), expected, rtol=0, atol=0.03)
    target_db = translated_mel(translator, mel_db, "other")
    assert torch.equal(target_db[above], mel_db[above])
    assert (target_db - mel_db)[~above].median() == pytest.approx(-6.5, abs=0.01)  # 0.1 of 130 dB / 2


def test_clip_range_is_that_of_the_whole_piece_without_silence():
    extremes: list[tuple[float, float]] = []
    translator = Translator(pair("paper", lambda x: extremes.append((float(x.min()), float(x.max()))) or x))
    wave = music(60.0, 48000)[:, : 2800 * 1024]
    wave[:, 300_000:600_000] = 0
    wave[:, 2_000_000:] *= 0.6
    mel_db = translator.mel.mel_db(wave)[0]
    audible = mel_db[:, (mel_db > -99.9).any(0)]
    statistics = translator.analyse(lambda: wave.split(50_000, 1), 48000, "other")
    assert statistics.range_db == pytest.approx((float(audible.min()), float(audible.max())), abs=1e-3)
    translator(wave, 48000, "other")
    assert (min(low for low, _ in extremes), max(high for _, high in extremes)) == (-1, 1)
    assert len(extremes) > 1


def test_windows_share_the_norm_statistics_of_the_piece():
    model = pair("hifi", quieter)
    model.generators["ba"] = InstanceNormGenerator()
    translator = Translator(model, "mask")
    wave = music(50.0, 44100)
    wave[:, 300_000:] *= 0.03
    statistics = translator.analyse(lambda: wave.split(50_000, 1), 44100, "other")
    assert statistics.norm_statistics is not None
    generator = translator.windowed_generator("other", statistics)
    frame = translator.mel.mel_db(wave)[0, :, :8]
    alone, repeated = (generator(frame.repeat(1, n)[None])[0, :, :8] for n in (1, 43))
    torch.testing.assert_close(alone, repeated)
    assert model.generators["ba"].norm.fixed is None


def test_norm_statistics_leave_out_silence():
    model = pair("hifi", quieter)
    model.generators["ba"] = InstanceNormGenerator()
    translator = Translator(model, "mask")
    wave = torch.zeros(1, 50 * 44100)
    wave[:, 900_000:950_000] = music(2.0, 44100)[:, :50_000]
    statistics = translator.analyse(lambda: wave.split(50_000, 1), 44100, "other").norm_statistics
    assert statistics is not None
    mel_db = translator.mel.mel_db(wave)[0]
    audible = translator.mel.normalise(mel_db[:, (mel_db > -99.9).any(0)])
    torch.testing.assert_close(statistics["norm"][0][0], audible.mean(), rtol=0, atol=0.02)


@pytest.mark.parametrize("seconds", [0.2, 13.0])
def test_short_piece_is_one_window_without_silence(seconds):
    inputs: list[Tensor] = []
    translator = Translator(pair("hifi", lambda mel: inputs.append(mel[0, 0]) or quieter(mel).clamp(-1, 1)))
    wave = music(seconds, 44100)
    wave[:, wave.shape[1] // 2 : wave.shape[1] * 3 // 4] = 0
    translator(wave, 44100, to="other")
    (window,) = inputs
    audible = int((translator.mel.mel_db(wave)[0] > -99.9).any(0).sum())
    n_frames = max(audible + 2 * n_edge_frames(translator.mel), 344)  # with the continuations
    assert n_frames <= window.shape[1] < n_frames + 8
    assert (window > -1).any(0).all()


@pytest.mark.parametrize(("signs", "n_reads"), [((1.0, 1.0), 2), ((1.0, -1.0), 3)])
def test_piece_is_read_once_more_only_if_a_channel_is_inverted(signs, n_reads):
    wave = music(0.5, 44100).expand(2, -1) * torch.tensor(signs)[:, None]
    reads = []
    render = Translator(pair("hifi", quieter), "mask").translate(
        lambda: reads.append(wave) or wave.split(9000, 1), 44100, "other", []
    )
    assert torch.cat(list(render(1.0)), 1).shape == wave.shape
    assert len(reads) == n_reads


@pytest.mark.parametrize(("fall", "n_reads"), [(0.6, 1), (0.1, 2)])
def test_piece_is_read_once_more_only_if_it_has_quiet_passages(fall, n_reads):
    """The second reading is of the lifted piece."""
    wave = music(9.0, 44100)
    wave[:, 200_000:] *= fall
    wave[:, 100_000] = 1e4  # a click does not set the level of the piece
    reads = []
    translator = Translator(pair("paper", quieter), "mask")
    statistics = translator.analyse(lambda: reads.append(wave) or wave.split(9000, 1), 44100, "other")
    assert len(reads) == n_reads
    assert statistics.reference_db is not None
    if n_reads == 1:
        assert statistics.reference_db == -math.inf
    else:
        assert statistics.reference_db == pytest.approx(10 * math.log10(0.05**2 + 0.1**2 / 2), abs=4)


def test_sampled_windows_are_spread_evenly():
    """Of 30 windows every second is kept once there are 13, then every fourth."""
    sampler = WindowSampler(4, -100.0)
    mel_db = torch.arange(30.0).repeat_interleave(4).expand(2, -1) - 50
    for part in mel_db.split(7, 1):
        sampler.push(part)
        assert len(sampler.windows) <= 12
    sampler.push(torch.full((2, 3), -100.0))
    sampler.finish()
    assert [window.unique().tolist() for window in sampler.windows] == [[n - 50.0] for n in range(0, 29, 4)]
    assert all(window.shape == (2, 4) for window in sampler.windows)
    assert sampler.n_frames == 123
    assert (sampler.low_db, sampler.high_db) == (-50, -21)


def test_twelve_windows_are_all_kept_without_the_rest():
    sampler = WindowSampler(2, -100.0)
    sampler.push(torch.arange(25.0)[None])
    sampler.finish()
    assert torch.cat(sampler.windows, 1).tolist() == [list(range(24))]


def test_windows_leave_out_silence_and_are_padded_by_reflection():
    sampler = WindowSampler(6, -100.0)
    sampler.push(torch.full((2, 9), -100.0))
    assert sampler.windows == []
    sampler.push(torch.tensor([[-99.9995, -99.99, -100.0], [-100.0, -100.0, -40.0]]))
    sampler.finish()
    (only,) = sampler.windows
    torch.testing.assert_close(only[0], torch.tensor([-99.99, -100, -99.99, -100, -99.99, -100]))
    assert only[1].tolist() == [-100, -40, -100, -40, -100, -40]
    assert sampler.n_frames == 12
    silent = WindowSampler(6, -100.0)
    silent.push(torch.full((2, 9), -100.0))
    silent.finish()
    assert silent.windows == []


def test_channel_analysis_does_not_depend_on_the_blocks():
    left = music(1.0, 44100)
    analysis = ChannelAnalysis(44100)
    for part in torch.cat([left, -0.5 * left]).split(10_000, 1):
        analysis.push(part)
    actual = analysis.finish()
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
    with pytest.raises(UserError, match="has no samples"):
        ChannelAnalysis(44100).finish()


@pytest.mark.parametrize(("n_frames", "is_single_window"), [(87, True), (87.003, False), (88, False)])
def test_up_to_twelve_windows_with_the_continuations_are_one_window(n_frames, is_single_window):
    translator = Translator(pair("hifi", quieter))
    mel = translator.mel
    analysis = MidAnalysis(mel.sample_rate, mel, CorpusNormalisation(), 8, torch.device("cpu"))
    analysis.push(torch.randn(round(n_frames * mel.hop_length)) * 0.1)
    actual = analysis.finish(PieceStatistics(0, 0.0, False, torch.ones(1, 1)))
    assert actual.is_single_window is is_single_window
    assert actual.range_db == (mel.min_db, mel.max_db)
    assert actual.mid_lufs is None  # not asked for


def test_silence_has_the_range_of_the_mel():
    """With `paper`, whose range is otherwise that of the piece."""
    mel = preset("paper")
    analysis = MidAnalysis(mel.sample_rate, mel, CorpusNormalisation(), 8, torch.device("cpu"))
    analysis.push(torch.zeros(20 * mel.hop_length))
    actual = analysis.finish(PieceStatistics(0, 0.0, True, torch.ones(1, 1)))
    assert actual.range_db == (mel.min_db, mel.max_db)
