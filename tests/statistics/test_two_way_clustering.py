import math

import numpy as np
import pytest

from cyclegan_audio.statistics.two_way_clustering import two_way_mean


def test_by_hand() -> None:
    """Two listeners, two items: 1 4 / 4 9. Sums of rows and columns are 4 off the mean of sums."""
    mean, p = two_way_mean([1.0, 4.0, 4.0, 9.0], ["u", "u", "v", "v"], ["i", "j", "i", "j"])
    rows, columns, single = 2 * 32 / 16, 2 * 32 / 16, 4 / 3 * 33 / 16
    error = math.sqrt(rows + columns - single)
    assert mean.mean == 4.5
    assert (mean.n, mean.groups) == (4, 2)
    assert mean.high - mean.low == pytest.approx(2 * 12.706 * error, rel=1e-3)
    assert p == pytest.approx(1 - 2 * math.atan(4.5 / error) / math.pi)  # t of one degree is Cauchy's
    # 1 3 / 5 7: rows 4, columns 1, single ones 5/3: together less than rows alone, which count then.
    mean, _ = two_way_mean([1.0, 3.0, 5.0, 7.0], ["u", "u", "v", "v"], ["i", "j", "i", "j"])
    assert mean.high - mean.low == pytest.approx(2 * 12.706 * 2, rel=1e-3)


def test_one_listener_has_items_only_and_one_answer_nothing() -> None:
    mean, _ = two_way_mean([1.0, 3.0, 5.0], ["u"] * 3, ["i", "j", "k"])
    assert mean.high - mean.low == pytest.approx(2 * 4.3027 * 2 / math.sqrt(3), rel=1e-3)
    alone, p = two_way_mean([5.0], ["u"], ["i"])
    assert alone.mean == 5
    assert math.isnan(alone.low)
    assert math.isnan(p)
    assert two_way_mean([0.0, 0.0], ["u", "v"], ["i", "i"])[1] == 1
    assert two_way_mean([2.0, 2.0], ["u", "v"], ["i", "i"])[1] == 0


def test_intervals_cover_the_truth() -> None:
    """Listeners and items both drawn anew: 95 % intervals hold the truth in most of 300 tests."""
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
