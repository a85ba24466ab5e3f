"""Tests of sampling: which clips are served, and by which process."""

import pytest

from cyclegan_audio.data.sampler import (
    ClipView,
    EpochSampler,
    sample_epoch_pairs,
    validation_pairs,
    warn_about_large_batch,
)
from cyclegan_audio.utils.errors import UserError


def items(epoch: int) -> list[int]:
    """Return the eleven items of an epoch: 100, 101, ... in epoch 1."""
    return [100 * epoch + index for index in range(11)]


def test_a_sampler_serves_the_set_epoch_and_skips_once():
    sampler = EpochSampler(11, items)
    assert list(sampler) == items(0)
    sampler.set_epoch(2)
    sampler.skip = 4
    assert list(sampler) == items(2)[4:]
    assert list(sampler) == items(2)
    assert len(sampler) == 11


def test_processes_take_turns_and_incomplete_batches_are_dropped():
    samplers = [EpochSampler(11, items) for _ in range(2)]
    for rank, sampler in enumerate(samplers):
        sampler.distribute(rank, 2, 2)
        sampler.set_epoch(1)
    first, second = samplers
    assert list(first) == [100, 101, 104, 105]
    assert list(second) == [102, 103, 106, 107]
    assert len(first) == len(second) == 4
    second.skip = 2
    assert list(second) == [106, 107]


def test_one_process_serves_incomplete_batches():
    sampler = EpochSampler(11, items)
    sampler.distribute(0, 1, 20)
    assert list(sampler) == items(0)
    assert len(sampler) == 11


def test_too_few_clips_for_a_batch_per_process_are_refused():
    EpochSampler(6, items).distribute(1, 2, 3)
    with pytest.raises(UserError, match="5 clips are too few for 2 processes with a batch of 3 each"):
        EpochSampler(5, items).distribute(0, 2, 3)


def test_views_without_augmentation_are_whole_clips():
    assert ClipView(3) == (3, 0, 0, 0.0, 0)
    for pair in sample_epoch_pairs(5, 4, 1, seed=0, epoch=0):
        assert pair.a[1:] == pair.b[1:] == (0, 0, 0.0, 0)


def test_gains_are_uniform_up_to_gain_db():
    gains_db = [view.gain_db for pair in sample_epoch_pairs(2000, 9, 1, 0, 0, gain_db=6.0) for view in pair]
    assert max(abs(gain_db) for gain_db in gains_db) <= 6
    assert sum(gains_db) / len(gains_db) == pytest.approx(0, abs=0.15)
    assert sum(abs(gain_db) < 3 for gain_db in gains_db) / len(gains_db) == pytest.approx(0.5, abs=0.03)


def test_validation_pairs_spread_over_both_genres():
    pairs = validation_pairs(3, 5, 10, seed=0)
    assert pairs == validation_pairs(3, 5, 10, seed=0) != validation_pairs(3, 5, 10, seed=1)
    a, b = ([view.clip for view in views] for views in zip(*pairs, strict=True))
    assert sorted(a[:3]) == [0, 1, 2]
    assert a[3:] == a[:2]  # the shorter list repeats
    assert sorted(b) == [0, 1, 2, 3, 4]
    assert validation_pairs(3, 5, 2, seed=0) == pairs[:2]
    assert {pair.a[1:] for pair in pairs} == {pair.b[1:] for pair in pairs} == {(0, 0, 0.0, 0)}
    assert validation_pairs(9, 9, 9, seed=0) != sample_epoch_pairs(9, 9, 1, seed=0, epoch=0)


def test_pairs_of_a_seed_never_change():
    epoch_pairs, fixed = sample_epoch_pairs(4, 9, 1, seed=1, epoch=2), validation_pairs(4, 4, 4, seed=1)
    assert [(pair.a.clip, pair.b.clip) for pair in epoch_pairs] == [(3, 3), (1, 1), (0, 2), (2, 7)]
    assert [(pair.a.clip, pair.b.clip) for pair in fixed] == [(3, 0), (0, 3), (2, 1), (1, 2)]


@pytest.mark.parametrize(("batch_size", "warns"), [(8, False), (9, True)])
def test_a_batch_larger_than_an_epoch_logs_a_warning(caplog, batch_size, warns):
    warn_about_large_batch(batch_size, 8, "low")
    assert bool(caplog.messages) is warns
