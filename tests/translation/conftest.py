"""Provide a run and a song for the translate command."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.audio.io import save
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.inference.checkpoints import save_pretrained
from cyclegan_audio.inference.translation_model import TranslationModel


@pytest.fixture
def run(tmp_path, tiny_model):
    """Save an untrained model as a run folder."""
    model = tiny_model()
    generator = {
        "_target_": "cyclegan_audio.models.networks.generators.ResnetGenerator",
        "n_filters": 4,
        "n_blocks": 1,
    }
    mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml"))
    config = {"model": {"generator": generator}}
    pair = TranslationModel(("lofi", "trap"), mel, {"ab": model.gen_ab, "ba": model.gen_ba}, 64, config)
    save_pretrained(pair, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "in" / "Song [1] & more.wav"
    noise = torch.randn(2, 30000, generator=torch.Generator().manual_seed(0)) * 0.1
    save(path, noise, 32000)
    return path
