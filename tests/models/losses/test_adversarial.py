"""Adversarial losses, penalties and noise against values worked out by hand."""

import math

import pytest
import torch
from torch import nn

from cyclegan_audio.models.losses.adversarial import (
    AdversarialLoss,
    HingeGANLoss,
    LSGANLoss,
    VanillaGANLoss,
    WGANGPLoss,
    linear_decay,
    r1_penalty,
)
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.rng import SeededRNG

REAL_SCORES, FAKE_SCORES = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.5])


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
    assert float(loss.generator_loss(FAKE_SCORES)) == pytest.approx(expected[0])
    assert float(loss.discriminator_loss(REAL_SCORES, FAKE_SCORES)) == pytest.approx(expected[1])
    assert loss.generator_loss(FAKE_SCORES.bfloat16()).dtype == torch.float32


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
        assert float(loss.penalty(Map(), REAL_SCORES, FAKE_SCORES, SeededRNG(0))) == 0
    assert (
        float(WGANGPLoss(0).penalty(Map(), torch.ones(1, 1, 2, 2), FAKE_SCORES[:1], SeededRNG(0)).detach())
        == 0
    )


def test_gradient_penalty_by_hand():
    four = torch.ones(3, 1, 2, 2)
    # a linear score has the same gradient everywhere: norm of (0.75, 0.75, 0.75, 0.75) is 1.5
    penalty = WGANGPLoss(10.0).penalty(Quadratic(0.75, 0.0), four, -four, SeededRNG(0))
    assert float(penalty.detach()) == pytest.approx(10 * 0.5**2)


def test_gradient_penalty_looks_between_real_and_fake():
    class Spy(Quadratic):
        def forward(self, x):
            self.input = x.detach()
            return super().forward(x)

    disc = Spy(1.0, 0.0)
    real, fake = torch.full((64, 1, 1, 2), 3.0), torch.full((64, 1, 1, 2), 1.0)
    WGANGPLoss(10.0).penalty(disc, real, fake, SeededRNG(0))
    assert disc.input.shape == real.shape
    share = (disc.input - 1) / 2
    assert torch.equal(share[..., 0], share[..., 1])  # one place a sample
    assert 0 <= float(share.min()) < 0.1
    assert 0.9 < float(share.max()) < 1


def test_only_wasserstein_has_a_penalty_and_its_weight_is_checked():
    losses = (LSGANLoss(), VanillaGANLoss(), HingeGANLoss(), WGANGPLoss(1.0))
    assert [loss.is_random for loss in losses] == [False, False, False, True]
    with pytest.raises(UserError, match=r"adversarial\.loss\.weight"):
        WGANGPLoss(-1.0)


class Sum(nn.Module):
    """One score a sample: the mean of the mel, whose gradient has squared norm 1 / (number of points)."""

    def forward(self, x):
        return x.flatten(1).mean(1, keepdim=True)


def separate_forwards(network, *inputs):
    return [network(x) for x in inputs]


REAL, FAKE = torch.full((2, 1, 2, 2), 0.5), torch.full((2, 1, 2, 2), -0.5)


def test_r1_adds_to_the_discriminator_alone():
    loss = AdversarialLoss(LSGANLoss(), r1_weight=8.0)
    # 0.5 * ((0.5 - 1)^2 + 0.25) + 8 * half of 4 * (1/4)^2
    assert float(loss.discriminator_loss("a", Sum(), REAL, FAKE, separate_forwards)) == pytest.approx(
        0.25 + 8 * 0.125
    )
    assert float(loss.generator_loss(Sum(), FAKE)) == pytest.approx(1.5**2)
    assert loss.state_dict() == {}


def test_gradient_penalty_is_added():
    loss = AdversarialLoss(WGANGPLoss(10.0))
    # -0.5 - 0.5, and the norm of the gradient is 1/2
    value = loss.discriminator_loss("a", Sum(), REAL, FAKE, separate_forwards)
    assert float(value) == pytest.approx(-1 + 10 * 0.5**2)


def test_noise_falls_to_nothing_over_the_run():
    class Spy(nn.Module):
        def forward(self, x):
            self.input = x
            return x.mean()

    disc, mel = Spy(), torch.zeros(1, 1, 100, 100)
    loss = AdversarialLoss(LSGANLoss(), instance_noise=0.4)
    for progress, spread in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        loss.progress = progress
        loss.generator_loss(disc, mel)
        assert float(disc.input.std()) == pytest.approx(spread, rel=0.05)
    assert loss.is_random
    assert not AdversarialLoss(LSGANLoss(), r1_weight=1.0).is_random


def test_noise_differs_by_seed_and_by_call_and_both_mels_get_it():
    recorded = []

    def recording_forwards(network, *inputs):
        recorded.extend(inputs)
        return [network(x) for x in inputs]

    for loss in (
        AdversarialLoss(LSGANLoss(), instance_noise=0.4),
        AdversarialLoss(LSGANLoss(), instance_noise=0.4, seed=1),
    ):
        loss.discriminator_loss("a", Sum(), REAL, FAKE, recording_forwards)
    noise = [mel - plain for mel, plain in zip(recorded, (REAL, FAKE, REAL, FAKE), strict=True)]
    assert all(float(one.abs().max()) > 0.1 for one in noise)
    assert not torch.allclose(noise[0], noise[1])
    assert not torch.allclose(noise[0], noise[2])
    same_seed = AdversarialLoss(LSGANLoss(), instance_noise=0.4, seed=0)
    same_seed.discriminator_loss("a", Sum(), REAL, FAKE, recording_forwards)
    assert torch.equal(recorded[4], recorded[0])


def test_without_options_the_mels_go_in_as_they_are():
    loss = AdversarialLoss(LSGANLoss())
    assert not loss.is_random
    assert float(loss.discriminator_loss("a", Sum(), REAL, FAKE, separate_forwards)) == pytest.approx(0.25)
    assert loss.progress == 0


def test_identity_weight_falls_in_hundredths():
    assert linear_decay(5.0, 0.01, 0.0) == linear_decay(5.0, 1, 0.0) == 5.0
    assert linear_decay(5.0, 1, 0.999) == pytest.approx(0.05)
    weights = [linear_decay(5.0, 0.5, progress) for progress in (0.0, 0.1, 0.1049, 0.25, 0.5, 0.9)]
    assert weights == pytest.approx([5.0, 4.0, 4.0, 2.5, 0.0, 0.0])
    assert linear_decay(5.0, None, 0.9) == 5.0


@pytest.mark.parametrize(
    "wrong",
    [{"r1_weight": -1.0}, {"instance_noise": -0.1}, {"instance_noise": float("nan")}],
    ids=lambda w: next(iter(w)),
)
def test_wrong_numbers(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        AdversarialLoss(LSGANLoss(), **wrong)


@pytest.mark.parametrize("until", [0, 1.5])
def test_wrong_end_of_the_identity_weight(until):
    with pytest.raises(UserError, match="identity_decay_end"):
        linear_decay(5.0, until, 0.0)
