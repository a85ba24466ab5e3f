"""Recovery from losses that are not finite."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cyclegan_audio.inference.translation_model import METADATA_FORMAT
from cyclegan_audio.models.nonfinite import NonFiniteGuard
from cyclegan_audio.training.callbacks.recovery import NonFiniteRecovery
from cyclegan_audio.utils.errors import UserError


class Module(nn.Linear):
    """A network with the attributes that the callback reads."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.nonfinite_guard = NonFiniteGuard()
        self.batches = 0
        self.elapsed_s = 0.0
        self.device = torch.device("cpu")


def train(recovery, module, optimizer, losses) -> None:
    """Train a step for each loss with the callback."""
    trainer = SimpleNamespace(loggers=[], optimizers=[optimizer])
    for loss in losses:
        optimizer.zero_grad()
        total = module(torch.ones(2)).sum() * loss
        total.backward()
        module.nonfinite_guard.start(module.device)
        module.nonfinite_guard.step(optimizer, total)
        module.nonfinite_guard.end()
        module.batches += 1
        recovery.on_train_batch_end(trainer, module)


def checkpoint(folder, module, optimizer) -> None:
    (folder / "checkpoints").mkdir()
    content = {
        "state_dict": module.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "cyclegan_audio": {"format": METADATA_FORMAT, "batches": module.batches},
    }
    torch.save(content, folder / "checkpoints" / "last.ckpt")


@pytest.fixture
def started(tmp_path):
    torch.manual_seed(0)
    module = Module()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    recovery = NonFiniteRecovery(str(tmp_path), every_batches=1, max_in_a_row=2, max_returns=1)
    train(recovery, module, optimizer, [1.0, 2.0])
    return recovery, module, optimizer


NAN = float("nan")


def test_single_skipped_batches_are_reported_and_harmless(started, capsys):
    recovery, module, optimizer = started
    train(recovery, module, optimizer, [NAN, 1.0, NAN, 1.0])
    assert module.nonfinite_guard.state() == {"skipped": 2, "in_a_row": 0}
    assert "2 of 5 batches skipped" in capsys.readouterr().out
    assert all(p.isfinite().all() for p in module.parameters())


def test_restores_the_checkpoint_and_then_stops(started, tmp_path, capsys):
    recovery, module, optimizer = started
    checkpoint(tmp_path, module, optimizer)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    train(recovery, module, optimizer, [3.0, NAN, NAN])
    assert "restored batch 2" in capsys.readouterr().out
    assert all(torch.equal(value, kept[name]) for name, value in module.state_dict().items())
    assert int(optimizer.state_dict()["state"][0]["step"]) == 2
    assert (module.batches, module.nonfinite_guard.state()["in_a_row"]) == (5, 0)
    with pytest.raises(UserError, match="after 1 recoveries"):
        train(recovery, module, optimizer, [NAN, NAN])


def test_a_loss_scaler_handles_infinite_gradients():
    """The scaler skips infinite gradients; these batches are not counted as skipped."""
    module, scaler = Module(), torch.amp.GradScaler("cpu", init_scale=2.0**20)
    module.nonfinite_guard.scaled = True
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
        module.nonfinite_guard.start(module.device)
        module.nonfinite_guard.step(steps, loss)
        module.nonfinite_guard.end()
        moved.append(any(not torch.equal(p, q) for p, q in zip(module.parameters(), start, strict=True)))
    assert moved == [False, True, True]
    assert scaler.get_scale() == 2.0**19
    assert module.nonfinite_guard.state() == {"skipped": 0, "in_a_row": 0}


def test_stops_without_a_checkpoint(started):
    with pytest.raises(UserError, match="2 batches in a row are not finite at batch 4, before the first"):
        train(*started, [NAN, NAN])
