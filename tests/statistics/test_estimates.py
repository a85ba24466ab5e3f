"""Test means, standard errors and intervals over groups, and over listeners and items."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics.estimates import Estimate, estimate, standard_error, two_way_mean


def test_mean_and_spread_by_hand() -> None:
    value = estimate([1.0, 2.0, 6.0], ["a", "b", "c"])
    assert (value.mean, value.n, value.groups) == (3.0, 3, 3)
    assert value.sd == pytest.approx(math.sqrt(7))
    assert value.low <= 3.0 <= value.high


@pytest.mark.parametrize("n_groups", [2, 5, 30])
def test_interval_has_nominal_coverage(n_groups: int) -> None:
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


def test_clamp_limits_the_interval() -> None:
    value = Estimate(0.92, 0.2, -0.14, 1.98, 12, 2).clamp(0.0, 1.0)
    assert (value.mean, value.low, value.high) == (0.92, 0.0, 1.0)
    assert math.isnan(Estimate(0.5, 0.1, math.nan, math.nan, 3, 1).clamp(0.0, 1.0).low)


def test_correlated_clips_widen_the_interval() -> None:
    values = [float(track) for track in range(4) for _ in range(25)]
    tracks = [str(track) for track in range(4) for _ in range(25)]
    grouped = estimate(values, tracks)
    single = estimate(values, [str(i) for i in range(100)])
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_overlaps() -> None:
    a, b, c = Estimate(1, 0, 0, 2, 4, 4), Estimate(2, 0, 1.5, 3, 4, 4), Estimate(5, 0, 4, 6, 4, 4)
    assert a.overlaps(b)
    assert not a.overlaps(c)
    assert not c.overlaps(a)
    assert a.overlaps(Estimate(3, 0, 2, 4, 4, 4))  # at one point
    assert Estimate(3, 0, 2, 4, 4, 4).overlaps(a)
    assert a.overlaps(Estimate(9, 0, math.nan, math.nan, 1, 1))


def test_one_group_has_no_interval() -> None:
    value = estimate([1.0, 2.0], ["a", "a"])
    assert math.isnan(value.low)
    assert not value.above_zero
    assert value.to_dict()["high"] is None
    assert str(value) == "1.50"


def test_above_zero_needs_the_whole_interval() -> None:
    assert [Estimate(1, 0, low, 2, 4, 4).above_zero for low in (-0.1, 0.0, 0.1)] == [False, False, True]
    assert str(Estimate(1, 0, 0.5, 2, 4, 4)) == "1.00 (0.50 to 2.00)"
    assert estimate([3.0], ["a"]).to_dict() == {
        "mean": 3.0, "sd": None, "low": None, "high": None, "n": 1, "groups": 1,
    }  # fmt: skip


def test_estimate_raises_for_no_values_and_other_lengths() -> None:
    with pytest.raises(ValueError, match="0 values"):
        estimate([], [])
    with pytest.raises(ValueError, match="1 groups"):
        estimate([1.0, 2.0], ["a"])


def test_two_way_mean_by_hand() -> None:
    """Two listeners, two items: 1 4 / 4 9. Sums of rows and columns are 4 off the mean of sums."""
    mean, p = two_way_mean([1.0, 4.0, 4.0, 9.0], ["u", "u", "v", "v"], ["i", "j", "i", "j"])
    rows, columns, single = 2 * 32 / 16, 2 * 32 / 16, 4 / 3 * 33 / 16
    error = math.sqrt(rows + columns - single)
    assert mean.mean == 4.5
    assert (mean.n, mean.groups) == (4, 2)
    assert mean.high - mean.low == pytest.approx(2 * 12.706 * error, rel=1e-3)
    assert p == pytest.approx(1 - 2 * math.atan(4.5 / error) / math.pi)  # t of one degree is Cauchy's
    # 1 3 / 5 7: rows 4, columns 1, single ones 5/3: together less than rows alone, so rows count.
    mean, _ = two_way_mean([1.0, 3.0, 5.0, 7.0], ["u", "u", "v", "v"], ["i", "j", "i", "j"])
    assert mean.high - mean.low == pytest.approx(2 * 12.706 * 2, rel=1e-3)


def test_two_way_mean_of_one_listener_and_of_one_answer() -> None:
    mean, _ = two_way_mean([1.0, 3.0, 5.0], ["u"] * 3, ["i", "j", "k"])
    assert mean.high - mean.low == pytest.approx(2 * 4.3027 * 2 / math.sqrt(3), rel=1e-3)
    alone, p = two_way_mean([5.0], ["u"], ["i"])
    assert alone.mean == 5
    assert math.isnan(alone.low)
    assert math.isnan(p)
    assert two_way_mean([0.0, 0.0], ["u", "v"], ["i", "i"])[1] == 1
    assert two_way_mean([2.0, 2.0], ["u", "v"], ["i", "i"])[1] == 0


def test_two_way_mean_has_nominal_coverage() -> None:
    """95 % intervals over random listeners and items cover the truth in at least 90 % of 300 tests."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        values = rng.normal(size=(8, 1)) + rng.normal(size=(1, 6)) + rng.normal(size=(8, 6))
        rows, columns = np.meshgrid(np.arange(8), np.arange(6), indexing="ij")
        mean, _ = two_way_mean(
            values.ravel().tolist(), list(map(str, rows.ravel())), list(map(str, columns.ravel()))
        )
        covered += mean.low < 0 < mean.high
    assert covered >= 0.9 * 300
