"""Learning rate schedules against values worked out by hand."""

import pytest

from cyclegan_audio.models.lr_schedules import CosineDecay, LinearDecay, NoDecay
from cyclegan_audio.utils.errors import UserError


def test_schedule_to_the_last_epoch():
    schedule = LinearDecay(n_epochs=3, n_epochs_decay=4)
    factors = [schedule.lr_factor(epoch) for epoch in range(schedule.total_epochs)]
    assert factors == pytest.approx([1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_schedule_by_the_clock():
    schedule = LinearDecay(n_epochs=50, n_epochs_decay=50, max_minutes=10)
    assert schedule.lr_factor(0, 0) == 1
    assert schedule.lr_factor(0, 300) == pytest.approx(1)
    assert schedule.lr_factor(0, 450) == pytest.approx(0.5)
    assert schedule.lr_factor(0, 600) == 0
    assert schedule.lr_factor(98, 0) == pytest.approx(2 / 51)  # by epochs, which end first
    assert schedule.is_over(600)
    assert not schedule.is_over(599)


def test_cosine_and_constant_by_hand():
    factors = [CosineDecay(1, 3).lr_factor(epoch) for epoch in range(4)]
    # three quarters of a half turn: cos 45 degrees, 90, 135
    assert factors == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    assert CosineDecay(50, 50, max_minutes=10).lr_factor(0, 450) == pytest.approx(0.5)
    assert [NoDecay(1, 3).lr_factor(epoch) for epoch in range(4)] == [1, 1, 1, 1]
    assert NoDecay(50, 50, max_minutes=10).lr_factor(0, 590) == 1


def test_progress_by_epochs_or_by_the_clock():
    assert LinearDecay(4, 4).progress(2.0, 1e9) == 0.25
    assert LinearDecay(4, 4, max_minutes=10).progress(2.0, 300) == 0.5
    assert LinearDecay(4, 4, max_minutes=10).progress(9.0, 0) == 1
    assert LinearDecay(4, 4, max_minutes=10).progress(0.0) == 0
    assert LinearDecay(4, 4).progress(0.0) == LinearDecay(4, 4, max_minutes=1e-4).progress(0.0) == 0
    assert LinearDecay(0, 4, max_minutes=1e-4).lr_factor(0) == 0.8


def test_the_clock_does_not_decay_a_run_without_decay_epochs():
    steady = LinearDecay(n_epochs=4, n_epochs_decay=0, max_minutes=10)
    assert [steady.lr_factor(epoch, 590) for epoch in range(4)] == [1, 1, 1, 1]
    assert LinearDecay(1, 0).total_epochs == LinearDecay(0, 1).total_epochs == 1
    assert LinearDecay(0, 1).lr_factor(0) == 0.5
    assert LinearDecay(30, 10, max_minutes=10).lr_factor(0, 525) == pytest.approx(0.5)
    assert LinearDecay(30, 10, max_minutes=10).lr_factor(0, 700) == 0
    assert LinearDecay(3, 4).lr_factor(0) == LinearDecay(3, 4).lr_factor(2) == 1
    assert not LinearDecay(3, 4).is_over(1e9)


@pytest.mark.parametrize("numbers", [(0, 0, None), (-1, 5, None), (5, -1, None), (5, 5, 0), (5, 5, -1)])
def test_invalid_schedules_are_refused(numbers):
    with pytest.raises(UserError):
        LinearDecay(*numbers)


def test_the_rate_rises_linearly_over_the_first_batches():
    schedule = LinearDecay(3, 4, warm_up_batches=4)
    assert [schedule.warm_up_factor(batches) for batches in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert LinearDecay(3, 4).warm_up_factor(0) == 1
    with pytest.raises(UserError, match="warm_up_batches"):
        LinearDecay(3, 4, warm_up_batches=-1)
