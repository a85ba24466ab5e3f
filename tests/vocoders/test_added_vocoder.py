"""Test a vocoder from outside the package, named by `_target_`."""

import dataclasses

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput
from tests.translation.stand_ins import music, pair, quieter


@dataclasses.dataclass(frozen=True)
class GainVocoder:
    """Apply one gain to the source: the mean change in dB. It inherits nothing from the package."""

    max_cut_db: float

    def check(self, mel: MelSpectrogram) -> None:
        if mel.sample_rate != 44100:
            raise UserError(f"the gain vocoder needs 44100 Hz, not {mel.sample_rate}; use another mel")

    def __call__(self, inputs: VocoderInput) -> Tensor:
        assert inputs.source is not None
        assert inputs.source_db is not None
        change_db = (inputs.target_db - inputs.source_db).mean((1, 2), keepdim=True)[:, 0]
        return inputs.source * 10 ** (change_db.clamp_min(-self.max_cut_db) / 20)


def make_gain_vocoder(max_cut_db: float):
    config = {"_target_": f"{__name__}.GainVocoder", "max_cut_db": max_cut_db}
    return build("vocoder", OmegaConf.create(config))


def test_added_vocoder_translates_a_clip():
    wave = music(1.5, 44100)
    translator = Translator(pair("hifi", quieter), make_gain_vocoder(max_cut_db=60.0))
    got = translator(wave, 44100, to="other")
    assert got.shape == wave.shape
    error = (got - wave)[:, 4000:-4000]
    assert error.norm() < 0.01 * wave.norm()  # loudness matching undoes the gain
    assert "GainVocoder" in repr(translator)


def test_added_vocoder_gets_the_source_and_both_mels():
    mel = pair("hifi", quieter).mel
    source = music(1.0, 44100)
    source_db = mel.mel_db(source)
    inputs = VocoderInput(source_db - 8, mel, source.shape[1], source, source_db)
    torch.testing.assert_close(make_gain_vocoder(60.0)(inputs), source * 10 ** (-8 / 20))
    torch.testing.assert_close(make_gain_vocoder(6.0)(inputs), source * 10 ** (-6 / 20))


def test_added_vocoder_can_refuse_a_mel():
    with pytest.raises(UserError, match="needs 44100 Hz, not 48000"):
        Translator(pair("paper", quieter), make_gain_vocoder(60.0))
