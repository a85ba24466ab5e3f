"""Eval mode for a while: each part gets its mode back; the callbacks that translate use it."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cyclegan_audio.models.eval_mode import eval_mode
from cyclegan_audio.models.networks.patch_residual import PatchResidualGenerator
from cyclegan_audio.training.callbacks.previews import Previews
from cyclegan_audio.training.callbacks.tagger_logging import RealClips, TaggerLog
from cyclegan_audio.vocoders import make_vocoder


def test_parts_get_their_modes_back():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).eval())
    with eval_mode(model):
        assert not any(part.training for part in model.modules())
    assert [part.training for part in model.modules()] == [True, True, False]


class Loud(nn.Module):
    """A model whose generator would leave [-1, 1] in train mode."""

    directions = ("ab",)
    batches = 3

    def __init__(self) -> None:
        super().__init__()
        self.gen = PatchResidualGenerator(8, 2, 1, skip=(1, 1))
        zero, one = torch.zeros(8), torch.ones(8)
        self.gen.set_moments((zero, one), (zero, 9 * one))

    def inference_generator(self, direction):
        return self.gen


def largest(generator: nn.Module) -> float:
    with torch.no_grad():
        return float(generator(torch.full((1, 1, 8, 8), 0.5)).max())


def test_previews_limit_outputs(tmp_path, monkeypatch):
    heard, model = [], Loud()
    previews = Previews(str(tmp_path), make_vocoder("griffin_lim"))
    clip = SimpleNamespace(source="song", start_s=0.0)
    clips = ([clip], [clip])
    data = SimpleNamespace(genres=("low", "high"), corpus=None, mel=None, clips=lambda split: clips)
    place = "cyclegan_audio.training.callbacks.previews"
    monkeypatch.setattr(f"{place}.translate_clip", lambda module, *_: heard.append(largest(module.gen)) or {})
    monkeypatch.setattr(f"{place}.cycle_grid", lambda *_: None)
    monkeypatch.setattr(f"{place}.media_loggers", lambda trainer: [])
    monkeypatch.setattr(f"{place}._table_cells", lambda row, files: {})
    monkeypatch.setattr(previews, "_write_grid", lambda *_: None)
    monkeypatch.setattr(previews, "_write_audio", lambda *_: [{}])
    previews.write_previews(SimpleNamespace(is_global_zero=True, datamodule=data), model, 1)
    assert heard == [1.0]
    assert largest(model.gen) == 4.5


def test_the_tagger_hears_limited_outputs(monkeypatch):
    heard, model = [], Loud()
    log = TaggerLog(make_vocoder("mask"))

    def translate(generator, corpus, clips):
        heard.append(largest(generator))
        raise InterruptedError

    monkeypatch.setattr(log, "_translate", translate)
    trainer = SimpleNamespace(datamodule=SimpleNamespace(corpus=None))
    real = RealClips(None, [], None)
    with pytest.raises(InterruptedError):
        log._log(trainer, model, real, real, "ab")
    assert heard == [1.0]
    assert model.training
