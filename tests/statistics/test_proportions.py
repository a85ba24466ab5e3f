"""Test proportions and balanced accuracies with their intervals."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics.proportions import (
    balanced_accuracy,
    design_effect,
    effective_number,
    proportion,
    wilson,
)


def test_wilson_of_single_clips_by_hand() -> None:
    correct = np.array([1.0] * 9 + [0.0])
    share, low, high = wilson(correct, np.arange(10))
    assert share == 0.9
    assert (low, high) == (pytest.approx(0.5958, abs=1e-3), pytest.approx(0.9821, abs=1e-3))


def test_balanced_accuracy_weights_classes_equally() -> None:
    correct = [True] * 90 + [True, False]
    value = balanced_accuracy(correct, [0] * 90 + [1, 1], [str(i) for i in range(92)])
    assert value.mean == pytest.approx((1.0 + 0.5) / 2)
    assert (value.n, value.groups) == (92, 92)


def test_interval_has_a_width_without_errors() -> None:
    few = balanced_accuracy([True] * 8, [0, 1] * 4, list("abcdefgh"))
    many = balanced_accuracy([True] * 800, [0, 1] * 400, [str(i) for i in range(800)])
    assert (few.mean, few.high) == (1.0, 1.0)
    assert few.low < 0.8 < 0.98 < many.low < 1


def test_correlated_errors_widen_the_interval() -> None:
    tracks = np.repeat(np.arange(10), 10)
    together = (tracks != 0).astype(float)
    spread = np.tile([0.0] + [1.0] * 9, 10)
    assert together.mean() == spread.mean()
    assert design_effect(together, tracks) > 5
    assert design_effect(spread, tracks) == 1
    of = [balanced_accuracy(r > 0, [0] * 100, [str(t) for t in tracks]) for r in (together, spread)]
    assert of[0].low < of[1].low - 0.05


def test_balanced_accuracy_has_nominal_coverage() -> None:
    rng = np.random.default_rng(0)
    tracks = np.repeat(np.arange(20), 10)
    hits = 0
    for _ in range(300):
        share = rng.beta(9, 1, size=20)  # tracks differ: mean 0.9
        value = balanced_accuracy(rng.random(200) < share[tracks], [0] * 200, [str(t) for t in tracks])
        hits += value.low <= 0.9 <= value.high
    assert 0.9 < hits / 300 <= 0.99


def test_proportion_of_all_or_none_has_a_width() -> None:
    tracks = [f"t{i // 6}" for i in range(72)]
    for value, inner in ((1.0, "low"), (0.0, "high")):
        result = proportion([value] * 72, tracks)
        assert result.mean == value
        assert (result.n, result.groups) == (72, 12)
        effective = 72 / 1.5  # six clips a track, correlated by 0.1
        width = 1.959964**2 / (effective + 1.959964**2)  # Wilson's bound with no failure
        assert abs(getattr(result, inner) - value) == pytest.approx(width)
    assert proportion([1.0], ["a"]).low < 0.3


def test_proportion_of_independent_clips_is_wilsons() -> None:
    correct = [1.0] * 9 + [0.0]
    result = proportion(correct, [str(i) for i in range(10)])
    assert (result.low, result.high) == wilson(np.array(correct), np.arange(10))[1:]
    assert effective_number(np.array(correct), np.arange(10)) == 10


def test_few_tracks_reduce_the_effective_number() -> None:
    values = np.array([1.0, 1, 1, 0] * 12)
    few, many = (np.repeat(np.arange(k), 48 // k) for k in (3, 12))
    assert design_effect(values, few) == 1
    assert effective_number(values, few) < effective_number(values, many) <= 48


@pytest.mark.parametrize(("n_tracks", "mean"), [(4, 0.9), (12, 0.97), (20, 0.9), (20, 0.5)])
def test_proportion_has_nominal_coverage(n_tracks: int, mean: float) -> None:
    rng = np.random.default_rng(0)
    tracks = np.repeat(np.arange(n_tracks), 6).astype(str).tolist()
    hits = 0
    for _ in range(300):
        of_track = rng.beta(5 * mean, 5 * (1 - mean), size=n_tracks)  # correlation in a track: 1/6
        correct = (rng.random(6 * n_tracks) < np.repeat(of_track, 6)).astype(float)
        value = proportion(correct.tolist(), tracks)
        hits += value.low <= mean <= value.high
    assert hits / 300 > 0.92


def test_standard_deviations_are_those_of_the_clips() -> None:
    for values, sd in (([1.0, 0.0], 0.5**0.5), ([1.0, 1.0, 0.0, 1.0], 0.5)):
        tracks = [str(number) for number in range(len(values))]
        assert proportion(values, tracks).sd == pytest.approx(sd)
        assert balanced_accuracy([value > 0 for value in values], [0] * len(values), tracks).sd == (
            pytest.approx(sd)
        )
    assert math.isnan(proportion([1.0], ["a"]).sd)
    assert math.isnan(balanced_accuracy([True], [0], ["a"]).sd)


def test_effective_number_of_three_tracks_by_hand() -> None:
    """48 clips with equal shares in each track: the quantiles of Student's t are 2.0117 and 4.3027."""
    values, tracks = np.array([1.0, 1, 1, 0] * 12), np.repeat(np.arange(3), 16)
    assert effective_number(values, tracks) == pytest.approx(48 * (2.01174 / 4.30265) ** 2, rel=1e-4)


def test_design_effect_by_hand() -> None:
    """Hits of three tracks are 6, 12 and 12 of 16, so 4, 2 and 2 from their mean: 24 in squares.

    3/2 of 24 / 48^2 is the variance of the mean, and 5/8 of 3/8 / 48 that of independent clips.
    """
    values, tracks = np.array([1.0, 1, 1, 0] * 12), np.repeat(np.arange(3), 16)
    values[:16] = [0.0] * 10 + [1.0] * 6
    assert design_effect(values, tracks) == pytest.approx(3.2)
    assert effective_number(values, tracks) == pytest.approx(15 * (2.01174 / 4.30265) ** 2, rel=1e-4)


def test_balanced_accuracy_without_clips_is_nan() -> None:
    value = balanced_accuracy([], [], [])
    assert value.n == 0
    assert math.isnan(value.mean)
