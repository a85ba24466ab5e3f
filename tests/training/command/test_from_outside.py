"""A generator and a loss term defined outside the package train by the command."""

import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model, read_checkpoint
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.models.losses.terms import LossTerm
from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.utils.errors import UserError
from tests.loss_table import rows

SHORT = ("n_epochs=1", "n_epochs_decay=0", "run_dir=out")


class Scale(nn.Module, Generator):
    """Scale each band by a learnt gain."""

    frame_multiple = 2

    def __init__(self, n_mels):
        super().__init__()
        self.gains = nn.Parameter(torch.ones(n_mels, 1))

    def forward(self, x):
        assert x.shape[-1] % self.frame_multiple == 0
        return (x * self.gains).clamp(-1, 1)


class Loudness(LossTerm):
    """Difference of mean levels, scaled by a parameter that is trained too."""

    suffix = "target"

    def __init__(self, weight):
        super().__init__(weight)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, model, mels, direction):
        source, target = direction
        return self.scale.square() * (mels[f"real_{source}"].mean() - mels[f"fake_{target}"].mean()).abs()


GENERATOR = ("~model.generator", f"+model.generator={{_target_:{__name__}.Scale,_partial_:true,n_mels:128}}")


def test_a_generator_from_outside_trains_resumes_and_translates_a_clip(run, pictured, corpus):
    """Its class is built from a checkpoint only if its package is trusted."""
    code, shown = run(*pictured, *SHORT, *GENERATOR, "logger=none", "callbacks.previews.every_epochs=1")
    assert code == 0, shown
    assert list(Path("out/audio").glob("*_fake.wav"))
    refusal = f"model.generator names {__name__}.Scale, which is not built from a file"
    code, shown = run("resume=out", "n_epochs=2")
    assert (code, shown.count("\n")) == (2, 1)
    assert refusal in shown
    assert "add --trust-package tests" in shown
    code, shown = run("resume=out", "n_epochs=2", "--trust-package", "tests")
    assert code == 0, shown
    path = Path("out/checkpoints/last.ckpt")
    network = Scale(128)
    network.load_state_dict({"gains": read_checkpoint(path)["state_dict"]["gen_ab.gains"]})
    assert not torch.equal(network.gains, torch.ones_like(network.gains))
    opened = Corpus.open(corpus)
    real_db = opened.mel_db(opened.clips("low", "test")[0])
    fake_db = translate_mel_db(network, real_db, opened.mel, opened.mel.range_db(real_db))
    assert fake_db.shape == real_db.shape
    assert not torch.allclose(fake_db, real_db)
    with pytest.raises(UserError, match=re.escape(refusal)):
        load_model(path)
    loaded = load_model(path, trust_packages=["tests"])
    assert torch.equal(loaded.generators["ab"].gains, network.gains)


def test_a_generator_without_features_is_refused_by_cut(run, small):
    code, shown = run(*small, *SHORT, *GENERATOR, "model=cut_small")
    assert code == 2
    assert "Scale is not a FeatureGenerator (it lacks feature_widths)" in shown


@pytest.mark.parametrize("model", ["cyclegan_resnet_small", "cut_small"])
def test_a_loss_term_from_outside_trains_and_is_logged(run, small, model):
    term = f"+model.extra_losses.loudness={{_target_:{__name__}.Loudness,weight:2.0}}"
    code, shown = run(*small, *SHORT, f"model={model}", term, "logger=tensorboard")
    assert code == 0, shown
    names = ["loudness_b"] if model == "cut_small" else ["loudness_a", "loudness_b"]
    last = rows(Path("out"))[-1]
    assert [name for name in last if name.startswith("loudness")] == names
    content = read_checkpoint(Path("out/checkpoints/last.ckpt"))
    assert content["state_dict"]["terms.loudness.scale"] < 1  # trained
    events = EventAccumulator("out/tensorboard").Reload()
    assert {f"loudness/{name}" for name in names} <= set(events.Tags()["scalars"])
    terms = load_model("out").loss_terms
    assert terms["loudness_b"] == "loudness"
    weights = {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0, "loudness": 2.0}
    if model == "cut_small":
        weights |= {"contrast": 0.5, "identity": 0.5}
    total = sum(weights[terms[name]] * float(last[name]) for name in terms if terms[name] in weights)
    assert float(last["gen_total"]) == pytest.approx(total, rel=1e-4)
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 2
    assert f"model.extra_losses.loudness names {__name__}.Loudness" in shown
    code, shown = run("resume=out", "n_epochs=2", "trust_package=[tests]")
    assert code == 0, shown


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("cycle={_target_:MODULE.Loudness,weight:1}", "a loss of this name exists already"),
        ("loudness={_target_:MODULE.Scale,n_mels:4}", "is not a loss term"),
        ("loudness={_target_:MODULE.Loudness,weight:-1}", "the weight of Loudness"),
    ],
)
def test_invalid_loss_terms_are_refused(run, small, entry, message):
    code, shown = run(*small, *SHORT, f"+model.extra_losses.{entry}".replace("MODULE", __name__))
    assert code == 2
    assert message in shown
    assert not Path("out").exists()
