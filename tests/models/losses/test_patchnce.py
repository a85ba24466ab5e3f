"""PatchNCE by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cyclegan_audio.models.losses.patchnce import (
    ContrastTerm,
    IdentityContrastTerm,
    PatchNCELoss,
    patch_nce,
)
from cyclegan_audio.utils.errors import UserError


def test_cross_entropy_by_hand():
    key = torch.eye(2)[None]  # two patches, at right angles
    # cosine with its key 1, other 0: -log(e^2 / (e^2 + 1)) at temperature 1/2
    assert float(patch_nce(key, key, 0.5)) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(patch_nce(key.flip(1), key, 0.5)) == pytest.approx(math.log(1 + math.exp(2)))
    assert float(patch_nce(torch.ones(1, 2, 2) / math.sqrt(2), key, 0.5)) == pytest.approx(math.log(2))


def test_other_clips_of_the_batch_are_no_rivals():
    key = torch.eye(2)[None]
    both = torch.cat([key, key])
    assert float(patch_nce(both, both, 0.5)) == pytest.approx(float(patch_nce(key, key, 0.5)))


def contrast(n_patches: int = 6) -> PatchNCELoss:
    torch.manual_seed(0)
    loss = PatchNCELoss({"one": 3, "two": 5}, 4, n_patches, 0.07)
    for head in loss.heads.values():  # as after some training: initial weights of 0.02 project to one point
        for layer in head:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight)
    return loss


def test_places_in_the_source_are_recognised_and_shuffled_ones_are_not():
    features = {"one": torch.randn(2, 3, 4, 4), "two": torch.randn(2, 5, 2, 3)}
    shuffled = {name: value.flatten(2).roll(1, 2).view_as(value) for name, value in features.items()}
    same, moved = contrast()(features, features), contrast()(features, shuffled)
    assert float(same.detach()) < math.log(6) < float(moved.detach())


def test_gradients_reach_the_translation_and_the_heads_but_not_the_source():
    source = {"one": torch.randn(1, 3, 4, 4), "two": torch.randn(1, 5, 2, 3)}
    translated = {name: value + 0.1 * torch.randn_like(value) for name, value in source.items()}
    for value in (*source.values(), *translated.values()):
        value.requires_grad_()
    loss = contrast()
    loss(source, translated).backward()
    assert all(value.grad is not None for value in translated.values())
    assert all(value.grad is None for value in source.values())
    assert all(p.grad is not None for p in loss.heads.parameters())


def test_heads_begin_as_in_the_paper_and_end_at_the_features():
    contrast_loss = PatchNCELoss({"one": 64, "two": 128}, 256, 16, 0.07)
    for name, width in (("one", 64), ("two", 128)):
        first, _, second = contrast_loss.heads[name]
        assert (first.weight.shape, second.weight.shape) == ((256, width), (256, 256))
        for layer in (first, second):
            assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
            assert float(layer.weight.detach().mean()) == pytest.approx(0, abs=0.001)
            assert not layer.bias.any()


def test_the_loss_by_hand_at_all_places():
    """One layer with heads that do nothing: patches at right angles, of which two change places."""
    contrast_loss = PatchNCELoss({"one": 4}, 4, 4, 0.5)
    for layer in contrast_loss.heads["one"]:
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
    source = 3 * torch.eye(4).view(1, 4, 2, 2)  # of unit length once projected
    swapped = source.flatten(2)[:, :, [1, 0, 2, 3]].view_as(source)
    one_place = math.log(math.exp(2) + 3)
    assert float(contrast_loss({"one": source}, {"one": source}).detach()) == pytest.approx(one_place - 2)
    expected = (2 * one_place + 2 * (one_place - 2)) / 4
    assert float(contrast_loss({"one": source}, {"one": swapped}).detach()) == pytest.approx(expected)


def test_places_are_drawn_without_repeats_as_the_seed_says():
    features = {"one": torch.randn(1, 3, 8, 8), "two": torch.randn(1, 5, 8, 8)}
    moved = {name: value + torch.randn_like(value) for name, value in features.items()}

    def loss(seed: int) -> float:
        torch.manual_seed(0)
        return float(PatchNCELoss({"one": 3, "two": 5}, 4, 6, 0.07, seed)(features, moved).detach())

    torch.manual_seed(0)
    usual = PatchNCELoss({"one": 3, "two": 5}, 4, 6, 0.07)(features, moved)
    assert float(usual.detach()) == loss(0) != loss(1)


@pytest.mark.parametrize("wrong", [{"n_features": 0}, {"n_patches": 1}, {"temperature": 0.0}])
def test_wrong_numbers(wrong):
    usual = {"n_features": 1, "n_patches": 2, "temperature": 1e-6}
    PatchNCELoss({"one": 3}, **usual)
    with pytest.raises(UserError, match=next(iter(wrong))):
        PatchNCELoss({"one": 3}, **usual | wrong)


def test_terms_contrast_the_translation_with_its_source_and_the_target_with_itself():
    model = SimpleNamespace(
        gen_ab=SimpleNamespace(features=lambda mels: 10 * mels),
        contrast=lambda source, translated: 1000 * source + translated,
    )
    mels = {"real_a": 1, "fake_b": 2, "real_b": 3, "idt_b": 4}
    assert ContrastTerm()(model, mels, "ab") == 10_020
    assert IdentityContrastTerm()(model, mels, "ab") == 30_040
