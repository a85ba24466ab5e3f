"""CUT: losses by hand, training and resuming."""

import pytest
import torch
from torch import nn

from cyclegan_audio.models.losses.terms import weighted_sum
from cyclegan_audio.models.networks.generators import ResnetGenerator, UNetGenerator
from tests.models.test_cyclegan import Fill, batch, fit, state


class FillWithFeatures(Fill):
    """A stand-in whose only features are its input."""

    def features(self, x):
        return {"input": x}


class Difference(nn.Module):
    """In the place of the contrast: the mean difference of what it compares, in units of the source."""

    def forward(self, source, translated):
        return ((translated["input"] - source["input"]) / source["input"]).abs().mean()


def with_fills(model):
    model.gen_ab, model.disc_b, model.contrast = FillWithFeatures(0.5), Fill(3.0), Difference()
    return model


@pytest.mark.parametrize(
    ("overrides", "passes", "total"),
    [
        (("model=cut_small",), 2, 0.0625 + 0.5 * 0.5 + 0.5 * 0.5),
        (("model=fastcut_small",), 1, 0.0625 + 10 * 0.5),
    ],
)
def test_losses_by_hand(tiny_model, overrides, passes, total):
    model = with_fills(tiny_model("acceleration.joint_forwards=false", *overrides))
    out = model.translate_batch(batch())
    losses = model.generator_losses(batch(), out)
    # fake_b = 0.25 judged 3 * 0.25; half of each input is what is left of it
    wanted = {"adversarial_ab": (0.75 - 1) ** 2, "contrast_a": 0.5, "identity_b": 0.5}
    if passes == 1:
        del wanted["identity_b"]
    assert {name: float(loss.detach()) for name, loss in losses.items()} == pytest.approx(wanted)
    assert len(model.gen_ab.inputs) == passes
    assert float(weighted_sum(losses, model.loss_weights, model.loss_terms).detach()) == pytest.approx(total)
    disc = model.discriminator_losses({**batch(), **out})
    assert set(disc) == {"disc_b"}
    assert float(disc["disc_b"].detach()) == pytest.approx(0.5 * ((-0.75 - 1) ** 2 + 0.75**2))


def test_the_contrast_is_with_the_varied_source(tiny_model):
    """A varied source of 1 in place of 0.5: the translation 0.5 is half of it, and equals the clean one."""
    model = with_fills(tiny_model("model=fastcut_small"))
    mels = batch() | {"source_a": torch.ones(1, 1, 8, 8)}
    out = model.translate_batch(mels)
    assert float(model.generator_losses(mels, out)["contrast_a"].detach()) == pytest.approx(0.5)


def test_features_are_those_of_the_translation():
    """Of the layers that the paper names, in the order of the network."""
    torch.manual_seed(0)
    generator = ResnetGenerator(n_filters=4, n_blocks=6)
    outputs = {}
    places = {"down_1": generator.down[0], "down_2": generator.down[3]}
    places |= {f"block_{number}": generator.blocks[number - 1] for number in (1, 5)}
    for name, layer in places.items():
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out.clone()}))
    mel = torch.rand(2, 1, 32, 16) * 2 - 1
    with torch.no_grad():
        generator(mel)
        whole = dict(outputs)
        features = generator.features(mel)
    assert (
        list(features)
        == ["input", "down_1", "down_2", "block_1", "block_5"]
        == list(generator.feature_widths)
    )
    assert torch.equal(features["input"], mel)
    for name, expected in whole.items():
        assert torch.equal(features[name], expected)
        assert features[name].shape[1] == generator.feature_widths[name]
    assert list(ResnetGenerator(4, 1).feature_widths) == ["input", "down_1", "down_2", "block_1"]


def test_features_of_a_unet():
    generator = UNetGenerator(n_filters=4, n_levels=3)
    features = generator.features(torch.rand(1, 1, 32, 16))
    assert {name: x.shape[1] for name, x in features.items()} == generator.feature_widths
    assert [x.shape[2] for x in features.values()] == [32, 16, 8, 4]


def test_each_optimizer_changes_its_networks(tiny_model):
    """The generator, what projects its features, and the discriminator; no network of the other direction."""
    model = tiny_model("model=cut_small", "n_epochs=1", "n_epochs_decay=0", "model.contrast.n_patches=16")
    assert [name for name, _ in model.named_children()] == [
        "gen_ab", "disc_b", "whitening_a", "whitening_b", "adversarial", "pool_b", "terms", "inputs",
        "contrast",
    ]  # fmt: skip
    learnt = (model.gen_ab, model.contrast, model.disc_b)
    before = [state(network) for network in learnt]
    fit(model)
    for network, old in zip(learnt, before, strict=True):
        new = state(network)
        assert sum(not torch.equal(x, y) for x, y in zip(new, old, strict=True)) > len(new) / 2
    assert set(model.losses) == set(model.loss_terms) - {"restoration_b", "piece_ab"}
    assert all(loss.isfinite() for loss in model.losses.values())


def test_batches_that_are_not_finite_draw_places_too_and_change_no_weight(tiny_model):
    overrides = ("model=cut_small", "n_epochs=1", "n_epochs_decay=0", "model.contrast.n_patches=16")
    broken = fit(tiny_model(*overrides), n_batches=2, break_batch=1)
    whole = fit(tiny_model(*overrides), n_batches=1)
    assert int(broken.nonfinite_guard.skipped) == 1
    for mine, wanted in zip(state(broken), state(whole), strict=True):
        assert torch.equal(mine, wanted)
