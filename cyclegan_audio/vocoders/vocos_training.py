"""Train the Vocos network against discriminators: the LightningModule of `train_vocoder` and its losses."""

import math
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
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.vocoders.vocos import VocosNetwork, import_vocos

DB_PER_NEPER = 20 / math.log(10)
STFT_FLOOR = 1e-5  # lowest magnitude in the STFT loss
TERMS = ("adversarial", "feature_matching", "mel", "stft")
DISCRIMINATORS = ("period", "resolution")
DISCRIMINATOR_LOSSES = {  # name of a loss -> its term and discriminator
    f"{term}_{discriminator}": (term, discriminator)
    for term in ("adversarial", "feature_matching", "disc")
    for discriminator in DISCRIMINATORS
}
LOSS_TERMS = {"gen_total": "gen", "mel": "mel", "stft": "stft"} | {
    name: term for name, (term, _) in DISCRIMINATOR_LOSSES.items()
}


class VocoderGAN(BaseModule):
    """A `VocosNetwork` in training against a multi-period and a multi-resolution discriminator.

    Batches are waveforms (B, T); the module computes their mels. Discriminators, hinge losses and feature
    matching are those of the package `vocos`, combined as in the paper (arXiv 2306.00814, section 3.3).

    Args:
        mel: the definition of the mels.
        network: builds the network from the mel.
        periods: periods of the multi-period discriminator.
        fft_sizes: FFT sizes of the multi-resolution discriminator and the STFT loss.
        loss_weights: weights of `adversarial`, `feature_matching`, `mel` and `stft`.
        resolution_weight: weight of the multi-resolution discriminator; the multi-period one has 1.
        pretrain_epochs: epochs without discriminators at the start.
        optimizer: builds an optimizer from parameters.
        schedule: schedule of the learning rate.
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
                "period": import_vocos("discriminators.MultiPeriodDiscriminator")(tuple(periods)),
                "resolution": import_vocos("discriminators.MultiResolutionDiscriminator")(tuple(fft_sizes)),
            }
        )
        self.fft_sizes, self.periods = tuple(fft_sizes), tuple(periods)
        self.loss_weights = check_weights(loss_weights, TERMS)
        self.discriminator_weights = {"period": 1.0, "resolution": resolution_weight}
        self.pretrain_epochs = pretrain_epochs
        self.optimizer_factory = optimizer
        self.generator_loss = import_vocos("loss.GeneratorLoss")()
        self.discriminator_loss = import_vocos("loss.DiscriminatorLoss")()
        self.feature_matching_loss = import_vocos("loss.FeatureMatchingLoss")()

    def check_segments(self, n_samples: int) -> None:
        """Check that the discriminators accept segments of `n_samples`, which they pad by reflection.

        Raises:
            UserError: the segments are too short.
        """
        for name, sizes in (("fft_sizes", self.fft_sizes), ("periods", self.periods)):
            if max(sizes, default=0) >= 2 * n_samples:
                raise UserError(
                    f"model.{name}={list(sizes)} is too long for segments of {n_samples} samples; choose a "
                    "larger data.segment_frames="
                )

    def configure_optimizers(self) -> list[Optimizer]:
        parts = (self.network, self.discriminators)
        return self.build_optimizers(partial(self.optimizer_factory, part.parameters()) for part in parts)

    def generator_losses(
        self, fake: Tensor, real: Tensor, real_db: Tensor, adversarial: bool
    ) -> dict[str, Tensor]:
        """Compute the network's unweighted losses.

        Args:
            fake: waveforms (B, T) of the network.
            real: the waveforms (B, T) to reconstruct.
            real_db: their mels (B, M, F) in dB.
            adversarial: whether to add the losses by discriminators, `<term>_<discriminator>`.
        """
        fake_db = self.mel.mel_db(fake)
        losses = {"mel": mel_loss(fake_db, real_db), "stft": stft_loss(fake, real, self.fft_sizes)}
        for name in DISCRIMINATORS if adversarial else ():
            _, scores, real_maps, fake_maps = self.discriminators[name](y=real, y_hat=fake)
            losses[f"adversarial_{name}"] = self.generator_loss(scores)[0].squeeze() / len(scores)
            matching = self.feature_matching_loss(real_maps, fake_maps)
            losses[f"feature_matching_{name}"] = matching.squeeze() / len(scores)
        return losses

    def discriminator_losses(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Compute the hinge loss of each discriminator, the mean over its sub-discriminators."""
        losses = {}
        for name in DISCRIMINATORS:
            real_scores, fake_scores, _, _ = self.discriminators[name](y=real, y_hat=fake.detach())
            hinge = self.discriminator_loss(real_scores, fake_scores)[0]
            losses[f"disc_{name}"] = hinge.squeeze() / len(real_scores)
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Sum the losses, each times the weights of its term and its discriminator."""
        weighted = []
        for name, loss in losses.items():
            term, discriminator = DISCRIMINATOR_LOSSES.get(name, (name, ""))
            weight = self.loss_weights.get(term, 1.0) * self.discriminator_weights.get(discriminator, 1.0)
            weighted.append(weight * loss)
        return torch.stack(weighted).sum()

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        opt_gen, opt_disc = self.optimizers()  # type: ignore[attr-defined]
        adversarial = self.current_epoch >= self.pretrain_epochs
        self.nonfinite_guard.start(self.device)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            real_db = self.mel.mel_db(batch)
        with self.toggled_optimizer(opt_gen):
            fake = self.network(real_db, batch.shape[-1])
            losses = self.generator_losses(fake, batch, real_db, adversarial)
            losses = {"gen_total": self.total(losses), **losses}
            self.compute_gradients(losses["gen_total"], self.network.parameters())
            self.nonfinite_guard.step(opt_gen, losses["gen_total"])
        if adversarial:
            with self.toggled_optimizer(opt_disc):
                disc_losses = self.discriminator_losses(fake, batch)
                total = self.total(disc_losses)
                self.compute_gradients(total, self.discriminators.parameters())
                self.nonfinite_guard.step(opt_disc, total)
            losses |= disc_losses
        self.nonfinite_guard.end()
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        self.count_batch()

    @torch.no_grad()
    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Log the mean absolute error of the mel in dB and the STFT loss of validation clips."""
        n_samples = batch.shape[-1]
        real_db = self.mel.mel_db(batch)
        fake = self.network(real_db, n_samples)
        self.log("val/mel_db", (self.mel.mel_db(fake) - real_db).abs().mean(), batch_size=len(batch))
        self.log("val/stft", stft_loss(fake, batch, self.fft_sizes), batch_size=len(batch))


def mel_loss(fake_db: Tensor, real_db: Tensor) -> Tensor:
    """Compute the mean |difference| of mels in dB (B, M, F), in natural logarithms (Vocos, section 3.3)."""
    return (fake_db - real_db).abs().mean() / DB_PER_NEPER


def stft_loss(fake: Tensor, real: Tensor, fft_sizes: Sequence[int]) -> Tensor:
    """Compute the multi-resolution STFT loss of waveforms (B, T): the mean over FFT sizes, hops of a quarter.

    Spectral convergence plus mean |log difference|: Yamamoto, Song and Kim 2020 (arXiv 1910.11480),
    equations 4 to 6.
    """
    losses = []
    for n_fft in fft_sizes:
        window = torch.hann_window(n_fft, device=fake.device)
        spectra = torch.stft(torch.cat([fake, real]), n_fft, n_fft // 4, window=window, return_complex=True)
        fake_abs, real_abs = (
            (spectra.real.square() + spectra.imag.square()).clamp_min(STFT_FLOOR**2).sqrt().chunk(2)
        )
        difference = torch.linalg.vector_norm(real_abs - fake_abs, dim=(1, 2))
        convergence = difference / torch.linalg.vector_norm(real_abs, dim=(1, 2))
        losses.append(convergence.mean() + (real_abs.log() - fake_abs.log()).abs().mean())
    return torch.stack(losses).mean()
