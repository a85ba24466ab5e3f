"""CycleGAN as a LightningModule: two generators, two discriminators, one optimiser for each kind."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.errors import UserError
from cyclegan_audio.models.average import GeneratorAverage
from cyclegan_audio.models.engine import Engine, GraphedPhase, Phase
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.judging import Judging, falling
from cyclegan_audio.models.losses import check_weights, reconstruction_loss, weighted_sum
from cyclegan_audio.models.rank_state import gathered, take_own
from cyclegan_audio.models.run_module import RunModule
from cyclegan_audio.models.schedule import LinearDecay

Batch = Mapping[str, Tensor]


class CycleGAN(RunModule):
    """Translates mels between genre A and genre B without pairs (Zhu et al. 2017).

    `gen_ab` maps A to B, `gen_ba` B to A; `disc_a` judges mels of A, `disc_b` mels of B. Batches hold
    `real_a` and `real_b`, each (B, 1, M, F) in [-1, 1].

    Args:
        generator: builds one generator.
        discriminator: builds one discriminator.
        adversarial: turns scores into losses.
        loss_weights: of `adversarial`, `cycle` and `identity`; identity 0 leaves its forward pass out.
        optimizer: builds an optimiser from parameters.
        schedule: of the learning rate.
        pool_size: past fakes that the discriminators see again.
        seed: of the pools' draws.
        engine: how a step is computed.
        identity_until: the share of the run at which the falling identity weight is 0; None keeps it.
        average_decay: of the generators' moving average, which then translates; 0 keeps none.

    Attributes:
        engine: how a step is computed, settled for the device once training begins.
    """

    command = "train"
    loss_names = (
        "gen_total", "adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b", "identity_a", "identity_b",
        "disc_a", "disc_b",
    )  # fmt: skip
    shown_losses = ("gen_total", "cycle_a", "cycle_b", "disc_a", "disc_b")
    small_model = "model=cyclegan_small"

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        adversarial: Judging,
        loss_weights: Mapping[str, float],
        optimizer: Callable[..., Optimizer],
        schedule: LinearDecay,
        pool_size: int = 50,
        seed: int = 0,
        engine: Engine | None = None,
        identity_until: float | None = None,
        average_decay: float = 0.0,
    ) -> None:
        super().__init__(schedule)
        self.engine = (engine or Engine()).on(torch.device("cpu"))
        self.wanted_engine = engine or Engine()
        self.gen_ab, self.gen_ba = generator(), generator()
        self.disc_a, self.disc_b = discriminator(), discriminator()
        self.adversarial = adversarial
        self.average: GeneratorAverage | None = None
        if average_decay != 0:
            self.average = GeneratorAverage(self.generators(), average_decay)
        self.pool_a, self.pool_b = ImagePool(pool_size, seed), ImagePool(pool_size, seed + 1)
        self.loss_weights = check_weights(loss_weights)
        self.identity_start, self.identity_until = self.loss_weights["identity"], identity_until
        falling(self.identity_start, identity_until, 0.0)  # refuses a wrong share before training
        self.make_optimizer = optimizer
        self.seed = seed
        self._ranks: list[dict[str, Any]] = []

    def generators(self) -> dict[str, nn.Module]:
        """The generators that learn, by name."""
        return {"gen_ab": self.gen_ab, "gen_ba": self.gen_ba}

    def translator(self, to_b: bool) -> nn.Module:
        """The generator to use: with averaged weights where they are kept."""
        name = "gen_ab" if to_b else "gen_ba"
        return self.average[name] if self.average is not None else self.generators()[name]

    def forward(self, mel: Tensor, to_b: bool = True) -> Tensor:
        """Translate (B, 1, M, F) to B, or to A."""
        return self.translator(to_b)(mel)

    def setup(self, stage: str) -> None:
        """Settle and prepare how a step is computed, before Lightning moves the networks to the device."""
        trainer = self.trainer
        device = trainer.strategy.root_device
        self.engine = self.wanted_engine.on(device, str(trainer.precision))
        if trainer.world_size > 1:  # each process its pool
            for place, pool in enumerate((self.pool_a, self.pool_b)):
                pool.draws.manual_seed(self.seed + 2 * trainer.global_rank + place)
        self.engine.prepare((self.gen_ab, self.gen_ba, self.disc_a, self.disc_b))
        self.compute: dict[str, Phase] = {"gen": self.generator_phase, "disc": self.discriminator_phase}
        if self.engine.cuda_graphs and not self.adversarial.draws_numbers:
            parameters = {"gen": self.generator_parameters(), "disc": self.discriminator_parameters()}
            self.compute = {
                name: GraphedPhase(phase, parameters[name], lambda: tuple(self.loss_weights.items()))
                for name, phase in self.compute.items()
            }

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the first optimiser learns."""
        return [*self.gen_ab.parameters(), *self.gen_ba.parameters()]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What the second optimiser learns."""
        return [*self.disc_a.parameters(), *self.disc_b.parameters()]

    def configure_optimizers(self) -> list[Optimizer]:
        try:
            optimizers = [
                self.engine.optimizer(self.make_optimizer, parameters)
                for parameters in (self.generator_parameters(), self.discriminator_parameters())
            ]
        except (TypeError, ValueError) as error:
            raise UserError(f"model.optimizer cannot be made from these settings ({error})") from error
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        return optimizers

    def translate_batch(self, batch: Batch, averaged: bool = False) -> dict[str, Tensor]:
        """`fake_*`, `rec_*` and, where the identity loss has a weight, `idt_*`, each (B, 1, M, F).

        `averaged`: by the generators to use, not by those that learn.
        """
        real_a, real_b = batch["real_a"], batch["real_b"]
        gen_ab, gen_ba = self.gen_ab, self.gen_ba
        if averaged:
            gen_ab, gen_ba = self.translator(to_b=True), self.translator(to_b=False)
        if self.loss_weights["identity"] > 0:
            fake_b, idt_b = self.engine.apply(gen_ab, real_a, real_b)
            fake_a, idt_a = self.engine.apply(gen_ba, real_b, real_a)
            out = {"fake_b": fake_b, "fake_a": fake_a, "idt_a": idt_a, "idt_b": idt_b}
        else:
            out = {"fake_b": gen_ab(real_a), "fake_a": gen_ba(real_b)}
        return out | {"rec_a": gen_ba(out["fake_b"]), "rec_b": gen_ab(out["fake_a"])}

    def generator_losses(self, batch: Batch, out: Batch) -> dict[str, Tensor]:
        """The generators' losses, unweighted, as `<term>_<direction or domain>`."""
        losses = {
            "adversarial_ab": self.adversarial.generator(self.disc_b, out["fake_b"]),
            "adversarial_ba": self.adversarial.generator(self.disc_a, out["fake_a"]),
            "cycle_a": reconstruction_loss(out["rec_a"], batch["real_a"]),
            "cycle_b": reconstruction_loss(out["rec_b"], batch["real_b"]),
        }
        for domain in ("a", "b"):
            if f"idt_{domain}" in out:
                losses[f"identity_{domain}"] = reconstruction_loss(
                    out[f"idt_{domain}"], batch[f"real_{domain}"]
                )
        return losses

    def discriminator_losses(self, batch: Batch, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:
        """Each discriminator's, for the reals of its domain and the fakes of it."""
        judge, apply = self.adversarial.discriminator, self.engine.apply
        return {
            "disc_a": judge(self.disc_a, batch["real_a"], fake_a, apply),
            "disc_b": judge(self.disc_b, batch["real_b"], fake_b, apply),
        }

    def generator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """From `real_a` and `real_b`: the generators' losses with their gradients, `fake_a` and `fake_b`."""
        out = self.translate_batch(batch)
        losses = self.generator_losses(batch, out)
        losses = {"gen_total": weighted_sum(losses, self.loss_weights), **losses}
        self.differentiate(losses["gen_total"], self.generator_parameters())
        return {
            name: x.detach()
            for name, x in {**losses, "fake_a": out["fake_a"], "fake_b": out["fake_b"]}.items()
        }

    def discriminator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """From the reals and the pools' fakes: the discriminators' losses with their gradients."""
        losses = self.discriminator_losses(batch, batch["fake_a"], batch["fake_b"])
        self.differentiate(sum(losses.values()), self.discriminator_parameters())
        return {name: loss.detach() for name, loss in losses.items()}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        opt_gen, opt_disc = self.optimizers()  # type: ignore[attr-defined]
        reals = {"real_a": batch["real_a"], "real_b": batch["real_b"]}
        self.guard.start(self.device)
        with self.toggled_optimizer(opt_gen):
            gen = self.compute["gen"](reals)
            self.guard.step(opt_gen, gen["gen_total"])
        if self.average is not None:
            self.average.update(self.generators())
        fakes = {"fake_a": self.pool_a(gen["fake_a"]), "fake_b": self.pool_b(gen["fake_b"])}
        with self.toggled_optimizer(opt_disc):
            disc = self.compute["disc"]({**reals, **fakes})
            self.guard.step(opt_disc, torch.stack(list(disc.values())).sum())
        self.guard.end()
        self.losses = {name: x for name, x in {**gen, **disc}.items() if name not in fakes}
        self.tick()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        progress = self.schedule.progress(self.current_epoch, self.elapsed_s)
        self.adversarial.progress = progress
        self.loss_weights["identity"] = falling(self.identity_start, self.identity_until, progress)
        super().on_train_batch_start(batch, batch_idx)

    def on_train_start(self) -> None:
        super().on_train_start()
        take_own(self._own_state(), self._ranks)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["cyclegan_audio"]["ranks"] = gathered(self._own_state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._ranks = checkpoint["cyclegan_audio"].get("ranks", [])

    def _own_state(self) -> dict[str, nn.Module]:
        """What each of several processes has for itself."""
        draws = {"draws": self.adversarial.draws} if self.adversarial.draws_numbers else {}
        return {"pool_a": self.pool_a, "pool_b": self.pool_b, **draws}
