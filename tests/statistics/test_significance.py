"""Test sign flips, Welch's test and Holm's correction."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics import significance
from cyclegan_audio.statistics.estimates import Estimate, estimate
from cyclegan_audio.statistics.significance import (
    format_p,
    holm,
    independent_groups,
    rescale,
    sign_flip_test,
    welch_test,
)


def test_sign_flips_by_hand():
    """Sums of tracks 3, 2, 1: of 8 flips only none and all reach 6; 3 + 2 - 1 = 4 is reached by four."""
    tracks = ["a", "a", "b", "c"]
    p = sign_flip_test(
        {"all up": ([1.0, 2.0, 2.0, 1.0], tracks), "one down": ([1.0, 2.0, 2.0, -1.0], tracks)}
    )
    assert p["all up"][0] == 2 / 8
    assert p["one down"][0] == 4 / 8
    # Both have the same squares; the larger sum is 6 without flips, with all, with c's, and with a's and b's.
    assert p["all up"][1] == 4 / 8
    assert p["one down"][1] == 4 / 8  # alone among the lesser ones


def test_sign_flips_without_differences():
    assert sign_flip_test({"x": ([0.0, 0.0], ["a", "b"])}) == {"x": (1.0, 1.0)}


def test_correction_controls_the_family_wise_error():
    """Of 200 pairs of equal systems with 20 metrics each, about 5 % have a significant difference."""
    rng = np.random.default_rng(0)
    tracks = [str(i // 3) for i in range(24)]
    rejections = [0, 0]
    for _ in range(200):
        shared = rng.normal(size=(24, 1))
        values = (shared + rng.normal(size=(24, 20))).T
        p = sign_flip_test({i: (row.tolist(), tracks) for i, row in enumerate(values)}).values()
        rejections[0] += min(alone for alone, _ in p) <= 0.05
        rejections[1] += min(corrected for _, corrected in p) <= 0.05
    assert rejections[1] <= 20
    assert rejections[0] > 60


def test_random_flips_are_reproducible(monkeypatch):
    values = np.random.default_rng(1).normal(0.5, 1, 40).tolist()
    tracks = [str(i) for i in range(40)]
    p = sign_flip_test({"x": (values, tracks)})["x"][0]
    assert p == sign_flip_test({"x": (values, tracks)})["x"][0]
    monkeypatch.setattr(significance, "MAX_FLIPS", 2**16)
    assert sign_flip_test({"x": (values, tracks)})["x"][0] == pytest.approx(p, abs=0.005)
    assert 0 < p < 0.05


def test_holm_by_hand():
    assert holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_welch_test_equals_scipy():
    from scipy.stats import ttest_ind

    a, b = [1.0, 2.0, 4.0, 3.5], [3.0, 5.0, 4.0]
    difference, p = welch_test(estimate(a, list("abcd")), estimate(b, list("abc")))
    known = ttest_ind(b, a, equal_var=False)
    low, high = known.confidence_interval()
    assert p == pytest.approx(known.pvalue)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((1.375, low, high))
    alone, p = welch_test(estimate([1.0], ["a"]), estimate(b, list("abc")))
    assert alone.mean == 3
    assert math.isnan(p)
    assert math.isnan(alone.low)


def test_independent_groups_segments_few_tracks():
    assert independent_groups(["a", "a", "b"], [0.0, 31.0, 0.0]) == ["a 0", "a 1", "b 0"]
    assert independent_groups(list("abcdef"), [0.0] * 6) == list("abcdef")
    assert independent_groups(list("abcdeee"), [0, 0, 0, 0, 0, 29.9, 30.0])[4:] == ["e 0", "e 0", "e 1"]


def test_flips_are_exhaustive_up_to_fourteen_tracks():
    """If all differences have one sign, only no flip and all flips reach the sum: 2 of 2^n."""
    for n_tracks in (2, 5, 14):
        assert (
            sign_flip_test({"x": ([1.0] * n_tracks, list(map(str, range(n_tracks))))})["x"][0]
            == 2 / 2**n_tracks
        )
    drawn = sign_flip_test({"x": ([1.0] * 15, list(map(str, range(15))))})["x"][0]
    assert 1 / 2**14 <= drawn < 6 / 2**14


def test_random_flips_give_the_binomial_p():
    """Nine tracks up and seven down: the sum of sixteen signs is 0, and so less than 2, in 12870 of 65536."""
    differences = {"x": ([1.0] * 9 + [-1.0] * 7, list(map(str, range(16))))}
    assert sign_flip_test(differences)["x"] == pytest.approx((1 - 12870 / 65536,) * 2, abs=0.015)


def test_groups_of_one_name_are_flipped_together():
    together = sign_flip_test({"x": ([1.0, 1.0], ["a", "b"]), "y": ([3.0, 3.0], ["a", "b"])})
    assert together == {"x": (0.5, 0.5), "y": (0.5, 0.5)}
    apart = sign_flip_test({"x": ([1.0, 1.0], ["a", "b"]), "y": ([3.0, 3.0], ["c", "d"])})
    assert apart == {"x": (0.5, 0.75), "y": (0.5, 0.75)}  # one of two coins: 1 - 1/2 * 1/2


def test_rescale_by_hand():
    value = Estimate(2.0, 1.0, -1.0, 5.0, 9, 3)
    assert rescale(value, -2.0) == Estimate(-1.0, 0.5, -2.5, 0.5, 9, 3)
    assert math.isnan(rescale(value, 0.0).mean)


def test_welch_test_without_variance_has_no_p():
    a, b = estimate([1.0, 1.0], ["a", "b"]), estimate([1.0, 1.0, 1.0], ["a", "b", "c"])
    difference, p = welch_test(a, b)
    assert math.isnan(p)
    assert (difference.mean, difference.n, difference.groups) == (0, 2, 2)


def test_format_p_has_three_decimals_from_a_thousandth_on():
    assert [format_p(p) for p in (0.05, 0.001, 0.0009, math.nan)] == ["0.050", "0.001", "< 0.001", "-"]
