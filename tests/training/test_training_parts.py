import csv
from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.errors import UserError
from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.generator import ResnetGenerator
from cyclegan_audio.models.schedule import LinearDecay
from cyclegan_audio.training import probe
from cyclegan_audio.training.loss_log import Estimate, LossBar, LossLog


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
        loss_names=CycleGAN.loss_names,
        shown_losses=CycleGAN.shown_losses,
        small_model=CycleGAN.small_model,
    )


@pytest.mark.parametrize(("ratio", "chosen"), [(0.5, "bf16-mixed"), (0.95, "32-true"), (2.0, "32-true")])
def test_bf16_only_where_the_probe_shows_that_it_pays(monkeypatch, ratio, chosen):
    monkeypatch.setattr(probe, "bf16_ratio", lambda device, generator: ratio)
    assert probe.choose_precision("auto", torch.device("cpu"), ResnetGenerator) == chosen
    assert probe.choose_precision("32-true", torch.device("cpu"), ResnetGenerator) == "32-true"


def test_probe_measures_and_keeps_the_random_state():
    before = torch.get_rng_state()
    assert 0 < probe.bf16_ratio(torch.device("cpu"), lambda: ResnetGenerator(4, 1)) < 100
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("ratio", "chosen"), [(0.6, 2), (1.0, 1), (6.0, 1)])
def test_threads_only_where_the_probe_shows_that_they_pay(monkeypatch, ratio, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(probe, "thread_ratio", lambda many, generator: ratio)
    assert probe.choose_threads("auto", ResnetGenerator) == chosen
    assert probe.choose_threads(4, ResnetGenerator) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert probe.choose_threads("auto", ResnetGenerator) == 2


def test_thread_probe_leaves_the_number_of_threads():
    before = torch.get_num_threads()
    assert probe.thread_ratio(2, lambda: ResnetGenerator(4, 1)) > 0
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("wanted", [0, -1, "many"])
def test_unknown_threads(wanted):
    with pytest.raises(UserError, match="threads="):
        probe.choose_threads(wanted, ResnetGenerator)


def test_unknown_precision():
    with pytest.raises(UserError, match="precision=8 is not known"):
        probe.choose_precision("8", torch.device("cpu"), ResnetGenerator)


def test_long_runs_on_a_cpu_are_told_how_to_be_short():
    text = Estimate(long_hours=2).text(trainer(), module(batches=20), step_s=100.0)  # 180 batches: 5 h
    assert "about 5 h 00 min" in text
    assert "model=cyclegan_small" in text
    assert "max_minutes=" in text
    assert "model=" not in Estimate(long_hours=6).text(trainer(), module(batches=20), step_s=100.0)
    limited = Estimate().text(trainer(), module(batches=20, max_minutes=3), step_s=100.0)
    assert "about 3 min 00 s" in limited


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


def test_bar_shows_the_losses():
    shown = LossBar().get_metrics(trainer(), module(1, gen_total=2.0, cycle_a=0.12345))
    assert shown == {"gen_total": "2.000", "cycle_a": "0.123"}
