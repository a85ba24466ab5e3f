"""Mean losses in losses.csv."""

import csv
from types import SimpleNamespace

import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.training.callbacks.loss_logging import LossLog


def trainer(batches_an_epoch: int = 100):
    optimizers = [SimpleNamespace(param_groups=[{"lr": lr}]) for lr in (1e-4, 3e-5)]
    return SimpleNamespace(
        num_training_batches=batches_an_epoch,
        optimizers=optimizers,
        current_epoch=0,
        loggers=[],
        is_global_zero=True,
        world_size=1,
    )


def module(batches: int = 0, max_minutes: float | None = None, **losses: float):
    return SimpleNamespace(
        batches=batches,
        elapsed_s=0.0,
        schedule=LinearDecay(1, 1, max_minutes),
        device=torch.device("cpu"),
        losses={name: torch.tensor(value) for name, value in losses.items()},
        loss_terms={"cycle_a": "cycle", "identity_a": "identity", "disc_a": "disc", "disc_b": "disc"},
        progress_bar_losses=CycleGAN.progress_bar_losses,
        small_model=CycleGAN.small_model,
    )


def test_rows_hold_means_and_a_resume_drops_later_rows(tmp_path):
    log = LossLog(str(tmp_path), every_batches=2)
    log.on_train_start(trainer(), module())
    for batch, (cycle, disc) in enumerate([(1.0, 0.5), (3.0, 0.25), (5.0, 1.0), (7.0, 0.0)], start=1):
        log.on_train_batch_end(trainer(), module(batch, cycle_a=cycle, disc_a=disc))
    log.on_train_start(trainer(), module(batches=2))
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["batch"], row["cycle_a"], row["disc_a"]) for row in rows] == [("2", "2.0", "0.375")]
    log.on_train_start(trainer(), module(batches=0))
    assert (tmp_path / "losses.csv").read_text().count("\n") == 1


def test_means_leave_out_batches_that_are_not_finite(tmp_path):
    log = LossLog(str(tmp_path), every_batches=3)
    log.on_train_start(trainer(), module())
    for batch, loss in enumerate([1.0, float("nan"), 3.0, *3 * [float("inf")]], start=1):
        log.on_train_batch_end(trainer(), module(batch, cycle_a=loss, disc_b=1.0))
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["batch"], row["cycle_a"], row["disc_b"]) for row in rows] == [("3", "2.0", "1.0")]


def test_means_are_over_the_batches_that_computed_the_loss(tmp_path):
    """As a term that reaches weight 0, a warm-up and a cycle loss of every second batch leave losses out."""
    log = LossLog(str(tmp_path), every_batches=3)
    log.on_train_start(trainer(), module())
    log.on_train_batch_end(trainer(), module(1, cycle_a=1.0, identity_a=3.0))
    log.on_train_batch_end(trainer(), module(2, cycle_a=2.0))
    log.on_train_batch_end(trainer(), module(3, cycle_a=6.0, identity_a=4.0))
    log.on_train_batch_end(trainer(), module(4, cycle_a=5.0))
    log.on_train_epoch_end(trainer(), module(4))
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = [(row["cycle_a"], row["identity_a"]) for row in csv.DictReader(file)]
    assert rows == [("3.0", "3.5"), ("5.0", "")]


def test_loggers_get_each_loss_once_and_only_where_it_was_computed(tmp_path):
    """A cycle loss of every second batch, of which the last row of the epoch has none."""
    logged = []
    run = trainer()
    run.loggers = [SimpleNamespace(log_metrics=lambda numbers, step: logged.append((step, numbers)))]
    log = LossLog(str(tmp_path), every_batches=2)
    log.on_train_start(run, module())
    for batch in range(1, 7):
        losses = {"disc_a": float(batch)} | ({"cycle_a": 10.0 * batch} if batch % 2 else {})
        log.on_train_batch_end(run, module(batch, **losses))
        if batch in (4, 6):
            log.on_train_epoch_end(run, module(batch))
    log.on_train_batch_end(run, module(8, disc_a=8.0))
    log.on_train_epoch_end(run, module(8))
    others = {"progress/lr": 1e-4, "progress/lr_disc": 3e-5, "progress/epoch": 0}
    assert logged == [
        (2, {"cycle/cycle_a": 10.0, "disc/disc_a": 1.5, **others}),
        (4, {"cycle/cycle_a": 30.0, "disc/disc_a": 3.5, **others}),
        (6, {"cycle/cycle_a": 50.0, "disc/disc_a": 5.5, **others}),
        (8, {"disc/disc_a": 8.0, **others}),
    ]


def test_a_batch_copies_nothing_to_the_device(tmp_path, monkeypatch):
    """A tensor of a Python list would be copied, and every step would wait for the device."""

    def fail(*_):
        raise AssertionError("copied from the host")

    log = LossLog(str(tmp_path), every_batches=9)
    batches = [module(number, cycle_a=1.0) for number in (1, 2)]
    monkeypatch.setattr(torch.Tensor, "new_tensor", fail)
    monkeypatch.setattr(torch, "tensor", fail)
    for batch in batches:
        log.on_train_batch_end(trainer(), batch)
    assert log.sums[1].tolist() == [2.0 * (name == "cycle_a") for name in log.names]
