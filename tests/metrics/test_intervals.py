"""Means, spreads and bootstrap intervals over groups."""

import math

import numpy as np
import pytest

from cyclegan_audio.metrics.intervals import estimate


def test_mean_and_spread_by_hand() -> None:
    value = estimate([1.0, 2.0, 6.0], ["a", "b", "c"])
    assert (value.mean, value.n, value.groups) == (3.0, 3, 3)
    assert value.sd == pytest.approx(math.sqrt(7))
    assert value.low <= 3.0 <= value.high


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        value = estimate(list(rng.normal(5, 1, 30)), [str(i) for i in range(30)])
        hits += value.low <= 5 <= value.high
    assert 86 <= hits <= 100


def test_clips_of_one_track_do_not_count_as_many() -> None:
    values = [float(track) for track in range(4) for _ in range(25)]
    tracks = [str(track) for track in range(4) for _ in range(25)]
    grouped = estimate(values, tracks)
    single = estimate(values, [str(i) for i in range(100)])
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_one_group_gives_no_interval() -> None:
    value = estimate([1.0, 2.0], ["a", "a"])
    assert math.isnan(value.low)
    assert not value.above_zero
    assert value.to_dict()["high"] is None
    assert str(value) == "1.50"


def test_same_seed_same_interval() -> None:
    assert estimate([1.0, 5.0, 2.0], ["a", "b", "c"]) == estimate([1.0, 5.0, 2.0], ["a", "b", "c"])


def test_values_and_groups_must_match() -> None:
    with pytest.raises(ValueError, match="0 values"):
        estimate([], [])
    with pytest.raises(ValueError, match="1 groups"):
        estimate([1.0, 2.0], ["a"])
