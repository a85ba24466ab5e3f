"""Test temperatures, mixing weights and reliability."""

import math

import pytest
import torch

from cyclegan_audio.metrics.genre_classifier.calibration import (
    fit_mixing_weight,
    fit_temperature,
    reliability,
)


def test_fit_temperature_corrects_overconfidence() -> None:
    random = torch.Generator().manual_seed(0)
    calibrated_logits = torch.randn(4000, generator=random) * 2
    labels = (torch.rand(4000, generator=random) < torch.sigmoid(calibrated_logits)).long()
    assert fit_temperature(3 * calibrated_logits, labels) == pytest.approx(3, rel=0.1)
    assert fit_temperature(calibrated_logits / 2, labels) == pytest.approx(0.5, rel=0.1)


def test_fit_temperature_of_few_correct_clips_is_not_certain() -> None:
    logits = torch.tensor([-4.0, -5.0, 4.0, 5.0])
    labels = torch.tensor([0, 0, 1, 1])
    overconfident = torch.sigmoid(logits / fit_temperature(logits, labels))
    assert 0.6 < float(overconfident[2]) < 0.9  # Platt's target for two clips is 3/4
    assert fit_temperature(logits[:2], labels[:2]) == 1.0


def test_fit_temperature_reaches_the_smoothed_labels() -> None:
    """Of two clips each the targets are 3/4 and 1/4: logits of 4 become log 3."""
    temperature = fit_temperature(torch.tensor([-4.0, -4.0, 4.0, 4.0]), torch.tensor([0, 0, 1, 1]))
    assert 4 / temperature == pytest.approx(math.log(3), rel=0.04)
    assert fit_temperature(torch.tensor([-4.0, 4.0, 4.0]), torch.tensor([0, 1, 1])) > 2


def test_reliability_has_a_bin_of_each_tenth() -> None:
    assert reliability(torch.arange(0.05, 1, 0.1), torch.ones(10)).counts == (1,) * 10


def test_reliability_by_hand() -> None:
    probabilities = torch.tensor([0.05, 0.05, 0.62, 0.68, 1.0])
    result = reliability(probabilities, torch.tensor([0, 1, 1, 1, 1]))
    assert result.counts == (2, 2, 1)
    assert result.predicted == pytest.approx((0.05, 0.65, 1.0), abs=1e-6)
    assert result.observed == (0.5, 1.0, 1.0)
    assert result.error == pytest.approx((2 * 0.45 + 2 * 0.35) / 5)
    assert math.isnan(reliability(probabilities[:0], torch.zeros(0)).error)


def test_calibration_reduces_the_calibration_error() -> None:
    random = torch.Generator().manual_seed(0)
    calibrated_logits = torch.randn(2000, generator=random) * 2
    labels = (torch.rand(2000, generator=random) < torch.sigmoid(calibrated_logits)).long()
    overconfident = 3 * calibrated_logits
    calibrated = overconfident / fit_temperature(overconfident, labels)
    before, after = (reliability(torch.sigmoid(x), labels).error for x in (overconfident, calibrated))
    assert after < 0.04 < 0.1 < before


def test_mixing_weight_prefers_the_more_informative_logits() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2

    def noisy_logits(signal: float) -> torch.Tensor:
        return signal * (2 * labels - 1) + 1.5 * torch.randn(400, generator=random)

    one, two, noise = noisy_logits(2), noisy_logits(2), noisy_logits(0)
    tracks = [str(place) for place in range(400)]
    assert 0.3 <= fit_mixing_weight(one, two, labels, tracks) <= 0.7
    assert fit_mixing_weight(one, noise, labels, tracks) <= 0.15
    assert fit_mixing_weight(noise, one, labels, tracks) >= 0.85
    assert fit_mixing_weight(one, one, labels, tracks) == 0.5
    assert fit_mixing_weight(one, two, torch.zeros(400), tracks) == 0.5


def test_mixing_weight_weights_tracks_equally() -> None:
    labels = torch.arange(300) % 2
    correct = (2.0 * labels - 1).where(torch.arange(300) < 200, 1 - 2.0 * labels)  # in the first 200 clips
    assert fit_mixing_weight(correct, -correct, labels, [str(place) for place in range(300)]) < 0.4
    first_in_two_tracks = [str(place // 100) if place < 200 else str(place) for place in range(300)]
    assert fit_mixing_weight(correct, -correct, labels, first_in_two_tracks) > 0.6
