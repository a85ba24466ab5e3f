"""CUDA graphs train as plain steps do."""

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader

from cyclegan_audio.models.acceleration import WARM_UP_STEPS
from cyclegan_audio.models.cyclegan import CycleGAN


class Losses(Callback):
    """Keeps the losses of each batch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer, pl_module, *args) -> None:
        self.rows.append({name: float(value) for name, value in pl_module.losses.items()})


def train(model: CycleGAN, accelerator: str) -> list[dict[str, float]]:
    """Train for twelve batches; return their losses."""
    draws = torch.Generator().manual_seed(0)
    mels = torch.rand(WARM_UP_STEPS + 9, 2, 1, 32, 32, generator=draws) * 2 - 1
    losses = Losses()
    trainer = Trainer(
        accelerator=accelerator, devices=1, max_epochs=1, callbacks=[losses], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader([{"real_a": a, "real_b": b} for a, b in mels]))
    return losses.rows


@pytest.mark.gpu
def test_cuda_graphs_give_the_losses_of_plain_steps(tiny_model):
    graphed = tiny_model("acceleration.cuda_graphs=true")
    losses = train(graphed, "gpu")
    assert all(phase.graph is not None for phase in graphed.phases.values())
    plain = train(tiny_model("acceleration.cuda_graphs=false"), "gpu")
    for row, expected in zip(losses, plain, strict=True):
        assert row == pytest.approx(expected, rel=0.01)
