import pytest
import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.reconstruction import check_weights, reconstruction_loss, weighted_sum
from cyclegan_audio.models.lr_schedules import Constant, CosineDecay, LinearDecay
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


def test_pool_fills_then_exchanges_half():
    pool = ImagePool(size=4, seed=0)
    first = [torch.full((1, 1, 2, 2), float(i)) for i in range(4)]
    assert all(torch.equal(pool(fake), fake) for fake in first)
    exchanged = 0
    for i in range(4, 404):
        fake = torch.full((1, 1, 2, 2), float(i))
        out = pool(fake)
        assert float(out[0, 0, 0, 0]) <= i
        exchanged += not torch.equal(out, fake)
    assert 160 < exchanged < 240  # half of 400, four standard deviations
    assert pool.n_stored == 4


def test_what_is_not_finite_is_kept_as_0():
    broken = torch.tensor([1.0, torch.nan, torch.inf, -torch.inf]).view(1, 1, 2, 2)
    for size in (0, 1):
        assert ImagePool(size)(broken).flatten().tolist() == [1, 0, 0, 0]


def test_fakes_of_another_shape_begin_the_pool_anew():
    pool = ImagePool(size=2)
    pool(torch.zeros(2, 1, 2, 2))
    assert pool.n_stored == 2
    wide = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, 2, 3)
    assert torch.equal(pool(wide), wide)
    assert pool.n_stored == 2
    assert pool.stored.shape == (2, 1, 2, 3)


def test_the_usual_pool_keeps_fifty_by_the_draws_of_seed_0():
    fakes = torch.arange(120.0).view(120, 1, 1, 1)
    usual, other = ImagePool()(fakes), ImagePool(50, seed=1)(fakes)
    assert torch.equal(usual, ImagePool(50, seed=0)(fakes))
    assert torch.equal(usual[:50], fakes[:50])
    assert not torch.equal(usual[50:], fakes[50:])
    assert not torch.equal(usual, other)


def test_a_pool_restored_into_another_size_keeps_what_fits():
    pool = ImagePool(size=3)
    pool(torch.arange(3.0).view(3, 1, 1, 1))
    smaller, larger, none = ImagePool(2), ImagePool(5), ImagePool(0)
    for other, count in ((smaller, 2), (larger, 3), (none, 0)):
        other.load_state_dict(pool.state_dict())
        assert other.n_stored == count
    assert larger.stored.flatten().tolist() == [0, 1, 2, 0, 0]
    assert smaller.stored.flatten().tolist() == [0, 1]
    assert none.stored is None


def test_pool_of_zero_passes_and_gradients_stop():
    fake = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert torch.equal(ImagePool(0)(fake), fake)
    assert not ImagePool(0)(fake).requires_grad
    assert not ImagePool(3)(fake).requires_grad


def test_restored_pool_goes_on_exactly():
    fakes = [torch.full((2, 1, 2, 2), float(i)) for i in range(30)]
    pool = ImagePool(size=5, seed=3)
    for fake in fakes[:15]:
        pool(fake)
    twin = ImagePool(size=5, seed=99)
    twin.load_state_dict(pool.state_dict())
    assert all(torch.equal(pool(fake), twin(fake)) for fake in fakes[15:])


def test_schedule_to_the_last_epoch():
    schedule = LinearDecay(n_epochs=3, n_epochs_decay=4)
    factors = [schedule.factor(epoch) for epoch in range(schedule.total_epochs)]
    assert factors == pytest.approx([1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_schedule_by_the_clock():
    schedule = LinearDecay(n_epochs=50, n_epochs_decay=50, max_minutes=10)
    assert schedule.factor(0, 0) == 1
    assert schedule.factor(0, 300) == pytest.approx(1)
    assert schedule.factor(0, 450) == pytest.approx(0.5)
    assert schedule.factor(0, 600) == 0
    assert schedule.factor(98, 0) == pytest.approx(2 / 51)  # the epochs bind where they come first
    assert schedule.is_over(600)
    assert not schedule.is_over(599)


def test_cosine_and_constant_by_hand():
    factors = [CosineDecay(1, 3).factor(epoch) for epoch in range(4)]
    # three quarters of a half turn: cos 45 degrees, 90, 135
    assert factors == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    assert CosineDecay(50, 50, max_minutes=10).factor(0, 450) == pytest.approx(0.5)
    assert [Constant(1, 3).factor(epoch) for epoch in range(4)] == [1, 1, 1, 1]
    assert Constant(50, 50, max_minutes=10).factor(0, 590) == 1


def test_progress_by_epochs_or_by_the_clock():
    assert LinearDecay(4, 4).progress(2.0, 1e9) == 0.25
    assert LinearDecay(4, 4, max_minutes=10).progress(2.0, 300) == 0.5
    assert LinearDecay(4, 4, max_minutes=10).progress(9.0, 0) == 1
    assert LinearDecay(4, 4, max_minutes=10).progress(0.0) == 0
    assert LinearDecay(0, 4, max_minutes=1e-4).factor(0) == 0.8  # no time has passed by default


def test_the_clock_alone_does_not_decay_a_run_without_decay():
    steady = LinearDecay(n_epochs=4, n_epochs_decay=0, max_minutes=10)
    assert [steady.factor(epoch, 590) for epoch in range(4)] == [1, 1, 1, 1]
    assert LinearDecay(1, 0).total_epochs == LinearDecay(0, 1).total_epochs == 1
    assert LinearDecay(0, 1).factor(0) == 0.5
    assert LinearDecay(30, 10, max_minutes=10).factor(0, 525) == pytest.approx(0.5)  # a quarter of the time
    assert LinearDecay(30, 10, max_minutes=10).factor(0, 700) == 0
    assert LinearDecay(3, 4).factor(0) == LinearDecay(3, 4).factor(2) == 1
    assert not LinearDecay(3, 4).is_over(1e9)


@pytest.mark.parametrize("numbers", [(0, 0, None), (-1, 5, None), (5, -1, None), (5, 5, 0), (5, 5, -1)])
def test_schedule_refuses_nonsense(numbers):
    with pytest.raises(UserError):
        LinearDecay(*numbers)
