"""Test the jackknife over tracks and the folds of tracks."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics.jackknife import MAX_GROUPS, jackknife, track_folds

VALUES = np.array([1.0, 2.0, 6.0, 7.0])


def variance_and_mean(rows: list[np.ndarray]) -> np.ndarray:
    """Compute the variance over n, which is too small by (n - 1) / n, and the mean."""
    return np.array([VALUES[rows[0]].var(), VALUES[rows[0]].mean()])


def test_jackknife_removes_bias_of_order_one_over_n() -> None:
    variance, mean = jackknife(variance_and_mean, [["a", "b", "c"]])
    assert variance.mean == pytest.approx(7.0)  # 14 / 2
    assert mean.mean == pytest.approx(3.0)
    # without one: 4, 6.25 and 0.25; 2 / 3 of the squares around 3.5
    error = math.sqrt(2 / 3 * (0.5**2 + 2.75**2 + 3.25**2))
    assert variance.high - variance.mean == pytest.approx(4.302653 * error, rel=1e-6)
    assert variance.mean - variance.low == pytest.approx(4.302653 * error, rel=1e-6)
    assert (variance.n, variance.groups) == (3, 3)
    assert math.isnan(variance.sd)


def test_jackknife_of_two_samples_adds_errors() -> None:
    others = np.array([10.0, 14.0])

    def difference(rows: list[np.ndarray]) -> np.ndarray:
        return np.array([VALUES[rows[0]].mean() - others[rows[1]].mean()])

    (value,) = jackknife(difference, [["a", "b", "c"], ["d", "e"]])
    assert value.mean == pytest.approx(-9.0)
    error = math.sqrt(7 / 3 + 8 / 2)
    assert value.high - value.mean == pytest.approx(12.7062 * error, rel=1e-5)
    assert (value.n, value.groups) == (3, 3)


@pytest.mark.parametrize(
    ("tracks", "left_out"),
    [
        ("aabb", [[2, 3], [0, 1]]),
        ("aaab", [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]),  # without a, one row remains
        ("aaaa", [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]),
        ("abcc", [[1, 2, 3], [0, 2, 3], [0, 1]]),
    ],
)
def test_jackknife_leaves_out_tracks_or_rows(tracks: str, left_out: list[list[int]]) -> None:
    inputs: list[list[int]] = []

    def recorded(rows: list[np.ndarray]) -> np.ndarray:
        inputs.append(rows[0].tolist())
        return np.array([VALUES[rows[0]].mean()])

    (value,) = jackknife(recorded, [list(tracks)])
    assert inputs == [[0, 1, 2, 3], *left_out]
    assert value.groups == len(set(tracks))


def test_jackknife_leaves_out_many_tracks_in_groups() -> None:
    tracks = [str(1000 + number) for number in range(41)]
    sizes: list[int] = []
    jackknife(lambda rows: (sizes.append(len(rows[0])), np.array([0.0]))[1], [tracks])
    assert sizes == [41, *sorted(sizes[1:])]
    assert sorted(sizes[1:]) == [39] + [40] * 39
    sizes.clear()
    jackknife(lambda rows: (sizes.append(len(rows[0])), np.array([0.0]))[1], [tracks[:40]])
    assert sizes == [40] + [39] * 40


def test_jackknife_of_a_mean_equals_the_t_interval_and_groups_many_tracks() -> None:
    values = np.array([1.0, 2.0, 6.0])
    result = jackknife(lambda rows: np.array([values[rows[0]].mean()]), [["a", "b", "c"]])[0]
    assert result.mean == pytest.approx(3.0)
    assert result.high - result.mean == pytest.approx(4.302653 * np.sqrt(7 / 3), rel=1e-6)
    many = np.random.default_rng(0).normal(0, 1, 400)
    calls = []
    jackknife(
        lambda rows: (calls.append(1), np.array([many[rows[0]].mean()]))[1], [[str(i) for i in range(400)]]
    )
    assert len(calls) == MAX_GROUPS + 1


def test_track_folds_keep_tracks_together() -> None:
    labels = np.array([0, 1] * 8)
    tracks = [f"{place // 4} {place % 2}" for place in range(16)]
    folds = track_folds(labels, tracks, 3, 0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(16))
    for train, test in folds:
        assert not {tracks[row] for row in train} & {tracks[row] for row in test}
    assert len(track_folds(labels, tracks, 9, 0)) == 4
    assert track_folds(labels, ["a"] * 16, 3, 0) == []
