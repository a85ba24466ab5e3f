"""Options of the step against values worked out by hand."""

import pytest
import torch
from torch import nn

from cyclegan_audio.models.losses.adversarial import AdversarialLoss, linear_decay
from cyclegan_audio.models.losses.gan import LSGANLoss, WGANGPLoss
from cyclegan_audio.utils.errors import UserError


class Sum(nn.Module):
    """One score a sample: the mean of the mel, whose gradient has squared norm 1 / (number of points)."""

    def forward(self, x):
        return x.flatten(1).mean(1, keepdim=True)


def apart(network, *inputs):
    return [network(x) for x in inputs]


REAL, FAKE = torch.full((2, 1, 2, 2), 0.5), torch.full((2, 1, 2, 2), -0.5)


def test_r1_adds_to_the_discriminator_alone():
    judging = AdversarialLoss(LSGANLoss(), r1_weight=8.0)
    # 0.5 * ((0.5 - 1)^2 + 0.25) + 8 * half of 4 * (1/4)^2
    assert float(judging.discriminator(Sum(), REAL, FAKE, apart)) == pytest.approx(0.25 + 8 * 0.125)
    assert float(judging.generator(Sum(), FAKE)) == pytest.approx(1.5**2)
    assert judging.state_dict() == {}


def test_gradient_penalty_is_added():
    judging = AdversarialLoss(WGANGPLoss(10.0))
    # -0.5 - 0.5, and the norm of the gradient is 1/2
    loss = judging.discriminator(Sum(), REAL, FAKE, apart)
    assert float(loss) == pytest.approx(-1 + 10 * 0.5**2)


def test_noise_falls_to_nothing_over_the_run():
    class Spy(nn.Module):
        def forward(self, x):
            self.seen = x
            return x.mean()

    disc, mel = Spy(), torch.zeros(1, 1, 100, 100)
    judging = AdversarialLoss(LSGANLoss(), instance_noise=0.4)
    for progress, spread in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        judging.progress = progress
        judging.generator(disc, mel)
        assert float(disc.seen.std()) == pytest.approx(spread, rel=0.05)
    assert judging.draws_numbers
    assert not AdversarialLoss(LSGANLoss(), r1_weight=1.0).draws_numbers


def test_noise_differs_by_seed_and_by_call_and_both_mels_get_it():
    judged = []

    def watched(network, *inputs):
        judged.extend(inputs)
        return [network(x) for x in inputs]

    for judging in (
        AdversarialLoss(LSGANLoss(), instance_noise=0.4),
        AdversarialLoss(LSGANLoss(), instance_noise=0.4, seed=1),
    ):
        judging.discriminator(Sum(), REAL, FAKE, watched)
    noise = [mel - plain for mel, plain in zip(judged, (REAL, FAKE, REAL, FAKE), strict=True)]
    assert all(float(one.abs().max()) > 0.1 for one in noise)
    assert not torch.allclose(noise[0], noise[1])
    assert not torch.allclose(noise[0], noise[2])
    again = AdversarialLoss(LSGANLoss(), instance_noise=0.4, seed=0)
    again.discriminator(Sum(), REAL, FAKE, watched)
    assert torch.equal(judged[4], judged[0])


def test_without_options_the_mels_go_in_as_they_are():
    judging = AdversarialLoss(LSGANLoss())
    assert not judging.draws_numbers
    assert float(judging.discriminator(Sum(), REAL, FAKE, apart)) == pytest.approx(0.25)
    assert judging.progress == 0


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


def test_averaged_generators_translate_and_are_what_a_checkpoint_gives(tiny_model):
    model = tiny_model("model.ema_decay=0.5")
    mel = torch.rand(1, 1, 16, 16)
    before = model(mel)
    with torch.no_grad():
        for parameter in model.gen_ab.parameters():
            parameter.add_(0.01)
    assert torch.equal(model(mel), before)  # the average has not seen the step
    model.average.update(model.generators())
    assert torch.equal(model(mel), model.gen_ab(mel))  # the first step begins it
    assert not torch.equal(model(mel), before)
    assert "average.networks.gen_ab.module.head.1.weight" in model.state_dict()
    learnt = {
        id(p)
        for optimizer in model.configure_optimizers()
        for g in optimizer.param_groups
        for p in g["params"]
    }
    assert not learnt & {id(p) for p in model.average.parameters()}
