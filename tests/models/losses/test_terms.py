"""Terms of the generators' loss and their weighted sum."""

from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.losses.terms import (
    AdversarialTerm,
    CycleTerm,
    IdentityTerm,
    Loss,
    LossTerm,
    check_weights,
    list_losses,
    reconstruction_loss,
    weighted_sum,
)
from cyclegan_audio.utils.errors import UserError


def test_reconstruction_by_hand():
    assert float(reconstruction_loss(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 1.0]))) == pytest.approx(
        1.25
    )


def test_weights_apply_once_to_each_term():
    losses = {"adversarial_ab": 1.0, "adversarial_ba": 2.0, "cycle_a": 0.5, "identity_b": 0.25}
    total = weighted_sum(
        {name: torch.tensor(value) for name, value in losses.items()},
        {"adversarial": 1, "cycle": 10, "identity": 4},
        {
            "adversarial_ab": "adversarial",
            "adversarial_ba": "adversarial",
            "cycle_a": "cycle",
            "identity_b": "identity",
        },
    )
    assert float(total) == pytest.approx(1 + 2 + 5 + 1)


def test_a_weight_of_0_leaves_a_term_out():
    weights = {"adversarial": 1, "cycle": 10, "identity": 0, "restoration": 0, "piece": 0}
    assert check_weights(weights, tuple(CycleGAN.term_types)) == weights
    older = {"adversarial": 1, "cycle": 10, "identity": 0}  # of a run from before the other terms
    assert check_weights(older, tuple(CycleGAN.term_types)) == weights


@pytest.mark.parametrize(
    "weights",
    [{"cycle": 1.0}, *({"adversarial": 1.0, "cycle": wrong, "identity": 0.0} for wrong in (-1.0, None))],
)
def test_wrong_weights_are_refused(weights):
    with pytest.raises(UserError, match="loss_weights"):
        check_weights(weights, tuple(CycleGAN.term_types))


@pytest.mark.parametrize(("direction", "expected"), [("ab", (3.0, 20.0)), ("ba", (7.0, 60.0))])
def test_cycle_compares_the_source_and_identity_the_target(direction, expected):
    levels = {"real_a": 1, "rec_a": 4, "idt_a": 61, "real_b": 2, "rec_b": 9, "idt_b": 22}
    mels = {name: torch.full((1, 1, 2, 3), float(level)) for name, level in levels.items()}
    actual = tuple(float(term()(None, mels, direction)) for term in (CycleTerm, IdentityTerm))
    assert actual == expected


@pytest.mark.parametrize(("direction", "expected"), [("ab", 30 * 5), ("ba", 20 * 7)])
def test_the_discriminator_of_the_target_judges_the_translation(direction, expected):
    model = SimpleNamespace(
        discriminators=lambda: {"a": 20, "b": 30},
        adversarial=SimpleNamespace(generator_loss=lambda discriminator, fake: discriminator * fake),
    )
    mels = {"fake_a": torch.tensor(7.0), "fake_b": torch.tensor(5.0)}
    assert float(AdversarialTerm()(model, mels, direction)) == expected


def test_the_weight_of_a_term_is_1_by_default_and_at_least_0():
    assert LossTerm().weight == 1
    assert LossTerm(0).weight == 0
    with pytest.raises(UserError, match="the weight of CycleTerm"):
        CycleTerm(-0.1)


def test_losses_are_listed_by_their_direction_source_or_target():
    terms = {"adversarial": "direction", "cycle": "source", "identity": "target"}
    assert list_losses(terms, ["ab", "ba"]) == [
        Loss("adversarial_ab", "adversarial", "ab"),
        Loss("adversarial_ba", "adversarial", "ba"),
        Loss("cycle_a", "cycle", "ab"),
        Loss("cycle_b", "cycle", "ba"),
        Loss("identity_a", "identity", "ba"),
        Loss("identity_b", "identity", "ab"),
    ]
    assert list_losses({"contrast": "source"}, ["ab"]) == [Loss("contrast_a", "contrast", "ab")]
