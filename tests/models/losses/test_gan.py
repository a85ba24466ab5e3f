"""Adversarial losses and penalties against values worked out by hand."""

import math

import pytest
import torch
from torch import nn

from cyclegan_audio.models.losses.gan import HingeGANLoss, LSGANLoss, VanillaGANLoss, WGANGPLoss, r1_penalty
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.rng import SeededRNG

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.5])


def nll(logit: float) -> float:
    return math.log(1 + math.exp(-logit))


BY_HAND = {
    LSGANLoss: ((9 + 0.25) / 2, 0.5 * ((1 + 1) / 2 + (4 + 0.25) / 2)),
    VanillaGANLoss: (
        (nll(-2) + nll(0.5)) / 2,
        0.5 * ((nll(2) + nll(0)) / 2 + (nll(2) + nll(-0.5)) / 2),
    ),
    HingeGANLoss: ((2 - 0.5) / 2, 0.5 * ((0 + 1) / 2 + (0 + 1.5) / 2)),
    lambda: WGANGPLoss(10.0): ((2 - 0.5) / 2, (-2 + 0.5) / 2 - 2 / 2),
}


@pytest.mark.parametrize(("make", "expected"), BY_HAND.items(), ids=["lsgan", "vanilla", "hinge", "wgan"])
def test_scores_by_hand(make, expected):
    loss = make()
    assert float(loss.generator(FAKE)) == pytest.approx(expected[0])
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(expected[1])
    assert loss.generator(FAKE.bfloat16()).dtype == torch.float32


class Quadratic(nn.Module):
    """One score a sample: slope · sum x + curve / 2 · sum x^2, so the gradient is slope + curve · x."""

    def __init__(self, slope: float, curve: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.curve = curve

    def forward(self, x):
        return (self.slope * x + self.curve / 2 * x.square()).flatten(1).sum(1, keepdim=True)


def test_r1_by_hand():
    disc = Quadratic(0.5, 2.0)
    real = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    # gradients: (2.5, 0.5) and (0.5, 0.5); squared norms 6.5 and 0.5
    penalty = r1_penalty(disc, real)
    assert float(penalty.detach()) == pytest.approx(0.5 * (6.5 + 0.5) / 2)
    penalty.backward()  # d/d slope of half the mean of (slope + 2 x)^2 summed: mean of 2 slope + 2 sum x
    assert float(disc.slope.grad) == pytest.approx((2 * 0.5 + 2 * 1 + 2 * 0.5) / 2)


class Map(nn.Module):
    """A score for each point: 4 x, so that the mean score of four points has the gradient 1 at each."""

    def forward(self, x):
        return 4 * x


def test_the_mean_score_of_a_map_counts():
    real = torch.randn(3, 1, 2, 2)
    assert float(r1_penalty(Map(), real)) == pytest.approx(0.5 * 4)
    penalty = WGANGPLoss(10.0).penalty(Map(), real, -real, SeededRNG(0))
    assert float(penalty.detach()) == pytest.approx(10 * (2 - 1) ** 2)
    assert float(r1_penalty(Map(), real.bfloat16())) == pytest.approx(2)


def test_scores_alone_have_no_penalty():
    for loss in (LSGANLoss(), VanillaGANLoss(), HingeGANLoss()):
        assert float(loss.penalty(Map(), REAL, FAKE, SeededRNG(0))) == 0
    assert float(WGANGPLoss(0).penalty(Map(), torch.ones(1, 1, 2, 2), FAKE[:1], SeededRNG(0)).detach()) == 0


def test_gradient_penalty_by_hand():
    four = torch.ones(3, 1, 2, 2)
    # a linear score has the same gradient everywhere: norm of (0.75, 0.75, 0.75, 0.75) is 1.5
    penalty = WGANGPLoss(10.0).penalty(Quadratic(0.75, 0.0), four, -four, SeededRNG(0))
    assert float(penalty.detach()) == pytest.approx(10 * 0.5**2)


def test_gradient_penalty_looks_between_real_and_fake():
    class Spy(Quadratic):
        def forward(self, x):
            self.seen = x.detach()
            return super().forward(x)

    disc = Spy(1.0, 0.0)
    real, fake = torch.full((64, 1, 1, 2), 3.0), torch.full((64, 1, 1, 2), 1.0)
    WGANGPLoss(10.0).penalty(disc, real, fake, SeededRNG(0))
    assert disc.seen.shape == real.shape
    share = (disc.seen - 1) / 2
    assert torch.equal(share[..., 0], share[..., 1])  # one place a sample
    assert 0 <= float(share.min()) < 0.1
    assert 0.9 < float(share.max()) < 1


def test_only_wasserstein_has_a_penalty_and_its_weight_is_checked():
    losses = (LSGANLoss(), VanillaGANLoss(), HingeGANLoss(), WGANGPLoss(1.0))
    assert [loss.draws_numbers for loss in losses] == [False, False, False, True]
    with pytest.raises(UserError, match=r"adversarial\.loss\.weight"):
        WGANGPLoss(-1.0)


def test_draws_go_on_where_they_were_saved():
    first, second = SeededRNG(1), SeededRNG(2)
    first.uniform((3,))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.uniform((5,)), second.uniform((5,)))
    assert torch.equal(first.normal_like(torch.zeros(2, 2)), second.normal_like(torch.zeros(2, 2)))
    places = first.sample_indices(4, 9)
    assert torch.equal(places, second.sample_indices(4, 9))
    assert len(set(places.tolist())) == 4
    assert sorted(first.sample_indices(9, 4).tolist()) == [0, 1, 2, 3]
