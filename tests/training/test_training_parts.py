import csv
from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.training import autotune
from cyclegan_audio.training.callbacks.loss_logging import LossLog
from cyclegan_audio.utils.errors import UserError


def trainer(batches_an_epoch: int = 100):
    optimizer = SimpleNamespace(param_groups=[{"lr": 1e-4}])
    return SimpleNamespace(
        num_training_batches=batches_an_epoch,
        optimizers=[optimizer],
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
        shown_losses=CycleGAN.shown_losses,
        small_model=CycleGAN.small_model,
    )


@pytest.mark.parametrize(("is_fast", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_where_the_device_is_fast_at_it(monkeypatch, is_fast, chosen):
    monkeypatch.setattr(autotune, "has_fast_bf16", lambda device: is_fast)
    assert autotune.choose_precision("auto", torch.device("cpu")) == chosen
    assert autotune.choose_precision("16-mixed", torch.device("cpu")) == "16-mixed"


@pytest.mark.parametrize(("ratio", "chosen"), [(0.6, 2), (1.0, 1), (6.0, 1)])
def test_threads_only_where_the_probe_shows_that_they_pay(monkeypatch, ratio, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(autotune, "thread_ratio", lambda many, generator: ratio)
    assert autotune.choose_threads("auto", ResnetGenerator) == chosen
    assert autotune.choose_threads(4, ResnetGenerator) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert autotune.choose_threads("auto", ResnetGenerator) == 2


def test_thread_probe_leaves_the_number_of_threads_and_the_random_state():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert 0 < autotune.thread_ratio(2, lambda: ResnetGenerator(4, 1)) < 100
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("wanted", [0, -1, "many"])
def test_unknown_threads(wanted):
    with pytest.raises(UserError, match="threads must be auto or an integer >= 1"):
        autotune.choose_threads(wanted, ResnetGenerator)


def test_unknown_precision():
    with pytest.raises(UserError, match="precision=8 is not known"):
        autotune.choose_precision("8", torch.device("cpu"))


def test_rows_hold_means_and_a_later_row_than_the_checkpoint_is_cut(tmp_path):
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


def test_means_leave_out_what_is_not_finite(tmp_path):
    log = LossLog(str(tmp_path), every_batches=3)
    log.on_train_start(trainer(), module())
    for batch, loss in enumerate([1.0, float("nan"), 3.0, *3 * [float("inf")]], start=1):
        log.on_train_batch_end(trainer(), module(batch, cycle_a=loss, disc_b=1.0))
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["batch"], row["cycle_a"], row["disc_b"]) for row in rows] == [("3", "2.0", "1.0")]


def test_a_term_that_is_left_out_from_a_batch_on_begins_a_new_row(tmp_path):
    log = LossLog(str(tmp_path), every_batches=4)
    log.on_train_start(trainer(), module())
    log.on_train_batch_end(trainer(), module(1, cycle_a=1.0, identity_a=3.0))
    log.on_train_batch_end(trainer(), module(2, cycle_a=2.0))
    log.on_train_epoch_end(trainer(), module(2))
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = [(row["cycle_a"], row["identity_a"]) for row in csv.DictReader(file)]
    assert rows == [("1.0", "3.0"), ("2.0", "")]
