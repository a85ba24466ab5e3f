"""Base LightningModule of translation models: networks, losses, training step, state of each rank."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.acceleration import Acceleration, GraphedPhase, Phase
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.directions import DIRECTIONS, DOMAINS
from cyclegan_audio.models.ema import GeneratorEMA
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.adversarial import AdversarialLoss, linear_decay
from cyclegan_audio.models.losses.restoration import Corruption, RestorationWarmUp, used_corruption
from cyclegan_audio.models.losses.terms import (
    LossTerm,
    check_terms,
    check_weights,
    list_losses,
    weighted_sum,
)
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.discriminators import WhitenedPatchDiscriminator
from cyclegan_audio.models.networks.images import check_image_sizes
from cyclegan_audio.models.networks.protocols import Generator, check_generator
from cyclegan_audio.models.networks.whitening import MomentGenerator, Moments, Whitening, is_whitened
from cyclegan_audio.models.networks.window_check import check_bands, check_windows
from cyclegan_audio.models.rank_states import gather_rank_states, phases_draw, restore_rank_state, seed_rank
from cyclegan_audio.models.source_variation import SourceVariation
from cyclegan_audio.models.training_inputs import TrainingInputs
from cyclegan_audio.utils.errors import check_number

Batch = Mapping[str, Tensor]


class TranslationModule(BaseModule):
    """Train generators against discriminators on unpaired batches; subclasses define the losses.

    Each direction has a generator (`gen_ab` maps A to B); each target genre has a discriminator (`disc_b`
    scores mels of B) and a pool of past fakes. Batches hold `real_a` and `real_b`, each (B, 1, M, F) in
    [-1, 1].

    Args:
        generator: builds one generator.
        discriminator: builds one discriminator.
        adversarial: turns scores into losses.
        loss_weights: the weight of each of `term_types`; identity or restoration 0 leaves its forward out.
        optimizer: builds an optimizer from parameters.
        schedule: the learning rate schedule.
        pool_size: past fakes that the discriminators see again.
        seed: seed of the pools and of the random inputs.
        acceleration: options that make a step faster.
        identity_decay_end: share of the run after which the falling identity weight is 0; None keeps it.
        ema_decay: decay of the generators' moving average, which then translates; 0: no average.
        extra_losses: further terms of the generators' loss, by name.
        corruption: draws the inputs of the restoration loss, which needs it.
        restoration_warm_up, pretrain_minutes: share of the run, or minutes, in which the generators learn by
            the restoration loss alone; see `RestorationWarmUp`. 0: it is a term of the whole run.
        source_variation: varies the generators' sources; discriminators and targets stay clean.
        discriminator_lr: learning rate of the discriminators; None: that of the optimizer.

    Attributes:
        whitening_a, whitening_b: moments of each genre's bands, from the training clips; see `whitening`.
        directions: the directions that it learns, of `DIRECTIONS`.
        term_types: the model's built-in terms of the generators' loss, by name.
        terms: the built-in and the extra terms.
        generator_protocol: what a generator must have.
        acceleration: resolved for the device once training starts.
        warm_up: whether the generators still learn by the restoration loss alone.
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
        corruption: Corruption | None = None,
        restoration_warm_up: float = 0.0,
        pretrain_minutes: float | None = None,
        source_variation: SourceVariation | None = None,
        discriminator_lr: float | None = None,
    ) -> None:
        super().__init__(schedule)
        self.requested_acceleration = acceleration or Acceleration()
        self.acceleration = self.requested_acceleration.resolve(torch.device("cpu"))
        self._build_networks(generator, discriminator)
        self.adversarial = adversarial
        self.ema = GeneratorEMA(self.generators(), ema_decay) if ema_decay != 0 else None
        for index, domain in enumerate(self.targets):
            self.add_module(f"pool_{domain}", ImagePool(pool_size, seed + index))
        self.has_extra_losses = bool(extra_losses)
        self._build_terms(loss_weights, extra_losses or {})
        self.initial_identity_weight = self.loss_weights["identity"]
        self.identity_decay_end = identity_decay_end
        linear_decay(self.initial_identity_weight, identity_decay_end, 0.0)  # refuse a wrong value now
        restores = self.loss_weights["restoration"] > 0
        self.warm_up = RestorationWarmUp(restoration_warm_up, restores, pretrain_minutes, schedule)
        self.inputs = TrainingInputs(self.directions, used_corruption(corruption, restores), source_variation)
        self.optimizer_factory, self.seed = optimizer, seed
        check_number("model.discriminator_lr", discriminator_lr or 0, low=0)
        self.discriminator_options = {} if discriminator_lr is None else {"lr": discriminator_lr}
        self._rank_states: list[dict[str, Any]] = []

    def _build_networks(self, generator: Callable[[], nn.Module], disc: Callable[[], nn.Module]) -> None:
        for direction in self.directions:
            self.add_module(f"gen_{direction}", check_generator(generator(), self.generator_protocol))
        for domain in self.targets:
            self.add_module(f"disc_{domain}", disc())
        for domain in DOMAINS:
            self.add_module(f"whitening_{domain}", Whitening())
        check_image_sizes([*self.generators().values(), *self.discriminators().values()])

    def _build_terms(self, loss_weights: Mapping[str, float], extra: Mapping[str, LossTerm]) -> None:
        """Build the terms of the loss, and name all losses."""
        weights = check_weights(loss_weights, tuple(self.term_types))
        extra = check_terms(extra, (*self.term_types, "gen", "disc"))
        terms = {name: term_type(weights[name]) for name, term_type in self.term_types.items()} | extra
        self.terms = nn.ModuleDict(terms)
        self.loss_weights = {name: term.weight for name, term in terms.items()}
        self._generator_losses = list_losses(
            {name: term.suffix for name, term in terms.items()}, self.directions
        )
        self.loss_terms = {
            "gen_total": "gen",
            **{loss.name: loss.term for loss in self._generator_losses},
            **{f"disc_{domain}": "disc" for domain in self.targets},
        }

    @property
    def targets(self) -> list[str]:
        """Return the target domains, of `a` and `b`, in this order."""
        return sorted(direction[1] for direction in self.directions)

    def generators(self) -> dict[str, nn.Module]:
        """Return the generators that learn, by name."""
        return {name: getattr(self, name) for name in (f"gen_{direction}" for direction in self.directions)}

    def discriminators(self) -> dict[str, nn.Module]:
        """Return the discriminators by the domain that they score."""
        return {domain: getattr(self, f"disc_{domain}") for domain in self.targets}

    def inference_generator(self, direction: str) -> nn.Module:
        """Return the generator for inference: with averaged weights if `ema_decay` keeps them."""
        name = f"gen_{direction}"
        return self.ema[name] if self.ema is not None else self.generators()[name]

    def whitening(self, domain: str) -> Whitening:
        """Return mean and spread of each band of a domain, `a` or `b`; 0 and 1 before `set_moments`."""
        whitening = getattr(self, f"whitening_{domain}")
        assert isinstance(whitening, Whitening)
        return whitening

    def set_moments(self, moments: Mapping[str, Moments]) -> None:
        """Set the moments of each domain, here and in all networks that whiten mels.

        Args:
            moments: mean and spread (M,) of the training mels in [-1, 1], by domain.
        """
        for domain in DOMAINS:
            self.whitening(domain).set_moments(*moments[domain])
        for direction in self.directions:
            for generator in (self.generator(direction), self.inference_generator(direction)):
                if isinstance(generator, MomentGenerator):
                    generator.set_moments(*(moments[domain] for domain in direction))
        for domain, disc in self.discriminators().items():
            if isinstance(disc, WhitenedPatchDiscriminator):
                disc.set_moments(moments[domain])

    @property
    def needs_moments(self) -> bool:
        """Return whether networks, the restoration loss or extra losses may use the genres' moments."""
        networks = [*self.generators().values(), *self.discriminators().values()]
        return self.inputs.corruption is not None or self.has_extra_losses or any(map(is_whitened, networks))

    def generator(self, direction: str, use_ema: bool = False) -> nn.Module:
        """Return the generator of a direction that learns, or with `use_ema` that for inference."""
        return self.inference_generator(direction) if use_ema else self.generators()[f"gen_{direction}"]

    @property
    def frame_multiple(self) -> int:
        """Return the number of which the generators' frames must be a multiple."""
        return self._first_generator.frame_multiple

    def check_windows(self, n_mels: int, clip_frames: int, crop_frames: int | None) -> None:
        """Check that the networks accept the windows of a training; see `networks.window_check`."""
        discriminator = next(iter(self.discriminators().values()))
        check_bands({"generator": self._first_generator, "discriminator": discriminator}, n_mels)
        check_windows(self._first_generator, discriminator, n_mels, clip_frames, crop_frames)

    def use_mel(self, mel: MelSpectrogram) -> None:
        """Take `mel`, by whose range mels are varied and which terms of the loss may need."""
        self.adversarial.prepare(mel, self._first_generator)
        if self.inputs.variation is not None:
            self.inputs.variation.use_mel(mel)
        for term in self.terms.values():
            assert isinstance(term, LossTerm)
            term.prepare(mel, self._first_generator)

    def forward(self, mel: Tensor, direction: str = DIRECTIONS[0]) -> Tensor:
        """Translate (B, 1, M, F) in a direction."""
        return self.inference_generator(direction)(mel)

    def translate_batch(self, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return every translation of a batch that losses and validation need, each (B, 1, M, F).

        `fake_*` are named by their target domain. `rec_*` (if both directions are learnt), `idt_*` (if the
        identity loss has a weight) and `rst_*` (restored; if the batch has corrupted mels) are named by the
        domain that they come from.

        Args:
            batch: `real_a` and `real_b`, in training the result of `inputs`.
            use_ema: translate by the averaged generators, if there are any.
        """
        raise NotImplementedError

    def translate_direction(self, direction: str, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return `fake_*`, and as above `idt_*` and `rst_*`, of one generator, in one forward."""
        source, target = tuple(direction)
        inputs = {f"fake_{target}": self._source(source, batch)}
        if self.loss_weights["identity"] > 0:
            inputs[f"idt_{target}"] = batch[f"real_{target}"]
        if f"corrupted_{target}" in batch:
            inputs[f"rst_{target}"] = batch[f"corrupted_{target}"]
        outputs = self.acceleration.batched_forward(self.generator(direction, use_ema), *inputs.values())
        return dict(zip(inputs, outputs, strict=True))

    def restore_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return `rst_*`, and once the discriminators train `fake_*` without gradients, in the warm-up."""
        generators = {direction: self.generator(direction) for direction in self.directions}
        out = {f"rst_{d[1]}": generator(batch[f"corrupted_{d[1]}"]) for d, generator in generators.items()}
        if self.warm_up.trains_discriminators:
            with torch.no_grad():
                out |= {f"fake_{d[1]}": gen(self._source(d[0], batch)) for d, gen in generators.items()}
        return out

    def _source(self, domain: str, batch: Batch) -> Tensor:
        return batch.get(f"source_{domain}", batch[f"real_{domain}"])

    def is_due(self, term: str) -> bool:
        """Return whether a term of the loss is computed in this batch, if it has a weight."""
        return self.warm_up.restores if term == "restoration" else self.warm_up.is_over

    def generator_losses(self, batch: Batch, out: Batch) -> dict[str, Tensor]:
        """Compute the generators' losses by name, unweighted.

        Args:
            batch: `real_a` and `real_b`.
            out: the result of `translate_batch`.
        """
        mels = {**batch, **out}
        return {
            loss.name: self.terms[loss.term](self, mels, loss.direction)
            for loss in self._generator_losses
            if self.is_due(loss.term)
            and (self.loss_weights[loss.term] > 0 or self.terms[loss.term].always_computed)
        }

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Compute each discriminator's loss on the reals and the fakes of its domain."""
        compute, forward = self.adversarial.discriminator_loss, self.acceleration.batched_forward
        return {
            f"disc_{domain}": compute(domain, disc, batch[f"real_{domain}"], batch[f"fake_{domain}"], forward)
            for domain, disc in self.discriminators().items()
        }

    def setup(self, stage: str) -> None:
        """Resolve and apply the acceleration before Lightning moves the networks to the device."""
        trainer = self.trainer
        device = trainer.strategy.root_device
        self.acceleration = self.requested_acceleration.resolve(device, str(trainer.precision))
        seed_rank(self, self.seed, trainer.global_rank)
        self.acceleration.prepare([*self.generators().values(), *self.discriminators().values()])
        self.phases: dict[str, Phase] = {"gen": self.generator_phase, "disc": self.discriminator_phase}
        if self.acceleration.cuda_graphs and not phases_draw(self) and trainer.world_size == 1:
            gen, disc = self.generator_parameters(), self.discriminator_parameters()
            self.phases = {
                "gen": GraphedPhase(self.generator_phase, gen, self._generator_constants),
                "disc": GraphedPhase(self.discriminator_phase, disc, tuple),
            }

    def generator_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the first optimizer."""
        return _parameters([*self.generators().values(), self.terms])

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the second optimizer."""
        return _parameters(self.discriminators().values())

    def configure_optimizers(self) -> list[Optimizer]:
        for_discriminators = partial(self.optimizer_factory, **self.discriminator_options)
        build = self.acceleration.build_optimizer
        return self.build_optimizers(
            [
                partial(build, self.optimizer_factory, self.generator_parameters()),
                partial(build, for_discriminators, self.discriminator_parameters()),
            ]
        )

    def generator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the generators' losses and gradients; return the losses and `fake_*`.

        Within the warm-up there are no `fake_*` until the discriminators train.

        Args:
            batch: the result of `inputs`.
        """
        out = self.translate_batch(batch) if self.warm_up.is_over else self.restore_batch(batch)
        losses = self.generator_losses(batch, out)
        losses = {"gen_total": weighted_sum(losses, self.loss_weights, self.loss_terms), **losses}
        self.compute_gradients(losses["gen_total"], self.generator_parameters())
        fakes = {name: x for name, x in out.items() if name in self._pools()}
        return {name: x.detach() for name, x in {**losses, **fakes}.items()}

    def discriminator_phase(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the discriminators' losses and gradients from the reals and the pools' fakes."""
        losses = self.discriminator_losses(batch)
        self.compute_gradients(sum(losses.values()), self.discriminator_parameters())
        return {name: loss.detach() for name, loss in losses.items()}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        opt_gen, opt_disc = self.optimizers()  # type: ignore[attr-defined]
        convert, restores = self._first_generator.training_input, self.is_due("restoration")
        inputs = self.inputs(batch, self.whitening, convert, restores, self.warm_up.least_mask)
        self.nonfinite_guard.start(self.device)
        with self.toggled_optimizer(opt_gen):
            gen = self.phases["gen"](inputs)
            self.nonfinite_guard.step(opt_gen, gen["gen_total"])
        if self.ema is not None:
            self.ema.update(self.generators())
        fakes = {name: pool(gen[name]) for name, pool in self._pools().items() if name in gen}
        disc: dict[str, Tensor] = {}
        if fakes:
            reals = {name: inputs[name] for name in ("real_a", "real_b")}
            with self.toggled_optimizer(opt_disc):
                disc = self.phases["disc"]({**reals, **fakes})
                self.nonfinite_guard.step(opt_disc, torch.stack(list(disc.values())).sum())
        self.nonfinite_guard.end()
        self.losses = {name: x for name, x in {**gen, **disc}.items() if name not in fakes}
        self.count_batch()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        progress = self.schedule.progress(self.current_epoch, self.elapsed_s)
        self.adversarial.progress = progress
        self.loss_weights["identity"] = linear_decay(
            self.initial_identity_weight, self.identity_decay_end, progress
        )
        epochs = self.current_epoch + batch_idx / self.trainer.num_training_batches
        self.warm_up.update(self.schedule.progress(epochs, self.elapsed_s), self.elapsed_s)
        super().on_train_batch_start(batch, batch_idx)

    def on_train_start(self) -> None:
        super().on_train_start()
        restore_rank_state(self, self._rank_states, self.seed)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["cyclegan_audio"]["rank_states"] = gather_rank_states(self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._rank_states = checkpoint["cyclegan_audio"].get("rank_states", [])

    @property
    def _first_generator(self) -> Generator:
        """Return one of the generators, which are alike."""
        generator = getattr(self, f"gen_{self.directions[0]}")
        assert isinstance(generator, Generator)
        return generator

    def _pools(self) -> dict[str, ImagePool]:
        """Return the pools by the name of the fakes that they keep."""
        return {f"fake_{domain}": getattr(self, f"pool_{domain}") for domain in self.targets}

    def _generator_constants(self) -> tuple[Any, ...]:
        """Return what the generators' phase depends on beside its inputs, for CUDA graphs."""
        due = tuple(term for term in self.terms if self.is_due(term))
        return (self.warm_up.trains_discriminators, due, *self.loss_weights.items())


def _parameters(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters()]
