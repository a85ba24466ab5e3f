import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from cyclegan_audio.models.losses import weighted_sum


class Fill(nn.Module):
    """Stands in for a network: remembers what it saw, returns its input times `factor`."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.seen: list[torch.Tensor] = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return x * self.factor


def batch(a: float = 0.5, b: float = -0.25) -> dict[str, torch.Tensor]:
    return {"real_a": torch.full((1, 1, 8, 8), a), "real_b": torch.full((1, 1, 8, 8), b)}


def with_fills(model):
    model.gen_ab, model.gen_ba, model.disc_a, model.disc_b = Fill(0.5), Fill(2.0), Fill(1.0), Fill(3.0)
    return model


def test_losses_by_hand(tiny_model):
    model = with_fills(tiny_model())
    out = model.translate_batch(batch())
    losses = {name: float(loss.detach()) for name, loss in model.generator_losses(batch(), out).items()}
    # fake_b = 0.25 judged 3 * 0.25; fake_a = -0.5 judged -0.5; cycles are exact;
    # idt_a = 2 * 0.5, idt_b = 0.5 * -0.25
    assert losses == pytest.approx(
        {
            "adversarial_ab": (0.75 - 1) ** 2,
            "adversarial_ba": (-0.5 - 1) ** 2,
            "cycle_a": 0.0,
            "cycle_b": 0.0,
            "identity_a": 0.5,
            "identity_b": 0.125,
        }
    )
    total = weighted_sum(model.generator_losses(batch(), out), model.loss_weights)
    assert float(total.detach()) == pytest.approx(0.0625 + 2.25 + 5 * 0.625)
    disc = model.discriminator_losses(batch(), out["fake_a"], out["fake_b"])
    assert float(disc["disc_a"].detach()) == pytest.approx(0.5 * ((0.5 - 1) ** 2 + 0.5**2))
    assert float(disc["disc_b"].detach()) == pytest.approx(0.5 * ((-0.75 - 1) ** 2 + 0.75**2))


def test_disc_a_sees_only_a(tiny_model):
    model = with_fills(tiny_model())
    out = model.translate_batch(batch())
    model.generator_losses(batch(), out)
    model.discriminator_losses(batch(), out["fake_a"], out["fake_b"])
    mels_of_a = {0.5, -0.5}  # real_a, and gen_ba(real_b) = 2 * -0.25
    mels_of_b = {-0.25, 0.25}
    assert {float(x.mean()) for x in model.disc_a.seen} == mels_of_a
    assert {float(x.mean()) for x in model.disc_b.seen} == mels_of_b


@pytest.mark.parametrize(("weight", "passes"), [(0, 2), (5, 3)])
def test_identity_weight_zero_leaves_its_pass_out(tiny_model, weight, passes):
    model = with_fills(tiny_model(f"model.loss_weights.identity={weight}"))
    losses = model.generator_losses(batch(), model.translate_batch(batch()))
    assert len(model.gen_ab.seen) == len(model.gen_ba.seen) == passes
    assert ("identity_a" in losses) == (weight > 0)


def fit(model, n_batches: int = 1, **trainer):
    torch.manual_seed(1)
    mels = [
        {"real_a": torch.rand(1, 32, 32) - 0.8, "real_b": torch.rand(1, 32, 32)} for _ in range(n_batches)
    ]
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(
        max_epochs=model.schedule.total_epochs,
        accelerator="cpu",
        enable_model_summary=False,
        **quiet,
        **trainer,
    ).fit(model, DataLoader(mels))
    return model


def state(*modules: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for module in modules for p in module.parameters()]


def test_each_step_leaves_the_other_networks_untouched(tiny_model, monkeypatch):
    model = tiny_model("n_epochs=1", "n_epochs_decay=0")
    snapshots = []

    def spy(optimizer, loss, step=model._step):
        step(optimizer, loss)
        snapshots.append((state(model.gen_ab, model.gen_ba), state(model.disc_a, model.disc_b)))

    monkeypatch.setattr(model, "_step", spy)
    snapshots.append((state(model.gen_ab, model.gen_ba), state(model.disc_a, model.disc_b)))
    fit(model)
    start, after_gen, after_disc = snapshots

    def equal(one, two):
        return [torch.equal(x, y) for x, y in zip(one, two, strict=True)]

    assert not any(
        equal(start[0], after_gen[0])[::2]
    )  # every generator weight moved (biases before a norm need not)
    assert all(equal(start[1], after_gen[1]))
    assert all(equal(after_gen[0], after_disc[0]))
    assert not any(equal(after_gen[1], after_disc[1])[::2])


def test_learning_rate_falls_to_the_last_epoch(tiny_model):
    model = tiny_model("n_epochs=2", "n_epochs_decay=3")
    seen = []
    model.on_train_epoch_end = lambda: seen.append(
        [o.param_groups[0]["lr"] for o in model.trainer.optimizers]
    )
    fit(model)
    assert [gen for gen, _ in seen] == pytest.approx([2e-4, 2e-4, 1.5e-4, 1e-4, 0.5e-4])
    assert [gen for gen, _ in seen] == [disc for _, disc in seen]
    assert model.batches == 5


def test_time_limit_ends_the_run(tiny_model):
    model = tiny_model("n_epochs=50", "n_epochs_decay=50", "max_minutes=0.0001")
    fit(model, n_batches=3)
    assert model.batches == 1


def test_training_learns_a_constant_shift(tiny_model):
    """Twenty epochs on two flat genres: the translation of A comes nearer to B than A is."""
    model = tiny_model("n_epochs=20", "n_epochs_decay=1", "model.optimizer.lr=2e-3")
    fit(model, n_batches=8)
    real_a = torch.rand(1, 1, 32, 32) - 0.8
    with torch.no_grad():
        assert (model(real_a).mean() - 0.5).abs() < (real_a.mean() - 0.5).abs() / 2
        assert torch.equal(model(real_a, to_b=False), model.gen_ba(real_a))
