"""Means, spreads and intervals over groups."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics.estimates import Estimate, estimate, standard_error


def test_mean_and_spread_by_hand() -> None:
    value = estimate([1.0, 2.0, 6.0], ["a", "b", "c"])
    assert (value.mean, value.n, value.groups) == (3.0, 3, 3)
    assert value.sd == pytest.approx(math.sqrt(7))
    assert value.low <= 3.0 <= value.high


@pytest.mark.parametrize("n_groups", [2, 5, 30])
def test_interval_covers_the_truth_as_often_as_it_says(n_groups: int) -> None:
    """Groups of unequal size, clips alike within them: 2 to 30 of them."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(3, 6, n_groups)
    groups = np.repeat(np.arange(n_groups), sizes).astype(str).tolist()
    hits = 0
    for _ in range(400):
        values = np.repeat(rng.normal(5, 1, n_groups), sizes) + rng.normal(0, 0.2, sum(sizes))
        value = estimate(values.tolist(), groups)
        hits += value.low <= 5 <= value.high
    assert 0.92 * 400 <= hits <= 0.98 * 400


def test_interval_by_hand() -> None:
    value = estimate([1.0, 2.0, 6.0], ["a", "b", "c"])
    assert value.high - value.mean == pytest.approx(4.302653 * math.sqrt(7 / 3), rel=1e-6)
    assert value.mean - value.low == pytest.approx(value.high - value.mean)


def test_standard_error_by_hand() -> None:
    assert standard_error(estimate([1.0, 2.0, 6.0], ["a", "b", "c"])) == pytest.approx(math.sqrt(7 / 3))
    # sums of groups off their mean: -2, 2; error sqrt(2 / 1 * 8) / 4 values
    two = estimate([1.0, 2.0, 3.0, 4.0], ["a", "a", "b", "b"])
    assert standard_error(two) == pytest.approx(1.0)
    assert math.isnan(standard_error(estimate([1.0, 2.0], ["a", "a"])))


def test_interval_ends_where_the_mean_cannot_lie() -> None:
    value = Estimate(0.92, 0.2, -0.14, 1.98, 12, 2).clamp(0.0, 1.0)
    assert (value.mean, value.low, value.high) == (0.92, 0.0, 1.0)
    assert math.isnan(Estimate(0.5, 0.1, math.nan, math.nan, 3, 1).clamp(0.0, 1.0).low)


def test_clips_of_one_track_do_not_count_as_many() -> None:
    values = [float(track) for track in range(4) for _ in range(25)]
    tracks = [str(track) for track in range(4) for _ in range(25)]
    grouped = estimate(values, tracks)
    single = estimate(values, [str(i) for i in range(100)])
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_intervals_meet_or_not() -> None:
    a, b, c = Estimate(1, 0, 0, 2, 4, 4), Estimate(2, 0, 1.5, 3, 4, 4), Estimate(5, 0, 4, 6, 4, 4)
    assert a.overlaps(b)
    assert not a.overlaps(c)
    assert not c.overlaps(a)
    assert a.overlaps(Estimate(3, 0, 2, 4, 4, 4))  # at one point
    assert Estimate(3, 0, 2, 4, 4, 4).overlaps(a)
    assert a.overlaps(Estimate(9, 0, math.nan, math.nan, 1, 1))


def test_one_group_gives_no_interval() -> None:
    value = estimate([1.0, 2.0], ["a", "a"])
    assert math.isnan(value.low)
    assert not value.above_zero
    assert value.to_dict()["high"] is None
    assert str(value) == "1.50"


def test_above_zero_means_the_whole_interval() -> None:
    assert [Estimate(1, 0, low, 2, 4, 4).above_zero for low in (-0.1, 0.0, 0.1)] == [False, False, True]
    assert str(Estimate(1, 0, 0.5, 2, 4, 4)) == "1.00 (0.50 to 2.00)"
    assert estimate([3.0], ["a"]).to_dict() == {
        "mean": 3.0, "sd": None, "low": None, "high": None, "n": 1, "groups": 1,
    }  # fmt: skip


def test_values_and_groups_must_match() -> None:
    with pytest.raises(ValueError, match="0 values"):
        estimate([], [])
    with pytest.raises(ValueError, match="1 groups"):
        estimate([1.0, 2.0], ["a"])
