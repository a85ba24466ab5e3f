"""Training of the network against Vocos's discriminators, as a LightningModule."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.losses.terms import check_weights
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.vocoders.vocos.losses import TERMS, mel_loss, stft_loss
from cyclegan_audio.vocoders.vocos.network import VocosNetwork, vocos_part

KINDS = ("period", "resolution")
JUDGED = {  # the losses by a discriminator: term and kind
    f"{term}_{kind}": (term, kind) for term in ("adversarial", "feature_matching", "disc") for kind in KINDS
}
LOSS_TERMS = {"gen_total": "gen", "mel": "mel", "stft": "stft"} | {
    name: term for name, (term, _) in JUDGED.items()
}


class VocoderGAN(BaseModule):
    """A network makes waveforms of mels; multi-period and multi-resolution discriminators judge them.

    Batches are waveforms (B, T); their mels are computed here. Discriminators, hinge losses and feature
    matching are those of the published package, combined as in Vocos (arXiv 2306.00814, section 3.3).

    Args:
        mel: the definition of the mels.
        network: builds the network from the mel.
        periods: of the multi-period discriminator.
        fft_sizes: of the multi-resolution discriminator and of the STFT loss.
        loss_weights: of `adversarial`, `feature_matching`, `mel` and `stft`.
        resolution_weight: what the multi-resolution discriminator counts beside the multi-period one.
        pretrain_epochs: epochs before the discriminators take part.
        optimizer: builds an optimiser from parameters.
        schedule: of the learning rate.
    """

    command = "train_vocoder"
    loss_terms = LOSS_TERMS
    progress_bar_losses = ("mel", "disc")
    small_model = "vocoder_model=vocos_small"

    def __init__(
        self,
        mel: MelSpectrogram | Mapping[str, Any],
        network: Callable[..., VocosNetwork],
        periods: Sequence[int],
        fft_sizes: Sequence[int],
        loss_weights: Mapping[str, float],
        resolution_weight: float,
        pretrain_epochs: int,
        optimizer: Callable[..., Optimizer],
        schedule: LinearDecay,
    ) -> None:
        super().__init__(schedule)
        check_number("model.pretrain_epochs", pretrain_epochs, low=0, integer=True)
        check_number("model.resolution_weight", resolution_weight, low=0)
        self.mel = mel if isinstance(mel, MelSpectrogram) else MelSpectrogram.from_dict(mel)
        self.network = network(mel=self.mel)
        self.discriminators = nn.ModuleDict(
            {
                "period": vocos_part("discriminators.MultiPeriodDiscriminator")(tuple(periods)),
                "resolution": vocos_part("discriminators.MultiResolutionDiscriminator")(tuple(fft_sizes)),
            }
        )
        self.fft_sizes = tuple(fft_sizes)
        self.loss_weights = check_weights(loss_weights, TERMS)
        self.kind_weights = {"period": 1.0, "resolution": resolution_weight}
        self.pretrain_epochs = pretrain_epochs
        self.optimizer_factory = optimizer
        self.fool, self.tell = (vocos_part(f"loss.{name}Loss")() for name in ("Generator", "Discriminator"))
        self.match = vocos_part("loss.FeatureMatchingLoss")()

    def configure_optimizers(self) -> list[Optimizer]:
        parts = (self.network, self.discriminators)
        return self.build_optimizers(partial(self.optimizer_factory, part.parameters()) for part in parts)

    def generator_losses(
        self, made: Tensor, real: Tensor, real_db: Tensor, judged: bool
    ) -> dict[str, Tensor]:
        """The network's losses, unweighted; those of the discriminators as `<term>_<kind>` where `judged`."""
        made_db = self.mel.mel_db(made)
        losses = {"mel": mel_loss(made_db, real_db), "stft": stft_loss(made, real, self.fft_sizes)}
        for kind in KINDS if judged else ():
            _, scores, real_maps, made_maps = self.discriminators[kind](y=real, y_hat=made)
            losses[f"adversarial_{kind}"] = self.fool(scores)[0].squeeze() / len(scores)
            losses[f"feature_matching_{kind}"] = self.match(real_maps, made_maps).squeeze() / len(scores)
        return losses

    def discriminator_losses(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Hinge losses of both kinds, each the mean over its parts."""
        losses = {}
        for kind in KINDS:
            real_scores, made_scores, _, _ = self.discriminators[kind](y=real, y_hat=made.detach())
            losses[f"disc_{kind}"] = self.tell(real_scores, made_scores)[0].squeeze() / len(real_scores)
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Each loss times its term's weight, and its kind's where it has one."""
        weighted = []
        for name, loss in losses.items():
            term, kind = JUDGED.get(name, (name, ""))
            weighted.append(self.loss_weights.get(term, 1.0) * self.kind_weights.get(kind, 1.0) * loss)
        return torch.stack(weighted).sum()

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        opt_gen, opt_disc = self.optimizers()  # type: ignore[attr-defined]
        judged = self.current_epoch >= self.pretrain_epochs
        self.nonfinite_guard.start(self.device)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            real_db = self.mel.mel_db(batch)
        with self.toggled_optimizer(opt_gen):
            made = self.network(real_db, batch.shape[-1])
            losses = self.generator_losses(made, batch, real_db, judged)
            losses = {"gen_total": self.total(losses), **losses}
            self.compute_gradients(losses["gen_total"], self.network.parameters())
            self.nonfinite_guard.step(opt_gen, losses["gen_total"])
        if judged:
            with self.toggled_optimizer(opt_disc):
                disc_losses = self.discriminator_losses(made, batch)
                total = self.total(disc_losses)
                self.compute_gradients(total, self.discriminators.parameters())
                self.nonfinite_guard.step(opt_disc, total)
            losses |= disc_losses
        self.nonfinite_guard.end()
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        self.count_batch()

    @torch.no_grad()
    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Log how far held-out clips are from themselves: the mel in dB, and the STFT loss."""
        n_samples = batch.shape[-1]
        real_db = self.mel.mel_db(batch)
        made = self.network(real_db, n_samples)
        self.log("val/mel_db", (self.mel.mel_db(made) - real_db).abs().mean(), batch_size=len(batch))
        self.log("val/stft", stft_loss(made, batch, self.fft_sizes), batch_size=len(batch))
