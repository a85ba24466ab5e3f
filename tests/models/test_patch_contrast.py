import math

import pytest
import torch
from torch import nn

from cyclegan_audio.models.patch_contrast import PatchContrast, patch_nce


def test_cross_entropy_by_hand():
    key = torch.eye(2)[None]  # two patches, at right angles
    # own cosine 1, other 0: -log(e^2 / (e^2 + 1)) at temperature 1/2
    assert float(patch_nce(key, key, 0.5)) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(patch_nce(key.flip(1), key, 0.5)) == pytest.approx(math.log(1 + math.exp(2)))
    assert float(patch_nce(torch.ones(1, 2, 2) / math.sqrt(2), key, 0.5)) == pytest.approx(math.log(2))


def test_other_clips_of_the_batch_are_no_rivals():
    key = torch.eye(2)[None]
    both = torch.cat([key, key])
    assert float(patch_nce(both, both, 0.5)) == pytest.approx(float(patch_nce(key, key, 0.5)))


def contrast(n_patches: int = 6) -> PatchContrast:
    torch.manual_seed(0)
    made = PatchContrast({"one": 3, "two": 5}, 4, n_patches, 0.07)
    for head in made.heads.values():  # as after some training: first weights of 0.02 project on one point
        for layer in head:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight)
    return made


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
    made = contrast()
    made(source, translated).backward()
    assert all(value.grad is not None for value in translated.values())
    assert all(value.grad is None for value in source.values())
    assert all(p.grad is not None for p in made.heads.parameters())
