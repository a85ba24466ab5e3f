"""Test that translations keep the levels of passages, with a generator that raises quiet ones."""

import pytest
import torch
from torch import Tensor

from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.translation.streaming import translate_live
from cyclegan_audio.translation.translator import Translator
from tests.translation.stand_ins import FunctionGenerator, music, pair, quieter

RATE = 44100
EDGE = RATE // 20  # samples on either side of a step, which belong to neither passage


class Compressor(FunctionGenerator):
    """A generator that brings levels closer to the mean of its instance norm."""

    def __init__(self) -> None:
        super().__init__(lambda x: x)
        self.norm = InstanceNorm()

    def forward(self, mel: Tensor) -> Tensor:
        return (mel - 0.15 * self.norm(mel)).clamp(-1, 1)


def compressing(preset: str, window: int) -> Translator:
    model: TranslationModel = pair(preset, quieter)
    model.generators["ba"], model.window_frames = Compressor(), window
    return Translator(model, "mask")


def level_db(wave: Tensor) -> float:
    return float(10 * wave.double().square().mean().log10())


def falling(seconds: float, depth_db: float) -> tuple[Tensor, int]:
    """Return stereo music whose second half is quieter, and the position of the step."""
    wave = music(seconds, RATE, 2)
    step = wave.shape[1] // 2
    wave[:, step:] *= 10 ** (-depth_db / 20)
    return wave, step


def raised_db(source: Tensor, result: Tensor, step: int) -> float:
    """Return how much more the quiet half rose than the loud one."""
    loud, quiet = slice(0, step - EDGE), slice(step + EDGE, None)
    rises = [level_db(result[:, part]) - level_db(source[:, part]) for part in (quiet, loud)]
    return rises[0] - rises[1]


@pytest.mark.parametrize("depth_db", [0, 20, 40, 60, 80])
@pytest.mark.parametrize(("preset", "window"), [("hifi", 344), ("hifi", 32), ("paper", 32)])
def test_quiet_half_keeps_its_level(preset, window, depth_db):
    """As one window, and in windows that share the statistics of the piece."""
    wave, step = falling(9.0, depth_db)
    translator = compressing(preset, window)
    statistics = translator.analyse(lambda: wave.split(50_000, 1), RATE, "other")
    assert statistics.is_single_window is (window == 344)
    assert abs(raised_db(wave, translator(wave, RATE, "other"), step)) < 2


@pytest.mark.parametrize("vocoder", ["hybrid", "griffin_lim"])
def test_quiet_half_keeps_its_level_with_every_vocoder(vocoder):
    wave, step = falling(7.0, 60)
    translator = Translator(compressing("hifi", 344).model, vocoder)
    assert abs(raised_db(wave, translator(wave, RATE, "other"), step)) < 2


@pytest.mark.parametrize("is_entry", [False, True])
def test_step_is_not_smeared(is_entry):
    """From 5 ms on, the quiet side of a step is at most 6 dB above its level in the source."""
    wave, step = falling(8.0, 60)
    source = wave.flip(1) if is_entry else wave
    result = compressing("hifi", 344)(source, RATE, "other")
    loud_first = [x.flip(1) if is_entry else x for x in (source, result)]
    gain_db = level_db(loud_first[1][:, : step - EDGE]) - level_db(loud_first[0][:, : step - EDGE])
    quiet_db = level_db(loud_first[0][:, step:]) + gain_db
    near = loud_first[1][:, step + 220 : step + 4420].split(220, 1)
    assert max(level_db(part) for part in near) < quiet_db + 6
    edge_db = [level_db(x[:, step - 441 : step]) for x in loud_first]
    assert abs(edge_db[1] - edge_db[0] - gain_db) < 3


def test_silence_between_passages_stays_silent():
    wave, step = falling(9.0, 60)
    silent = slice(step, step + 4 * RATE)
    wave = torch.cat([wave[:, :step], torch.zeros(2, 4 * RATE), wave[:, step:]], 1)
    result = compressing("hifi", 344)(wave, RATE, "other")
    assert result[:, silent.start + 3000 : silent.stop - 3000].eq(0).all()
    both = [torch.cat([x[:, : silent.start], x[:, silent.stop :]], 1) for x in (wave, result)]
    assert abs(raised_db(both[0], both[1], step)) < 2


def test_generator_hears_a_quiet_passage_like_the_same_music_at_full_level():
    heard: list[Tensor] = []
    model = pair("hifi", lambda x: heard.append(x[0, 0]) or x)
    model.normalisation = {"loudness_lufs": -14.0}
    half = music(4.0, RATE)
    for depth_db in (0.0, 70.0):
        Translator(model, "mask")(torch.cat([half, half * 10 ** (-depth_db / 20)], 1), RATE, "other")
    frames = (
        torch.arange(heard[0].shape[1]) - 4 * RATE / 512
    ).abs() > 5  # the step itself is one frame's dip
    flat, fallen = (x[:72, frames] for x in heard)  # the bands below 4 kHz, which the music fills
    torch.testing.assert_close(flat, fallen, rtol=0, atol=0.02)


def test_range_of_a_piece_that_is_scaled_by_itself_is_that_of_the_lifted_piece():
    flat, _ = falling(8.0, 0)
    wave, _ = falling(8.0, 70)
    translator = compressing("paper", 32)
    ranges = [
        translator.analyse(lambda x=x: x.split(50_000, 1), RATE, "other").range_db for x in (flat, wave)
    ]
    assert ranges[1] == pytest.approx(ranges[0], abs=3)


def test_live_stream_keeps_the_level_three_seconds_after_a_fall():
    model = pair("hifi", lambda x: (x - 0.3 * (x.mean() + 0.3)).clamp(-1, 1))
    model.window_frames = 32
    wave, step = falling(16.0, 40)
    result = torch.cat(
        list(translate_live(Translator(model, "mask"), wave.split(2048, 1), RATE, 2, "other")), 1
    )
    late = slice(step + round(3.5 * RATE), -RATE)
    gain = level_db(result[:, RATE : step - RATE]) - level_db(wave[:, RATE : step - RATE])
    assert abs(level_db(result[:, late]) - level_db(wave[:, late]) - gain) < 2
    early = slice(step + RATE, step + 2 * RATE)
    assert level_db(result[:, early]) - level_db(wave[:, early]) - gain > 5


def test_hiss_after_the_music_does_not_change_its_translation():
    music_only = music(8.0, RATE, 2)
    hiss = torch.randn(2, 6 * RATE, generator=torch.Generator().manual_seed(0)) * 1e-4
    translator = compressing("hifi", 32)
    clean, followed = (translator(x, RATE, "other") for x in (music_only, torch.cat([music_only, hiss], 1)))
    part = slice(RATE, 7 * RATE)
    mels = [translator.mel.mel_db(x[:1, part])[0] for x in (clean, followed)]
    assert (mels[0] - mels[1]).abs().mean() < 0.5
