"""Test the loss criterion of the paper on synthetic curves."""

import math

import pytest

from cyclegan_audio.metrics.loss_trends import loss_trend


def test_tenths_by_hand() -> None:
    trend = loss_trend([4.0, 2.0, *[9.0] * 16, 1.0, 0.5])
    assert (trend.first, trend.last, trend.not_finite) == (3.0, 0.75, 0)


@pytest.mark.parametrize(
    ("values", "exploded", "fell"),
    [
        ([1.0 - 0.04 * i for i in range(20)], False, True),
        ([0.2] * 20, False, False),
        ([0.2 + 0.01 * i for i in range(20)], False, False),
        ([0.2 * 1.2**i for i in range(20)], True, False),
        ([1.0] * 9 + [math.nan] + [0.5] * 10, True, True),
        ([1.0] * 9 + [math.inf] + [0.5] * 10, True, True),
        ([1.0] * 10 + [math.nan] * 10, True, False),
        ([0.7], False, False),
    ],
)
def test_exploded_and_fell(values: list[float], exploded: bool, fell: bool) -> None:
    trend = loss_trend(values)
    assert (trend.exploded, trend.fell) == (exploded, fell)


def test_to_dict_has_plain_values() -> None:
    assert loss_trend([math.nan, math.nan]).to_dict() == {
        "first_tenth": None,
        "last_tenth": None,
        "not_finite": 2,
        "exploded": True,
        "fell": False,
    }


def test_loss_trend_raises_without_values() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        loss_trend([])
