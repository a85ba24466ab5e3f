"""CUDA graphs train as plain steps do."""

from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader

from cyclegan_audio.models.acceleration import MAX_GRAPHS, WARM_UP_STEPS, CapturedPhase, GraphedPhase
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
@pytest.mark.parametrize(
    ("cycle_every", "n_graphs"), [(1, {"gen": 1, "disc": 1}), (2, {"gen": 2, "disc": 1})]
)
def test_cuda_graphs_give_the_losses_of_plain_steps(tiny_model, cycle_every, n_graphs):
    overrides = f"model.cycle_every={cycle_every}"
    graphed = tiny_model("acceleration.cuda_graphs=true", overrides)
    losses = train(graphed, "gpu")
    assert {name: len(phase.captured) for name, phase in graphed.phases.items()} == n_graphs
    plain = train(tiny_model("acceleration.cuda_graphs=false", overrides), "gpu")
    for row, expected in zip(losses, plain, strict=True):
        assert row == pytest.approx(expected, rel=0.01)


def test_a_graph_is_kept_for_each_combination_of_constants(monkeypatch):
    """Two kinds of batches in turn, each captured once; then more kinds than graphs are kept."""
    captured, warmed, replayed = [], [], []
    constants = [0]

    def capture(self, inputs):
        number = constants[0]
        captured.append(number)
        graph = SimpleNamespace(replay=lambda: replayed.append(number))
        return CapturedPhase(graph, {"x": torch.zeros(2)}, {"y": torch.tensor(number)}, [])

    monkeypatch.setattr(GraphedPhase, "_capture", capture)
    monkeypatch.setattr(GraphedPhase, "_warm_up", lambda self, inputs: warmed.append(constants[0]) or {})
    phase = GraphedPhase(lambda x: {}, [], lambda: constants[0])

    def call(number: int):
        constants[0] = number
        return phase({"x": torch.ones(2)})

    for number in [0, 1] * (WARM_UP_STEPS + 2):
        outputs = call(number)
    assert warmed == [0, 1] * WARM_UP_STEPS
    assert captured == [0, 1]
    assert replayed == [0, 1, 0, 1]
    assert outputs == {"y": torch.tensor(1)}
    for number in range(2, MAX_GRAPHS + 1):
        for _ in range(WARM_UP_STEPS + 1):
            call(number)
    assert len(phase.captured) == MAX_GRAPHS
    call(1)
    call(0)  # the one that was not used for longest is captured again
    assert captured == [0, 1, *range(2, MAX_GRAPHS + 1), 0]


def test_the_phase_of_generators_depends_on_which_losses_are_due(tiny_model):
    model = tiny_model("model.cycle_every=2")
    constants = []
    for model.batches in range(4):
        constants.append(model._generator_constants())
    assert constants[0] == constants[2] != constants[1] == constants[3]
