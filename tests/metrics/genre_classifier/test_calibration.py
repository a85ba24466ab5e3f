"""Calibrated probabilities, and what becomes of them."""

import math

import pytest
import torch

from cyclegan_audio.metrics.genre_classifier.calibration import (
    fit_mixing_weight,
    fit_temperature,
    reliability,
)


def test_temperature_undoes_overconfidence() -> None:
    random = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, generator=random) * 2
    labels = (torch.rand(4000, generator=random) < torch.sigmoid(honest)).long()
    assert fit_temperature(3 * honest, labels) == pytest.approx(3, rel=0.1)
    assert fit_temperature(honest / 2, labels) == pytest.approx(0.5, rel=0.1)


def test_few_clips_all_right_do_not_make_certain() -> None:
    logits = torch.tensor([-4.0, -5.0, 4.0, 5.0])
    labels = torch.tensor([0, 0, 1, 1])
    sure = torch.sigmoid(logits / fit_temperature(logits, labels))
    assert 0.6 < float(sure[2]) < 0.9  # Platt's target for two clips is 3/4
    assert fit_temperature(logits[:2], labels[:2]) == 1.0


def test_reliability_by_hand() -> None:
    given = torch.tensor([0.05, 0.05, 0.62, 0.68, 1.0])
    found = reliability(given, torch.tensor([0, 1, 1, 1, 1]))
    assert found.counts == (2, 2, 1)
    assert found.predicted == pytest.approx((0.05, 0.65, 1.0), abs=1e-6)
    assert found.observed == (0.5, 1.0, 1.0)
    assert found.error == pytest.approx((2 * 0.45 + 2 * 0.35) / 5)
    assert math.isnan(reliability(given[:0], torch.zeros(0)).error)


def test_calibrated_probabilities_have_less_error() -> None:
    random = torch.Generator().manual_seed(0)
    honest = torch.randn(2000, generator=random) * 2
    labels = (torch.rand(2000, generator=random) < torch.sigmoid(honest)).long()
    sure = 3 * honest
    calibrated = sure / fit_temperature(sure, labels)
    before, after = (reliability(torch.sigmoid(x), labels).error for x in (sure, calibrated))
    assert after < 0.04 < 0.1 < before


def test_share_goes_to_the_logits_that_know_more() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2

    def heard(clear: float) -> torch.Tensor:
        return clear * (2 * labels - 1) + 1.5 * torch.randn(400, generator=random)

    one, two, noise = heard(2), heard(2), heard(0)
    tracks = [str(place) for place in range(400)]
    assert 0.3 <= fit_mixing_weight(one, two, labels, tracks) <= 0.7
    assert fit_mixing_weight(one, noise, labels, tracks) <= 0.15
    assert fit_mixing_weight(noise, one, labels, tracks) >= 0.85
    assert fit_mixing_weight(one, one, labels, tracks) == 0.5
    assert fit_mixing_weight(one, two, torch.zeros(400), tracks) == 0.5


def test_share_counts_tracks_and_not_clips() -> None:
    labels = torch.arange(300) % 2
    right = (2.0 * labels - 1).where(torch.arange(300) < 200, 1 - 2.0 * labels)  # in the first 200 clips
    assert fit_mixing_weight(right, -right, labels, [str(place) for place in range(300)]) < 0.4
    in_two = [str(place // 100) if place < 200 else str(place) for place in range(300)]
    assert fit_mixing_weight(right, -right, labels, in_two) > 0.6
