"""Which clips are served, by which process, whatever they hold."""

import pytest

from cyclegan_audio.data.sampler import (
    ClipView,
    EpochSampler,
    sample_epoch_pairs,
    validation_pairs,
    warn_of_large_batch,
)
from cyclegan_audio.utils.errors import UserError


def numbers(epoch: int) -> list[int]:
    """The eleven draws of an epoch: 100, 101, ... in epoch 1."""
    return [100 * epoch + place for place in range(11)]


def test_a_sampler_serves_the_chosen_epoch_whole_and_skips_once():
    sampler = EpochSampler(11, numbers)
    assert list(sampler) == numbers(0)
    sampler.set_epoch(2)
    sampler.skip = 4
    assert list(sampler) == numbers(2)[4:]
    assert list(sampler) == numbers(2)
    assert len(sampler) == 11


def test_batches_go_round_the_processes_and_what_does_not_fill_one_is_left_out():
    samplers = [EpochSampler(11, numbers) for _ in range(2)]
    for rank, sampler in enumerate(samplers):
        sampler.share(rank, 2, 2)
        sampler.set_epoch(1)
    first, second = samplers
    assert list(first) == [100, 101, 104, 105]
    assert list(second) == [102, 103, 106, 107]
    assert len(first) == len(second) == 4
    second.skip = 2
    assert list(second) == [106, 107]


def test_one_process_serves_what_fills_no_batch_too():
    sampler = EpochSampler(11, numbers)
    sampler.share(0, 1, 20)
    assert list(sampler) == numbers(0)
    assert len(sampler) == 11


def test_each_process_needs_one_batch():
    EpochSampler(6, numbers).share(1, 2, 3)
    with pytest.raises(UserError, match="5 clips do not give 2 processes a batch of 3 each"):
        EpochSampler(5, numbers).share(0, 2, 3)


def test_without_augmentation_a_clip_is_taken_from_its_beginning_as_it_is():
    assert ClipView(3) == (3, 0, 0, 0.0)
    for draw in sample_epoch_pairs(5, 4, 1, seed=0, epoch=0):
        assert draw.a[1:] == draw.b[1:] == (0, 0, 0.0)


def test_gains_are_uniform_up_to_the_given_one():
    gains_db = [take.gain_db for draw in sample_epoch_pairs(2000, 9, 1, 0, 0, gain_db=6.0) for take in draw]
    assert max(abs(gain_db) for gain_db in gains_db) <= 6
    assert sum(gains_db) / len(gains_db) == pytest.approx(0, abs=0.15)
    assert sum(abs(gain_db) < 3 for gain_db in gains_db) / len(gains_db) == pytest.approx(0.5, abs=0.03)


def test_fixed_pairs_spread_over_both_genres():
    draws = validation_pairs(3, 5, 10, seed=0)
    assert draws == validation_pairs(3, 5, 10, seed=0) != validation_pairs(3, 5, 10, seed=1)
    a, b = ([take.clip for take in takes] for takes in zip(*draws, strict=True))
    assert sorted(a[:3]) == [0, 1, 2]
    assert a[3:] == a[:2]  # the shorter list begins again
    assert sorted(b) == [0, 1, 2, 3, 4]
    assert validation_pairs(3, 5, 2, seed=0) == draws[:2]
    assert {draw.a[1:] for draw in draws} == {draw.b[1:] for draw in draws} == {(0, 0, 0.0)}
    assert validation_pairs(9, 9, 9, seed=0) != sample_epoch_pairs(9, 9, 1, seed=0, epoch=0)


def test_pairs_are_the_same_in_every_release():
    drawn, fixed = sample_epoch_pairs(4, 9, 1, seed=1, epoch=2), validation_pairs(4, 4, 4, seed=1)
    assert [(draw.a.clip, draw.b.clip) for draw in drawn] == [(3, 3), (1, 1), (0, 2), (2, 7)]
    assert [(draw.a.clip, draw.b.clip) for draw in fixed] == [(3, 0), (0, 3), (2, 1), (1, 2)]


@pytest.mark.parametrize(("batch_size", "warns"), [(8, False), (9, True)])
def test_a_batch_that_no_epoch_fills_is_warned_of(caplog, batch_size, warns):
    warn_of_large_batch(batch_size, 8, "low")
    assert bool(caplog.messages) is warns
