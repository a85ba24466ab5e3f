"""Warnings of the validation callback."""

import pytest

from cyclegan_audio.training.callbacks.validation import ValidationCallback
from cyclegan_audio.utils.errors import UserError

THRESHOLDS = {"disc_wins": 0.99, "moved": 0.05, "variety": 0.2, "checkerboard": 2.0}


def test_a_sign_is_warned_of_once_until_it_disappears(tmp_path, capsys):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS)
    bad, good = {"moved_ab": 0.01, "disc_wins_ba": 0.5}, {"moved_ab": 0.5, "disc_wins_ba": 1.0}
    for metrics in (bad, bad, good):
        validation.warn(metrics)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 2
    assert "moved_ab 0.01 (threshold 0.05): the generator copies its input" in lines[0]
    assert "disc_wins_ba 1" in lines[1]
    validation.warn(bad)
    assert "moved_ab" in capsys.readouterr().out


def test_a_missing_threshold_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"thresholds\.variety"):
        ValidationCallback(str(tmp_path), {**THRESHOLDS, "variety": None})
