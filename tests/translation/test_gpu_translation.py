"""A GPU translates as a CPU does."""

import copy

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio import Translator
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.generators import ResnetGenerator
from tests.translation.stand_ins import WINDOWS, music


@pytest.mark.gpu
@pytest.mark.parametrize("preset", WINDOWS)
@pytest.mark.parametrize("vocoder", ["griffin_lim", "hybrid", "mask"])
def test_a_gpu_translates_as_a_cpu(preset, vocoder):
    wave = music(14.0, 44100, 2)
    mel: MelSpectrogram = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
    generator = ResnetGenerator(4, 1).eval()
    mels_db = []
    for device in ("cpu", "cuda"):
        networks = {direction: copy.deepcopy(generator).to(device) for direction in ("ab", "ba")}
        model = TranslationModel(("other", "same"), mel, networks, WINDOWS[preset], {})
        translator = Translator(model, vocoder, device)
        translator.bf16 = False
        translated = translator(wave, 44100, to="other")
        assert torch.isfinite(translated).all()
        mels_db.append(mel.mel_db(translated.mean(0, keepdim=True)))
    on_cpu, on_gpu = mels_db
    is_loud = on_cpu > on_cpu.max() - 60
    assert is_loud.float().mean() > 0.1
    assert (on_gpu - on_cpu)[is_loud].abs().mean() < 0.5  # dB
