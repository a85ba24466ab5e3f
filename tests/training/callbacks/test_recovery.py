import csv
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cyclegan_audio.inference.pair_metadata import FORMAT
from cyclegan_audio.models.nonfinite import NonFiniteGuard
from cyclegan_audio.training.callbacks.recovery import NonFiniteRecovery
from cyclegan_audio.training.callbacks.validation import ValidationCallback
from cyclegan_audio.training.csv_log import CSVLog
from cyclegan_audio.utils.errors import UserError

THRESHOLDS = {"disc_wins": 0.99, "moved": 0.05, "variety": 0.2, "checkerboard": 2.0}


class Module(nn.Linear):
    """A network with what the callbacks ask of CycleGAN."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.guard = NonFiniteGuard()
        self.batches = 0
        self.elapsed_s = 0.0
        self.device = torch.device("cpu")


def train(health, module, optimizer, losses) -> None:
    """A step a loss; `health` looks on."""
    trainer = SimpleNamespace(loggers=[], optimizers=[optimizer])
    for loss in losses:
        optimizer.zero_grad()
        total = module(torch.ones(2)).sum() * loss
        total.backward()
        module.guard.start(module.device)
        module.guard.step(optimizer, total)
        module.guard.end()
        module.batches += 1
        health.on_train_batch_end(trainer, module)


def checkpoint(folder, module, optimizer) -> None:
    (folder / "checkpoints").mkdir()
    content = {
        "state_dict": module.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "cyclegan_audio": {"format": FORMAT, "batches": module.batches},
    }
    torch.save(content, folder / "checkpoints" / "last.ckpt")


@pytest.fixture
def started(tmp_path):
    torch.manual_seed(0)
    module = Module()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    health = NonFiniteRecovery(str(tmp_path), every_batches=1, max_in_a_row=2, max_returns=1)
    train(health, module, optimizer, [1.0, 2.0])
    return health, module, optimizer


NAN = float("nan")


def test_single_skipped_batches_are_told_and_harmless(started, capsys):
    health, module, optimizer = started
    train(health, module, optimizer, [NAN, 1.0, NAN, 1.0])
    assert module.guard.state() == {"skipped": 2, "in_a_row": 0}
    assert "2 batches skipped so far, by batch 5" in capsys.readouterr().out
    assert all(p.isfinite().all() for p in module.parameters())


def test_goes_back_to_the_checkpoint_and_then_stops(started, tmp_path, capsys):
    health, module, optimizer = started
    checkpoint(tmp_path, module, optimizer)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    train(health, module, optimizer, [3.0, NAN, NAN])
    assert "back to batch 2" in capsys.readouterr().out
    assert all(torch.equal(value, kept[name]) for name, value in module.state_dict().items())
    assert int(optimizer.state_dict()["state"][0]["step"]) == 2
    assert (module.batches, module.guard.state()["in_a_row"]) == (5, 0)
    with pytest.raises(UserError, match="after 1 returns to a checkpoint"):
        train(health, module, optimizer, [NAN, NAN])


def test_a_loss_scaler_finds_its_scale():
    """Infinite gradients are for the scaler to skip; the batches are not counted as broken."""
    module, scaler = Module(), torch.amp.GradScaler("cpu", init_scale=2.0**20)
    module.guard.scaled = True
    plain = torch.optim.SGD(module.parameters(), lr=1.0)
    steps = SimpleNamespace(
        param_groups=plain.param_groups, step=lambda: (scaler.step(plain), scaler.update())
    )
    start = [p.detach().clone() for p in module.parameters()]
    moved = []
    for _ in range(3):
        plain.zero_grad()
        loss = module(torch.ones(2)).sum()
        (scaler.scale(loss) * 2.0**108).backward()  # infinite in fp32 at a scale of 2^20
        for p in module.parameters():
            p.grad.mul_(2.0**-108)  # inf stays inf
        module.guard.start(module.device)
        module.guard.step(steps, loss)
        module.guard.end()
        moved.append(any(not torch.equal(p, q) for p, q in zip(module.parameters(), start, strict=True)))
    assert moved == [False, True, True]
    assert scaler.get_scale() == 2.0**19
    assert module.guard.state() == {"skipped": 0, "in_a_row": 0}


def test_stops_where_there_is_nothing_to_go_back_to(started):
    with pytest.raises(UserError, match="2 batches in a row are not finite, by batch 4, before the first"):
        train(*started, [NAN, NAN])


def test_a_sign_is_warned_of_once_until_it_has_gone(tmp_path, capsys):
    held_out = ValidationCallback(str(tmp_path), THRESHOLDS)
    bad, good = {"moved_ab": 0.01, "disc_wins_ba": 0.5}, {"moved_ab": 0.5, "disc_wins_ba": 1.0}
    for found in (bad, bad, good):
        held_out.warn(found)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 2
    assert "moved_ab 0.01 (threshold 0.05): the generator copies its input" in lines[0]
    assert "disc_wins_ba 1" in lines[1]
    held_out.warn(bad)
    assert "moved_ab" in capsys.readouterr().out


def test_thresholds_are_all_named(tmp_path):
    with pytest.raises(UserError, match=r"thresholds\.variety"):
        ValidationCallback(str(tmp_path), {**THRESHOLDS, "variety": None})


def test_a_table_keeps_whole_rows_up_to_the_checkpoint(tmp_path):
    columns = ("batch", "loss")
    table = CSVLog(tmp_path / "rows.csv")
    table.start(columns, 0)
    for batch in (10, 20, 30):
        table.add({"batch": batch, "loss": batch / 10})
    with table.file.open("a") as file:
        file.write("1")  # of 15,..., cut off by a full disk
    table.start(columns, 20)
    with table.file.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"batch": "10", "loss": "1.0"},
            {"batch": "20", "loss": "2.0"},
        ]
    table.start(columns, 0)
    assert table.file.read_text().splitlines() == ["batch,loss"]
