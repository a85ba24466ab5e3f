"""Test that figures of classifier results show their inputs."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.reports.figures.classifier_results import (
    confusion_matrices,
    misclassified,
    roc_curves,
    weight_spectrogram,
    weight_table,
)

MEL = MelSpectrogram.from_dict(dict(OmegaConf.load(CONF_DIR / "mel" / "paper.yaml")))


def test_misclassified_clips_have_their_titles() -> None:
    mels = [torch.randn(128, 20) - 40 for _ in range(5)]
    figure = misclassified(mels, [f"clip {i}" for i in range(5)], MEL)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == [f"clip {i}" for i in range(5)]
    np.testing.assert_allclose(panels[2].images[0].get_array(), mels[2].numpy())
    with pytest.raises(ValueError, match="0 clips"):
        misclassified([], [], MEL)


def test_roc_curves_of_perfect_and_inverted_scores() -> None:
    labels = np.array([0, 0, 1, 1])
    figure = roc_curves({"good": (labels, labels), "bad": (labels, -labels)}, "trap")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[:2] == ["good: AUC 1.000", "bad: AUC 0.000"]


def test_confusion_matrices_show_counts_and_percentages() -> None:
    figure = confusion_matrices({"x": np.array([[9, 1], [0, 5]])}, ("lofi", "trap"))
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "9\n90.0%",
        "1\n10.0%",
        "0\n0.0%",
        "5\n100.0%",
    ]


def test_weight_figures_keep_sign_and_position() -> None:
    weights = np.zeros((256, 256))
    weights[200, 30] = -1.0
    image = weight_spectrogram(weights, MEL, 4.0, ("a", "b")).axes[0].images[0]
    assert image.origin == "lower"
    assert image.get_array()[200, 30] == -1
    table = weight_table(np.eye(3, 128), ["x", "y", "z"], MEL, ("a", "b"))
    assert [label.get_text() for label in table.axes[0].get_yticklabels()] == ["x", "y", "z"]
