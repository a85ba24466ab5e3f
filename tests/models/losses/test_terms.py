"""Terms of the generators' loss and their weighted sum."""

import pytest
import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.losses.terms import check_weights, reconstruction_loss, weighted_sum
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
    weights = {"adversarial": 1, "cycle": 10, "identity": 0}
    assert check_weights(weights, tuple(CycleGAN.term_types)) == weights


@pytest.mark.parametrize("weights", [{"cycle": 1.0}, {"adversarial": 1.0, "cycle": -1.0, "identity": 0.0}])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(UserError, match="loss_weights"):
        check_weights(weights, tuple(CycleGAN.term_types))
