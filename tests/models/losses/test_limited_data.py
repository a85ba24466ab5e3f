"""Augmentation of what discriminators hear, consistency of their scores, and LeCam's regulariser, by hand."""

import pytest
import torch
from torch import nn

from cyclegan_audio.audio.mel import CLIP_RANGE_DB
from cyclegan_audio.models.losses.adversarial import AdversarialLoss, LSGANLoss
from cyclegan_audio.models.losses.limited_data import SILENCE, DiscriminatorAugmentation, LeCam
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.rng import SeededRNG

NOTHING = {"gain_db": 0.0, "shift": 0.0, "cutout_frames": 0.0, "cutout_bands": 0.0}


class Draws(SeededRNG):
    """Random numbers that are given: of each kind one for all clips."""

    def __init__(self, *numbers):
        super().__init__(0)
        self.numbers = torch.tensor(numbers)

    def uniform(self, shape):
        return self.numbers[: shape[0]].view(-1, *[1] * (len(shape) - 1)).expand(*shape)


def augmentation(**options):
    return DiscriminatorAugmentation(probability=1.0, **{**NOTHING, **options})


def test_the_gain_is_in_db(any_mel):
    changed = augmentation(gain_db=4.0)
    AdversarialLoss(LSGANLoss(), augmentation=changed).prepare(any_mel, None)
    mels = torch.zeros(1, 1, 4, 6)
    louder = changed.change(mels, Draws(1.0, 0.5, 0, 0, 0, 0))
    assert torch.allclose(louder, torch.full_like(mels, 4.0 / any_mel.unit_db))
    assert DiscriminatorAugmentation().unit_db == CLIP_RANGE_DB / 2


@pytest.mark.parametrize(
    ("position", "expected"),
    [(1.0, [SILENCE, SILENCE, 0.0, 0.1, 0.2, 0.3]), (0.0, [0.2, 0.3, 0.4, 0.5, SILENCE, SILENCE])],
)
def test_time_is_shifted_and_silence_fills_the_gap(position, expected):
    mels = torch.arange(6).div(10).expand(1, 1, 3, 6)
    shifted = augmentation(shift=1 / 3).change(mels, Draws(0.5, position, 0, 0, 0, 0))
    assert torch.allclose(shifted, torch.tensor(expected).expand(1, 1, 3, 6))


def test_cut_outs_silence_a_stretch_of_bands_and_one_of_frames():
    mels = torch.zeros(1, 1, 8, 10)
    cut = augmentation(cutout_bands=0.5, cutout_frames=0.4).change(mels, Draws(0.5, 0.5, 0.5, 1.0, 1.0, 0.5))
    silent = cut[0, 0] == SILENCE
    rows, columns = silent.all(1), silent.all(0)
    assert rows.nonzero().flatten().tolist() == [6, 7]  # half of half of the bands, at the end
    assert columns.nonzero().flatten().tolist() == [3, 4, 5, 6]  # 0.4 of the frames, in the middle
    assert int(silent.sum()) == 2 * 10 + 4 * 8 - 2 * 4


def test_each_clip_is_changed_on_its_own_and_gradients_pass():
    mels = torch.rand(200, 1, 8, 16).requires_grad_()
    changed = DiscriminatorAugmentation(probability=0.5).apply(mels, SeededRNG(0))
    same = (changed == mels).flatten(1).all(1)
    assert 70 < int(same.sum()) < 130
    assert len({clip.sum().item() for clip in changed[~same]}) == int((~same).sum())
    changed.sum().backward()
    audible = changed != SILENCE
    assert mels.grad.sum().item() == pytest.approx(float(audible.sum()))  # every kept point counts once


def test_without_probability_nothing_is_drawn():
    rng, mels = SeededRNG(0), torch.zeros(2, 1, 4, 4)
    before = rng.get_extra_state()
    assert DiscriminatorAugmentation().apply(mels, rng) is mels
    assert torch.equal(rng.get_extra_state(), before)


def test_lecam_pulls_scores_to_the_averages_of_the_opposite_kind():
    lecam = LeCam(decay=0.75)
    # averages 0.8 of reals, 0.2 of translations
    assert float(lecam("b", torch.tensor([0.7, 0.9]), torch.tensor([0.2]))) == pytest.approx(
        (0.5**2 + 0.7**2) / 2 + 0.6**2
    )
    # 0.75 * 0.8 + 0.25 * 0.4 = 0.7; 0.75 * 0.2 + 0.25 * 0.6 = 0.3
    assert float(lecam("b", torch.tensor([0.4]), torch.tensor([0.6]))) == pytest.approx(0.1**2 + 0.1**2)
    assert lecam.averages[1].tolist() == pytest.approx([0.7, 0.3])
    assert lecam.averages[0].isnan().all()


def test_lecam_keeps_its_averages_and_ignores_what_is_not_finite():
    lecam, again = LeCam(), LeCam()
    lecam("a", torch.tensor([1.0]), torch.tensor([0.0]))
    lecam("a", torch.tensor([torch.inf]), torch.tensor([0.0]))
    again.load_state_dict(lecam.state_dict())
    assert again.averages[0].tolist() == [1.0, 0.0]


def test_averages_have_no_gradient():
    scores = torch.tensor([0.5], requires_grad=True)
    LeCam()("a", scores, torch.tensor([0.1])).backward()
    assert scores.grad.item() == pytest.approx(2 * (0.5 - 0.1))  # not 2 * (0.5 - 0.1) - 2 * (0.1 - 0.5)


class Mean(nn.Module):
    def forward(self, x):
        return x.flatten(1).mean(1, keepdim=True)


def forwards(network, *inputs):
    return [network(x) for x in inputs]


def discriminator_loss(**options):
    loss = AdversarialLoss(LSGANLoss(), **options)
    return loss, float(
        loss.discriminator_loss("a", Mean(), torch.full((4, 1, 8, 8), 1.0), torch.zeros(4, 1, 8, 8), forwards)
    )


def test_consistency_compares_a_real_with_itself_augmented():
    half = augmentation(cutout_frames=0.5)
    half.probability = 0.0
    loss = AdversarialLoss(LSGANLoss(), augmentation=half, consistency_weight=3.0)
    loss.rng = Draws(0.5, 0.5, 0, 1.0, 0, 0)
    value = loss.discriminator_loss("a", Mean(), torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), forwards)
    assert float(value) == pytest.approx(3.0)  # mean 1 against 0; the plain loss is 0
    assert loss.is_random


def test_lecam_is_a_part_of_the_loss():
    assert discriminator_loss()[1] == 0
    loss, value = discriminator_loss(lecam_weight=0.3)
    assert value == pytest.approx(0.3 * 2)
    assert not loss.is_random
    assert list(loss.state_dict()) == ["lecam._extra_state"]


def test_augmentation_is_heard_in_both_steps():
    louder = DiscriminatorAugmentation(1.0, **{**NOTHING, "gain_db": 6.0})
    loss = AdversarialLoss(LSGANLoss(), augmentation=louder)
    heard = []

    class Spy(Mean):
        def forward(self, x):
            heard.append(x)
            return super().forward(x)

    mels = torch.zeros(2, 1, 4, 4)
    loss.discriminator_loss("a", Spy(), mels, mels, forwards)
    loss.generator_loss(Spy(), mels)
    assert len(heard) == 3
    assert len({x.mean().item() for clips in heard for x in clips}) == 6


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"probability": 1.5}, "augmentation.probability"),
        ({"gain_db": -1.0}, "augmentation.gain_db"),
        ({"shift": 0.6}, "augmentation.shift"),
        ({"cutout_frames": -0.1}, "augmentation.cutout_frames"),
        ({"cutout_bands": float("nan")}, "augmentation.cutout_bands"),
    ],
)
def test_wrong_amounts(options, name):
    with pytest.raises(UserError, match=name):
        DiscriminatorAugmentation(**options)


def test_wrong_weights():
    with pytest.raises(UserError, match="lecam_weight"):
        AdversarialLoss(LSGANLoss(), lecam_weight=-1.0)
    with pytest.raises(UserError, match=r"consistency_weight needs model\.adversarial\.augmentation"):
        AdversarialLoss(LSGANLoss(), consistency_weight=1.0)
