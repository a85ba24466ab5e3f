"""What leaving out tracks tells: bias and error by hand, and what stands for a track."""

import math

import numpy as np
import pytest

from cyclegan_audio.statistics.resampling import jackknife

VALUES = np.array([1.0, 2.0, 6.0, 7.0])


def spread(rows: list[np.ndarray]) -> np.ndarray:
    """The variance over n of the first three rows, which is too small by (n - 1) / n."""
    return np.array([VALUES[rows[0]].var(), VALUES[rows[0]].mean()])


def test_bias_of_order_one_over_n_is_taken_away() -> None:
    variance, mean = jackknife(spread, [["a", "b", "c"]])
    assert variance.mean == pytest.approx(7.0)  # 14 / 2
    assert mean.mean == pytest.approx(3.0)
    # without one: 4, 6.25 and 0.25; 2 / 3 of the squares around 3.5
    error = math.sqrt(2 / 3 * (0.5**2 + 2.75**2 + 3.25**2))
    assert variance.high - variance.mean == pytest.approx(4.302653 * error, rel=1e-6)
    assert variance.mean - variance.low == pytest.approx(4.302653 * error, rel=1e-6)
    assert (variance.n, variance.groups) == (3, 3)
    assert math.isnan(variance.sd)


def test_errors_of_two_samples_add_up_and_the_fewer_tracks_give_the_degrees() -> None:
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
        ("aaab", [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]),  # without a there is but one row
        ("aaaa", [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]),
        ("abcc", [[1, 2, 3], [0, 2, 3], [0, 1]]),
    ],
)
def test_what_stands_for_a_track(tracks: str, left_out: list[list[int]]) -> None:
    inputs: list[list[int]] = []

    def watched(rows: list[np.ndarray]) -> np.ndarray:
        inputs.append(rows[0].tolist())
        return np.array([VALUES[rows[0]].mean()])

    (value,) = jackknife(watched, [list(tracks)])
    assert inputs == [[0, 1, 2, 3], *left_out]
    assert value.groups == len(set(tracks))


def test_over_forty_tracks_are_left_out_several_at_once() -> None:
    tracks = [str(1000 + number) for number in range(41)]
    sizes: list[int] = []
    jackknife(lambda rows: (sizes.append(len(rows[0])), np.array([0.0]))[1], [tracks])
    assert sizes == [41, *sorted(sizes[1:])]
    assert sorted(sizes[1:]) == [39] + [40] * 39
    sizes.clear()
    jackknife(lambda rows: (sizes.append(len(rows[0])), np.array([0.0]))[1], [tracks[:40]])
    assert sizes == [40] + [39] * 40
