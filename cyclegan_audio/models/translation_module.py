"""Base of the models that translate between two genres: networks, optimisers, a step, what a run keeps."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.models.acceleration import Acceleration, GraphedPhase, Phase
from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.distributed_state import gathered, take_own
from cyclegan_audio.models.ema import GeneratorEMA
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.adversarial import AdversarialLoss, linear_decay
from cyclegan_audio.models.losses.reconstruction import (
    LossTerm,
    check_terms,
    check_weights,
    list_losses,
    weighted_sum,
)
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.images import check_matching_images
from cyclegan_audio.models.networks.protocols import Generator, check_generator
from cyclegan_audio.utils.rng import SeededRNG

Batch = Mapping[str, Tensor]


class TranslationModule(RunModule):
    """Generators against discriminators, from unpaired batches; its children say by which losses.

    For each direction there is a generator (`gen_ab` maps A to B), and for the genre that it leads to a
    discriminator (`disc_b` judges mels of B) and a pool of past fakes. Batches hold `real_a` and `real_b`,
    each (B, 1, M, F) in [-1, 1].

    Args:
        generator: builds one generator.
        discriminator: builds one discriminator.
        adversarial: turns scores into losses.
        loss_weights: of each of `term_types`; identity 0 leaves its forward pass out.
        optimizer: builds an optimiser from parameters.
        schedule: of the learning rate.
        pool_size: past fakes that the discriminators see again.
        seed: of the pools' draws.
        acceleration: how a step is computed.
        identity_decay_end: the share of the run at which the falling identity weight is 0; None keeps it.
        ema_decay: of the generators' moving average, which then translates; 0 keeps none.
        extra_losses: further terms of the generators' loss, by name.

    Attributes:
        directions: of `DIRECTIONS`, those that it learns.
        term_types: the model's own terms of the generators' loss, by name.
        terms: those and the extra ones.
        generator_protocol: what a generator must have.
        acceleration: how a step is computed, settled for the device once training begins.
    """

    command = "train"
    directions: tuple[str, ...]
    term_types: ClassVar[Mapping[str, type[LossTerm]]]
    generator_protocol: type = Generator

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        adversarial: AdversarialLoss,
        loss_weights: Mapping[str, float],
        optimizer: Callable[..., Optimizer],
        schedule: LinearDecay,
        pool_size: int = 50,
        seed: int = 0,
        acceleration: Acceleration | None = None,
        identity_decay_end: float | None = None,
        ema_decay: float = 0.0,
        extra_losses: Mapping[str, LossTerm] | None = None,
    ) -> None:
        super().__init__(schedule)
        self.acceleration = (acceleration or Acceleration()).resolve(torch.device("cpu"))
        self.requested_acceleration = acceleration or Acceleration()
        for direction in self.directions:
            self.add_module(f"gen_{direction}", check_generator(generator(), self.generator_protocol))
        for domain in self.targets:
            self.add_module(f"disc_{domain}", discriminator())
        check_matching_images([*self.generators().values(), *self.discriminators().values()])
        self.adversarial = adversarial
        self.average: GeneratorEMA | None = None
        if ema_decay != 0:
            self.average = GeneratorEMA(self.generators(), ema_decay)
        for place, domain in enumerate(self.targets):
            self.add_module(f"pool_{domain}", ImagePool(pool_size, seed + place))
        self._make_terms(loss_weights, extra_losses or {})
        self.identity_start, self.identity_decay_end = self.loss_weights["identity"], identity_decay_end
        linear_decay(self.identity_start, identity_decay_end, 0.0)  # refuses a wrong share before training
        self.make_optimizer = optimizer
        self.seed = seed
        self._ranks: list[dict[str, Any]] = []

    def _make_terms(self, loss_weights: Mapping[str, float], extra: Mapping[str, LossTerm]) -> None:
        """Make the terms of the loss, and name all losses."""
        weights = check_weights(loss_weights, tuple(self.term_types))
        extra = check_terms(extra, (*self.term_types, "gen", "disc"))
        terms = {name: make(weights[name]) for name, make in self.term_types.items()} | extra
        self.terms = nn.ModuleDict(terms)
        self.loss_weights = {name: term.weight for name, term in terms.items()}
        self._generator_losses = list_losses(
            {name: term.part for name, term in terms.items()}, self.directions
        )
        self.loss_terms = {
            "gen_total": "gen",
            **{loss.name: loss.term for loss in self._generator_losses},
            **{f"disc_{domain}": "disc" for domain in self.targets},
        }

    @property
    def targets(self) -> list[str]:
        """The domains that it translates to, of `a` and `b`, in this order."""
        return sorted(direction[1] for direction in self.directions)

    def generators(self) -> dict[str, nn.Module]:
        """The generators that learn, by name."""
        return {name: getattr(self, name) for name in (f"gen_{direction}" for direction in self.directions)}

    def discriminators(self) -> dict[str, nn.Module]:
        """By the domain that they judge."""
        return {domain: getattr(self, f"disc_{domain}") for domain in self.targets}

    def inference_generator(self, direction: str) -> nn.Module:
        """The generator to use: with averaged weights where they are kept."""
        name = f"gen_{direction}"
        return self.average[name] if self.average is not None else self.generators()[name]

    @property
    def frame_multiple(self) -> int:
        """The generators take a multiple of this many frames."""
        return self._any_generator.frame_multiple

    def forward(self, mel: Tensor, direction: str = DIRECTIONS[0]) -> Tensor:
        """Translate (B, 1, M, F) in a direction."""
        return self.inference_generator(direction)(mel)

    def translate_batch(self, batch: Batch, averaged: bool = False) -> dict[str, Tensor]:
        """All that the losses and held-out clips want of a batch, each (B, 1, M, F).

        `fake_*` by the domain that they are translated to; where there is a way back `rec_*`, and where the
        identity loss has a weight `idt_*`, by the domain that they come from.

        `averaged`: by the generators to use, not by those that learn.
        """
        raise NotImplementedError

    def generator_losses(self, batch: Batch, out: Batch) -> dict[str, Tensor]:
        """Compute the generators' losses by name, unweighted; `out`: what `translate_batch` gives."""
        mels = {**batch, **out}
        return {
            loss.name: self.terms[loss.term](self, mels, loss.direction)
            for loss in self._generator_losses
            if self.loss_weights[loss.term] > 0 or self.terms[loss.term].always_computed
        }

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Each discriminator's, for the reals of its domain and the fakes of it."""
        judge, apply = self.adversarial.discriminator, self.acceleration.batched_forward
        return {
            f"disc_{domain}": judge(disc, batch[f"real_{domain}"], batch[f"fake_{domain}"], apply)
            for domain, disc in self.discriminators().items()
        }

    def setup(self, stage: str) -> None:
        """Settle and prepare how a step is computed, before Lightning moves the networks to the device."""
        trainer = self.trainer
        device = trainer.strategy.root_device
        self.acceleration = self.requested_acceleration.resolve(device, str(trainer.precision))
        if trainer.world_size > 1:  # each process its pool
            pools = self._pools().values()
            for place, pool in enumerate(pools):
                pool.draws.manual_seed(self.seed + len(pools) * trainer.global_rank + place)
        self.acceleration.prepare([*self.generators().values(), *self.discriminators().values()])
        self.compute: dict[str, Phase] = {"gen": self.generator_phase, "disc": self.discriminator_phase}
        if self.acceleration.cuda_graphs and not self._draws() and trainer.world_size == 1:
            parameters = {"gen": self.generator_parameters(), "disc": self.discriminator_parameters()}
            self.compute = {
                name: GraphedPhase(phase, parameters[name], lambda: tuple(self.loss_weights.items()))
                for name, phase in self.compute.items()
            }

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the first optimiser learns."""
        return _parameters([*self.generators().values(), self.terms])

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What the second optimiser learns."""
        return _parameters(self.discriminators().values())

    def configure_optimizers(self) -> list[Optimizer]:
        return self.build_optimizers(
            partial(self.acceleration.optimizer, self.make_optimizer, parameters)
            for parameters in (self.generator_parameters(), self.discriminator_parameters())
        )

    def generator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """From the reals: the generators' losses with their gradients, and `fake_*`."""
        out = self.translate_batch(batch)
        losses = self.generator_losses(batch, out)
        losses = {"gen_total": weighted_sum(losses, self.loss_weights, self.loss_terms), **losses}
        self.compute_gradients(losses["gen_total"], self.generator_parameters())
        fakes = {name: out[name] for name in (f"fake_{domain}" for domain in self.targets)}
        return {name: x.detach() for name, x in {**losses, **fakes}.items()}

    def discriminator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """From the reals and the pools' fakes: the discriminators' losses with their gradients."""
        losses = self.discriminator_losses(batch)
        self.compute_gradients(sum(losses.values()), self.discriminator_parameters())
        return {name: loss.detach() for name, loss in losses.items()}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        opt_gen, opt_disc = self.optimizers()  # type: ignore[attr-defined]
        reals = {name: self._any_generator.training_input(batch[name]) for name in ("real_a", "real_b")}
        self.guard.start(self.device)
        with self.toggled_optimizer(opt_gen):
            gen = self.compute["gen"](reals)
            self.guard.step(opt_gen, gen["gen_total"])
        if self.average is not None:
            self.average.update(self.generators())
        fakes = {name: pool(gen[name]) for name, pool in self._pools().items()}
        with self.toggled_optimizer(opt_disc):
            disc = self.compute["disc"]({**reals, **fakes})
            self.guard.step(opt_disc, torch.stack(list(disc.values())).sum())
        self.guard.end()
        self.losses = {name: x for name, x in {**gen, **disc}.items() if name not in fakes}
        self.count_batch()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        progress = self.schedule.progress(self.current_epoch, self.elapsed_s)
        self.adversarial.progress = progress
        self.loss_weights["identity"] = linear_decay(self.identity_start, self.identity_decay_end, progress)
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

    @property
    def _any_generator(self) -> Generator:
        """One of the generators, which are alike."""
        generator = getattr(self, f"gen_{self.directions[0]}")
        assert isinstance(generator, Generator)
        return generator

    def _pools(self) -> dict[str, ImagePool]:
        """By the fakes that they keep."""
        return {f"fake_{domain}": getattr(self, f"pool_{domain}") for domain in self.targets}

    def _draws(self) -> dict[str, nn.Module]:
        """What draws random numbers within a step, which a CUDA graph would repeat."""
        draws: dict[str, nn.Module] = {
            f"terms.{name}": module
            for name, module in self.terms.named_modules()
            if isinstance(module, SeededRNG)
        }
        return draws | ({"draws": self.adversarial.draws} if self.adversarial.draws_numbers else {})

    def _own_state(self) -> dict[str, nn.Module]:
        """What each of several processes has for itself."""
        pools = {name.replace("fake", "pool"): pool for name, pool in self._pools().items()}
        return {**pools, **self._draws()}


def _parameters(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters()]
