"""CycleGAN: losses by hand, the training step, gradients and resuming."""

import copy

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from cyclegan_audio.models.acceleration import Acceleration
from cyclegan_audio.models.losses.terms import LossTerm, weighted_sum


class Fill(nn.Module):
    """Stands in for a network: remembers what it saw, returns its input times `factor`."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.inputs: list[torch.Tensor] = []

    def forward(self, x):
        self.inputs.append(x.detach().clone())
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
    total = weighted_sum(model.generator_losses(batch(), out), model.loss_weights, model.loss_terms)
    assert float(total.detach()) == pytest.approx(0.0625 + 2.25 + 5 * 0.625)
    disc = model.discriminator_losses({**batch(), **out})
    assert float(disc["disc_a"].detach()) == pytest.approx(0.5 * ((0.5 - 1) ** 2 + 0.5**2))
    assert float(disc["disc_b"].detach()) == pytest.approx(0.5 * ((-0.75 - 1) ** 2 + 0.75**2))


def test_disc_a_gets_only_mels_of_a(tiny_model):
    model = with_fills(tiny_model("acceleration.joint_forwards=false"))
    out = model.translate_batch(batch())
    model.generator_losses(batch(), out)
    model.discriminator_losses({**batch(), **out})
    mels_of_a = {0.5, -0.5}  # real_a, and gen_ba(real_b) = 2 * -0.25
    mels_of_b = {-0.25, 0.25}
    assert {float(x.mean()) for x in model.disc_a.inputs} == mels_of_a
    assert {float(x.mean()) for x in model.disc_b.inputs} == mels_of_b


@pytest.mark.parametrize(("weight", "passes"), [(0, 2), (5, 3)])
def test_identity_weight_zero_leaves_its_pass_out(tiny_model, weight, passes):
    model = with_fills(
        tiny_model("acceleration.joint_forwards=false", f"model.loss_weights.identity={weight}")
    )
    losses = model.generator_losses(batch(), model.translate_batch(batch()))
    assert len(model.gen_ab.inputs) == len(model.gen_ba.inputs) == passes
    assert ("identity_a" in losses) == (weight > 0)


class Reconstruction(LossTerm):
    """A term from outside that reads `rec_*`."""

    def forward(self, model, mels, direction):
        return mels[f"rec_{direction[0]}"].abs().mean()


def test_extra_losses_read_reconstructions_in_every_batch(tiny_model):
    term = f"+model.extra_losses.echo={{_target_:{__name__}.Reconstruction,weight:1.0}}"
    model = tiny_model("model.cycle_every=2", term, "n_epochs=1", "n_epochs_decay=0")
    names = []
    model.on_train_batch_end = lambda *_: names.append(
        {name for name in model.losses if name.startswith(("cycle", "echo"))}
    )
    fit(model, n_batches=2)
    echoes = {"echo_ab", "echo_ba"}
    assert names == [echoes | {"cycle_a", "cycle_b"}, echoes]


@pytest.mark.parametrize("rate", ["-1", "fast"])
def test_invalid_learning_rates_of_discriminators_are_refused(tiny_model, rate):
    with pytest.raises(Exception, match=r"model\.discriminator_lr must be a number >= 0"):
        tiny_model(f"model.discriminator_lr={rate}")


def fit(model, n_batches: int = 1, break_batch: int | None = None, leave_out: int | None = None, **trainer):
    torch.manual_seed(1)
    mels = [
        {"real_a": torch.rand(1, 32, 32) - 0.8, "real_b": torch.rand(1, 32, 32)} for _ in range(n_batches)
    ]
    if break_batch is not None:
        mels[break_batch]["real_a"][0, 3, 4] = torch.nan
    mels = [mel for place, mel in enumerate(mels) if place != leave_out]
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

    def spy(optimizer, loss, step=model.nonfinite_guard.step):
        step(optimizer, loss)
        snapshots.append((state(model.gen_ab, model.gen_ba), state(model.disc_a, model.disc_b)))

    monkeypatch.setattr(model.nonfinite_guard, "step", spy)
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


def phases(model, precise: bool, **engine) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Losses and gradients of both phases on one batch of two."""
    model = copy.deepcopy(model).double() if precise else copy.deepcopy(model)
    model.acceleration = Acceleration(**engine).resolve(torch.device("cpu"))
    model.acceleration.prepare((model.gen_ab, model.gen_ba, model.disc_a, model.disc_b))
    model.manual_backward = lambda loss: loss.backward()
    mels = torch.rand(2, 2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    real_a, real_b = mels.double() if precise else mels
    gen = model.generator_phase({"real_a": real_a, "real_b": real_b})
    fakes = {"fake_a": gen.pop("fake_a"), "fake_b": gen.pop("fake_b")}
    generators = [p.grad.clone() for p in model.generator_parameters()]
    disc = model.discriminator_phase({"real_a": real_a, "real_b": real_b, **fakes})
    return {**gen, **disc}, [*generators, *(p.grad for p in model.discriminator_parameters())]


OPTIONS = [
    {},
    {"joint_forwards": True},
    {"channels_last": True},
    {"joint_forwards": True, "channels_last": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
def test_losses_and_gradients_equal_float64_with_all_accelerations(tiny_model, options):
    model = tiny_model()
    exact_losses, exact = phases(model, precise=True)
    losses, gradients = phases(model, precise=False, **options)
    for name, loss in losses.items():
        assert float(loss) == pytest.approx(float(exact_losses[name]), rel=2e-6)
    scale = torch.cat([g.flatten() for g in exact]).abs().max()
    for mine, wanted in zip(gradients, exact, strict=True):
        torch.testing.assert_close(mine.double(), wanted, rtol=1e-3, atol=2e-5 * float(scale))


def test_a_fused_optimiser_learns_the_same(tiny_model):
    plain, fused = (
        fit(tiny_model("n_epochs=1", "n_epochs_decay=0", f"acceleration.fused_optimizer={is_fused}"))
        for is_fused in (False, True)
    )
    assert all(group["fused"] for o in fused.trainer.optimizers for group in o.param_groups)
    for mine, wanted in zip(state(fused), state(plain), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_updates_that_are_not_finite_are_skipped_and_counted(tiny_model, fused):
    """The second of three batches holds a value that is not a number."""
    overrides = ("n_epochs=1", "n_epochs_decay=0", f"acceleration.fused_optimizer={fused}")
    broken = fit(tiny_model(*overrides), n_batches=3, break_batch=1)
    whole = fit(tiny_model(*overrides), n_batches=3, leave_out=1)
    assert (int(broken.nonfinite_guard.skipped), int(broken.nonfinite_guard.in_a_row)) == (1, 0)
    for mine, wanted in zip(state(broken), state(whole), strict=True):
        assert torch.equal(mine, wanted)
    assert all(stored.isfinite().all() for stored in (broken.pool_a.stored, broken.pool_b.stored))


def test_learning_rate_falls_to_the_last_epoch(tiny_model):
    model = tiny_model("n_epochs=2", "n_epochs_decay=3")
    rates = []
    model.on_train_epoch_end = lambda: rates.append(
        [o.param_groups[0]["lr"] for o in model.trainer.optimizers]
    )
    fit(model)
    assert [gen for gen, _ in rates] == pytest.approx([2e-4, 2e-4, 1.5e-4, 1e-4, 0.5e-4])
    assert [gen for gen, _ in rates] == [disc for _, disc in rates]
    assert model.batches == 5


def test_time_limit_ends_the_run(tiny_model):
    model = tiny_model("n_epochs=50", "n_epochs_decay=50", "max_minutes=1e-6")
    fit(model, n_batches=3)
    assert model.batches == 1


def test_training_learns_a_constant_shift(tiny_model):
    """Twenty epochs on two flat genres: the translation of A comes nearer to B than A is."""
    model = tiny_model("n_epochs=20", "n_epochs_decay=1", "model.optimizer.lr=2e-3")
    fit(model, n_batches=8)
    real_a = torch.rand(1, 1, 32, 32) - 0.8
    with torch.no_grad():
        assert (model(real_a).mean() - 0.5).abs() < (real_a.mean() - 0.5).abs() / 2
        assert torch.equal(model(real_a, "ba"), model.gen_ba(real_a))
