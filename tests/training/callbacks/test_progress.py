"""The progress bar and the time estimate of a run."""

import math
import re
from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.training.callbacks.progress import LossProgressBar, TimeEstimate, format_losses
from cyclegan_audio.utils import progress
from cyclegan_audio.vocoders.vocos_training import VocoderGAN

TERMS = {"cycle_a": "cycle", "cycle_b": "cycle", "disc_a": "disc", "disc_b": "disc", "gen_total": "gen"}
TRAINER = SimpleNamespace(num_training_batches=100, current_epoch=0, is_global_zero=True)


def module(batches: int = 0, elapsed_s: float = 0.0, max_minutes: float | None = None, **losses: float):
    return SimpleNamespace(
        batches=batches,
        elapsed_s=elapsed_s,
        schedule=LinearDecay(1, 1, max_minutes),
        device=torch.device("cpu"),
        losses={name: torch.tensor(value) for name, value in losses.items()},
        loss_terms=TERMS,
        progress_bar_losses=CycleGAN.progress_bar_losses,
        small_model=CycleGAN.small_model,
    )


def estimates(capsys, paces_s: list[float], device: str = "cpu", first: int = 0) -> list[tuple[int, str]]:
    """Return the batches and messages of a run whose batches take `paces_s`."""
    estimate, run, messages = TimeEstimate(), module(first, elapsed_s=50.0), []
    run.device = torch.device(device)
    estimate.on_train_start(TRAINER, run)
    for pace_s in paces_s:
        run.batches, run.elapsed_s = run.batches + 1, run.elapsed_s + pace_s
        estimate.on_train_batch_end(TRAINER, run)
        messages += [(run.batches, line) for line in capsys.readouterr().out.splitlines()]
    return messages


@pytest.mark.parametrize(
    ("pace_s", "device", "batch"),
    [
        (0.1, "cpu", 21),  # the first batch is warm-up
        (2.2, "cpu", 13),  # after 28.6 s
        (11.0, "cpu", 2),
        (16.0, "cpu", 1),  # a second batch would end after 30 s
        (60.0, "cpu", 1),
        (60.0, "cuda", 2),  # the first batch compiles
    ],
)
def test_the_first_estimate_comes_within_half_a_minute(capsys, pace_s, device, batch):
    messages = estimates(capsys, [pace_s] * 30, device)
    assert [first for first, _ in messages] == [batch]
    line = messages[0][1]
    assert line.startswith(f"{pace_s:.2g} s per batch: training ends in about ")
    assert progress.format_duration(pace_s * (200 - batch)) in line
    assert re.search(r"at \d\d:\d\d", line)


def test_a_wrong_estimate_is_corrected_once(capsys):
    messages = estimates(capsys, [1.0] * 21 + [4.0] * 150)
    assert [batch for batch, _ in messages] == [21, 101]
    assert messages[1][1].startswith("new estimate: 3.4 s per batch")
    assert len(estimates(capsys, [1.0] * 21 + [1.2] * 150)) == 1
    assert [batch for batch, _ in estimates(capsys, [90.0, *[0.5] * 150], "cpu")] == [1, 6]


def test_a_resumed_run_counts_what_is_left(capsys):
    assert estimates(capsys, [1.0] * 30, first=100)[0][0] == 121
    assert "about 79 s" in estimates(capsys, [1.0] * 30, first=100)[0][1]


def test_long_runs_on_a_cpu_get_a_hint():
    text = TimeEstimate(long_hours=2).text(TRAINER, module(20), step_s=100.0)  # 180 batches: 5 h
    assert "about 5 h 00 min" in text
    assert "model=cyclegan_small is several times faster" in text
    assert "max_minutes=" in text
    assert "\n" not in text
    assert "model=" not in TimeEstimate(long_hours=6).text(TRAINER, module(20), step_s=100.0)
    assert "about 3 min" in TimeEstimate().text(TRAINER, module(20, max_minutes=3), step_s=100.0)


def test_a_run_without_end_gets_an_estimate():
    run = module()
    run.schedule = LinearDecay(10**300, 0)
    assert "training ends in about" in TimeEstimate().text(TRAINER, run, 0.1)


def test_progress_bar_losses_are_means_of_their_terms(tiny_model):
    run = module(cycle_a=0.5, cycle_b=0.25, disc_a=0.1, gen_total=9.0)
    assert format_losses(run, run.losses) == "cycle 0.375, disc 0.100"
    assert format_losses(run, {}) == ""
    for model in (tiny_model(), tiny_model("model=cut_small"), VocoderGAN):
        assert 2 <= len(model.progress_bar_losses) <= 3
        assert set(model.progress_bar_losses) <= set(model.loss_terms.values())


def test_a_loss_that_a_batch_leaves_out_keeps_its_value(capsys, monkeypatch):
    """The cycle loss of every second batch, also of a batch that is not shown; nothing of an older run."""
    bar, run = LossProgressBar(), module()

    def train(*batches: tuple[bool, dict[str, float]]) -> None:
        bar.on_train_start(TRAINER, run)
        for number, (is_shown, losses) in enumerate(batches):
            monkeypatch.setattr(progress, "LINE_S", 0.0 if is_shown else math.inf)
            run.losses = module(**losses).losses
            bar.on_train_batch_end(TRAINER, run, None, None, number)
        bar.on_train_end()

    train(
        (True, {"disc_a": 0.5}),
        (True, {"disc_a": 0.4, "cycle_a": 0.3}),
        (True, {"disc_a": 0.25}),
        (False, {"disc_a": 0.25, "cycle_a": 0.2}),
        (True, {"disc_a": 0.1}),
    )
    train((True, {"disc_a": 0.9}))
    train((True, {"cycle_a": 0.7}), (True, {"disc_a": 0.6}))  # a new loss begins a new part
    assert [line.split("/100, ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "disc 0.500",
        "cycle 0.300, disc 0.400",
        "cycle 0.300, disc 0.250",
        "cycle 0.200, disc 0.100",
        "disc 0.900",
        "cycle 0.700",
        "disc 0.600",
    ]


def test_a_run_without_a_terminal_prints_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    bar, run = LossProgressBar(), module(cycle_a=0.5, disc_b=0.25)
    bar.on_train_start(TRAINER, run)
    for batch in range(2):
        run.batches, run.elapsed_s = batch + 1, 60.0 * (batch + 1)
        bar.on_train_batch_end(TRAINER, run, None, None, batch)
    bar.on_train_end()
    assert capsys.readouterr().err == (
        "epoch 1/2, batch 1/100, cycle 0.500, disc 0.250\n"
        "epoch 1/2, batch 2/100, cycle 0.500, disc 0.250, 3 h 18 min left\n"
    )
    quiet = LossProgressBar()
    quiet.disable()
    quiet.on_train_start(TRAINER, run)
    quiet.on_train_batch_end(TRAINER, run, None, None, 2)
    assert capsys.readouterr().err == ""
