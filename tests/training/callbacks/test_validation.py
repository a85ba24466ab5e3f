"""Warnings of the validation callback, and the end of a run whose score does not fall any more."""

import math
from types import SimpleNamespace

import pytest

from cyclegan_audio.models.losses.restoration import RestorationWarmUp
from cyclegan_audio.models.lr_schedules import LinearDecay
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


def test_early_stop_is_on_or_off(tmp_path):
    with pytest.raises(UserError, match="early_stop must be true or false"):
        ValidationCallback(str(tmp_path), THRESHOLDS, early_stop="later")


def test_a_missing_threshold_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"thresholds\.variety"):
        ValidationCallback(str(tmp_path), {**THRESHOLDS, "variety": None})


SCORES = [0.9, 0.5, 0.7, 0.6, 0.8, 0.5, 0.6, 0.4, 0.5]


def validate(validation, scores, schedule, monkeypatch, first_epoch=0, warm_up=0.0):
    """Validate once an epoch of 10 batches; return the epochs after which training was to stop."""
    monkeypatch.setattr(validation, "translate_clips", lambda trainer, module: ({}, {}))
    module = SimpleNamespace(schedule=schedule, batches=10 * first_epoch, elapsed_s=0.0)
    module.warm_up = RestorationWarmUp(warm_up, True, None, schedule)
    module.log_dict = lambda *args, **options: None
    stops = []
    for epoch, score in enumerate(scores, first_epoch):
        trainer = SimpleNamespace(current_epoch=epoch, is_global_zero=False, loggers=[], should_stop=False)
        module.batches += 10
        package = "cyclegan_audio.training.callbacks.validation"
        monkeypatch.setattr(f"{package}.validation_metrics", lambda clips, score=score: {"score": score})
        monkeypatch.setattr(f"{package}.validation_diagnostics", lambda clips: {})
        validation.validate(trainer, module)
        if trainer.should_stop:
            stops.append(epoch + 1)
    return stops


def test_a_score_that_does_not_fall_is_warned_of_once_with_the_best_checkpoint(tmp_path, capsys, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS)
    assert validate(validation, SCORES, LinearDecay(6, 6), monkeypatch) == []
    (line,) = capsys.readouterr().out.splitlines()  # epoch 6 is 4 of 12 after epoch 2
    assert "has not fallen for a third of the run: early_stop=true would end the run" in line
    assert f"best after 20 batches: {tmp_path / 'checkpoints' / 'best.ckpt'}" in line
    assert validation.best == (0.4, 80)
    assert validate(validation, [0.5] * 6, LinearDecay(8, 8), monkeypatch, first_epoch=9) == []
    assert "best after 80 batches" in capsys.readouterr().out  # it is warned of again after it was better


def test_a_run_that_ends_within_its_pre_training_is_warned_of(tmp_path, capsys, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    schedule = LinearDecay(6, 6)
    warm_up = RestorationWarmUp(0.0, True, 60, schedule)
    warm_up.update(1.0, 600.0)
    monkeypatch.setattr("tests.training.callbacks.test_validation.RestorationWarmUp", lambda *_: warm_up)
    assert validate(validation, [0.5] + [0.6] * 11, schedule, monkeypatch) == []
    assert "the run ended within pretrain_minutes=" in capsys.readouterr().out


def test_early_stop_ends_the_run(tmp_path, capsys, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    assert validate(validation, SCORES, LinearDecay(6, 6), monkeypatch) == [6, 7]
    assert "a third of the run: training ends; it was best" in capsys.readouterr().out


def test_a_longer_run_has_more_patience(tmp_path, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    assert validate(validation, SCORES, LinearDecay(9, 9), monkeypatch) == []


def test_patience_goes_on_after_a_resume(tmp_path, monkeypatch):
    first = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    assert validate(first, SCORES[:4], LinearDecay(6, 6), monkeypatch) == []
    second = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    second.load_state_dict(first.state_dict())
    assert validate(second, SCORES[4:6], LinearDecay(6, 6), monkeypatch, first_epoch=4) == [6]


def test_patience_begins_anew_after_the_warm_up_and_with_a_checkpoint_of_old(tmp_path, monkeypatch):
    options = {"warm_up": 0.25, "schedule": LinearDecay(6, 6), "monkeypatch": monkeypatch}
    validation = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    assert validate(validation, SCORES[:7], **options) == [7]  # a third after the quarter
    old = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    old.load_state_dict({"best": (0.1, 10), "warned": []})
    assert validate(old, SCORES[:6], **options, first_epoch=4) == [9, 10]  # a third after the fifth epoch


def test_early_stop_says_so_after_a_resume_too(tmp_path, capsys, monkeypatch):
    first = ValidationCallback(str(tmp_path), THRESHOLDS)
    assert validate(first, SCORES[:6], LinearDecay(6, 6), monkeypatch) == []
    second = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    second.load_state_dict(first.state_dict())
    capsys.readouterr()
    assert validate(second, [0.6], LinearDecay(6, 6), monkeypatch, first_epoch=6) == [7]
    assert "training ends; it was best after 20 batches" in capsys.readouterr().out


def test_neither_one_worse_score_nor_the_last_one_is_stale(tmp_path, capsys, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS, early_stop=True)
    assert validate(validation, [0.5, 0.6], LinearDecay(1, 1), monkeypatch) == []
    assert validate(validation, [0.6], LinearDecay(1, 2), monkeypatch, first_epoch=2) == []
    assert capsys.readouterr().out == ""


def test_a_score_that_is_not_a_number_is_never_the_best(tmp_path, monkeypatch):
    validation = ValidationCallback(str(tmp_path), THRESHOLDS)
    validate(validation, [math.nan, 0.7, math.nan], LinearDecay(6, 6), monkeypatch)
    assert validation.best == (0.7, 20)
