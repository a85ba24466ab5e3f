"""The ends of a piece: continued by linear prediction, so that a tone begins and ends as loud as it is."""

import math

import pytest
import torch
from torch import Tensor

from cyclegan_audio.translation.continuation import (
    FIT_SAMPLES,
    continuation,
    continue_blocks,
    cut_continuations,
)
from cyclegan_audio.translation.stages import EdgeStream
from cyclegan_audio.translation.translator import Translator
from tests.translation.stand_ins import music, pair
from tests.vocoders.sounds import preset


def tone(hz: float, seconds: float, rate: int, fade_s: float = 0.0) -> Tensor:
    """Return a tone (1, T), faded in and out."""
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    gain = (torch.minimum(t, t.flip(0)) / fade_s).clamp_max(1) if fade_s else 1.0
    return (0.3 * gain * torch.sin(2 * math.pi * hz * t)).float()[None]


def rms_db(wave: Tensor) -> float:
    return 10 * math.log10(float(wave.square().mean()) + 1e-20)


def edges_db(wave: Tensor, rate: int) -> tuple[float, float]:
    """Return by how many dB the first and last 50 ms exceed the middle."""
    n, middle = round(0.05 * rate), wave[:, wave.shape[1] // 3 : -wave.shape[1] // 3]
    return rms_db(wave[:, :n]) - rms_db(middle), rms_db(wave[:, -n:]) - rms_db(middle)


def darker(mel: Tensor) -> Tensor:
    """Lower the bands, the higher the more: the faint noise of a kink would stay, and the tone go."""
    return (mel - torch.linspace(0, 1, 128)[:, None]).clamp(-1, 1)


@pytest.mark.parametrize("preset_name", ["hifi", "paper"])
@pytest.mark.parametrize("vocoder", ["hybrid", "mask", "griffin_lim"])
@pytest.mark.parametrize("hz", [1_000, 20_000])
def test_a_tone_is_as_loud_at_its_ends_as_in_the_middle(preset_name, vocoder, hz):
    translator = Translator(pair(preset_name, darker), vocoder)
    for rate in (44_100, 48_000):
        for fade_s in (0.0, 0.05):
            got = translator(tone(hz, 2.0, rate, fade_s), rate, "other")
            assert max(edges_db(got, rate)) < 1.5, f"{rate} Hz, fade {fade_s} s"
            if not fade_s:
                assert min(edges_db(got, rate)) > -1.5, f"{rate} Hz"


@pytest.mark.parametrize("to", ["rnb", "lofi"])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_demo_model_does_not_make_the_ends_of_a_high_tone_loud(to, rate):
    translator = Translator.load("demo", vocoder="mask", device="cpu")
    assert max(edges_db(translator(tone(20_000, 3.0, rate), rate, to), rate)) < 3


@pytest.mark.parametrize("hz", [50, 1_000, 20_000])
def test_a_tone_is_continued(hz):
    wave = tone(hz, 0.3, 44_100)
    got = continuation(wave[:, :FIT_SAMPLES], 2048)
    assert (got - wave[:, FIT_SAMPLES : FIT_SAMPLES + 2048]).abs().max() < 0.02


@pytest.mark.parametrize(
    "wave", [torch.zeros(1, 4096), torch.ones(1, 4096), torch.randn(3, 4096), torch.randn(1, 4096).cumsum(1)]
)
def test_continuations_stay_within_the_peak_of_what_is_known(wave):
    got = continuation(wave, 5000)
    assert got.shape == (len(wave), 5000)
    assert (got.abs().amax(1) <= wave.abs().amax(1)).all()
    one_sample = wave * (torch.arange(4096) == 4095)
    assert torch.isfinite(continuation(one_sample, 5000)).all()


@pytest.mark.parametrize("n_samples", [1, 63, 64, 4095, 4096, 4097, 20_000])
@pytest.mark.parametrize("block", [1000, 4096, 30_000])
def test_cutting_the_continuations_off_gives_the_piece(n_samples, block):
    wave = torch.randn(2, n_samples)
    continued = list(continue_blocks(wave.split(block, 1), 700))
    assert sum(part.shape[1] for part in continued) == n_samples + 1400
    got = torch.cat(list(cut_continuations(continued, 700)), 1)
    assert torch.equal(got, wave)
    whole = torch.cat(list(continue_blocks([wave], 700)), 1)
    assert torch.equal(torch.cat(continued, 1), whole)
    assert torch.equal(whole[:, :700], continuation(wave[:, :FIT_SAMPLES].flip(1), 700).flip(1))
    assert torch.equal(whole[:, -700:], continuation(wave[:, -FIT_SAMPLES:], 700))


def test_no_blocks_give_no_blocks():
    assert list(continue_blocks([], 700)) == []
    assert list(cut_continuations([], 700)) == []


@pytest.mark.parametrize("n_frames", [1, 8, 9, 10, 100])
@pytest.mark.parametrize("block", [1, 7, 100])
def test_edge_frames_are_reflections_of_whole_ones(n_frames, block):
    frames = torch.arange(1.0, n_frames + 1)[None]
    stream = EdgeStream(preset("hifi"))
    *parts, end = frames.split(block, 1)
    got = torch.cat([*(stream.push(part) for part in parts), stream.push(end, last=True)], 1)
    expected = frames.clone()
    if n_frames >= 9:
        expected[:, :4] = expected[:, 5:9].flip(1)
        expected[:, -4:] = expected[:, -9:-5].flip(1)
    assert torch.equal(got, expected)


def test_the_first_samples_of_music_are_kept():
    wave = music(2.0, 44_100, 2)
    got = Translator(pair("hifi", lambda x: x), "mask")(wave, 44_100, "same")
    assert (got - wave)[:, :50].norm() < 0.03 * wave[:, :50].norm()
    assert (got - wave)[:, -50:].norm() < 0.03 * wave[:, -50:].norm()
