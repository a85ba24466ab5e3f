"""Adversarial losses: least squares, vanilla, hinge, Wasserstein; gradient penalties and instance noise."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.losses.limited_data import DiscriminatorAugmentation, LeCam
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.rng import SeededRNG

BatchedForward = Callable[..., Sequence[Tensor]]  # a network and its inputs to its outputs


class GANLoss(Protocol):
    """Map scores of any shape to scalar losses in fp32; smaller is better for the named network.

    Attributes:
        is_random: whether `penalty` draws random numbers.
    """

    is_random: bool

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Compute the generator's loss from the scores of its fakes."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute the discriminator's loss from the scores of real and translated mels."""

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, rng: SeededRNG) -> Tensor:
        """Compute a penalty on the discriminator from the mels (B, C, M, F)."""


class _NoPenalty:
    is_random = False

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, rng: SeededRNG) -> Tensor:
        """Return 0."""
        return real.new_zeros(())


class LSGANLoss(_NoPenalty):
    """Least squares: (D - 1)^2 for reals, D^2 for fakes (Mao et al. 2017).

    The discriminator's loss is halved (Zhu et al. 2017).
    """

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Compute mean (D - 1)^2."""
        return _mse(fake, 1.0)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute half of mean (D(real) - 1)^2 + mean D(fake)^2."""
        return 0.5 * (_mse(real, 1.0) + _mse(fake, 0.0))


class VanillaGANLoss(_NoPenalty):
    """Cross-entropy of logits, non-saturating (Goodfellow et al. 2014); the discriminator's is halved."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Compute mean -log sigmoid(D)."""
        return F.softplus(-fake.float()).mean()

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute half of mean -log sigmoid(D(real)) + mean -log(1 - sigmoid(D(fake)))."""
        return 0.5 * (F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean())


class HingeGANLoss(_NoPenalty):
    """Hinge loss with margin 1 (Lim and Ye 2017); the discriminator's is halved."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Compute mean -D."""
        return -fake.float().mean()

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute half of mean max(0, 1 - D(real)) + mean max(0, 1 + D(fake))."""
        return 0.5 * (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean())


class WGANGPLoss:
    """Wasserstein distance with gradient penalty (Gulrajani et al. 2017).

    Args:
        weight: weight of the penalty (10 in the paper).
    """

    is_random = True

    def __init__(self, weight: float) -> None:
        check_number("model.adversarial.loss.weight", weight, low=0)
        self.weight = weight

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Compute mean -D."""
        return -fake.float().mean()

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute mean D(fake) - mean D(real)."""
        return fake.float().mean() - real.float().mean()

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, rng: SeededRNG) -> Tensor:
        """Compute weight · mean (|gradient of the score| - 1)^2 at random points between real and fake."""
        share = rng.uniform((len(real), 1, 1, 1)).to(real)
        between = (share * real + (1 - share) * fake).detach()
        norm = _squared_gradient_norm(disc, between).sqrt()
        return self.weight * (norm - 1).square().mean()


class AdversarialLoss(nn.Module):
    """Compute the losses of a generator and a discriminator from mels (B, C, M, F).

    Args:
        loss: the loss of the scores.
        r1_weight: weight of `r1_penalty` at real mels; 0 leaves it out.
        instance_noise: standard deviation of normal noise on the discriminators' inputs (Sønderby et al.
            2017) at the start of the run; it falls linearly to 0 at the end. 0 adds none.
        augmentation: changes what the discriminators hear; None, or one of probability 0, does not.
        consistency_weight: weight of the squared difference of the mean scores of a real clip, as the
            discriminator hears it, and of the same clip after the augmentation, whatever its probability
            (Zhang et al. 2020); 0 leaves it out.
        lecam_weight: weight of `LeCam`; 0 leaves it out.
        seed: seed of noise, augmentation and penalties.

    Attributes:
        progress: the share of the run that is done.
    """

    def __init__(
        self,
        loss: GANLoss,
        r1_weight: float = 0.0,
        instance_noise: float = 0.0,
        augmentation: DiscriminatorAugmentation | None = None,
        consistency_weight: float = 0.0,
        lecam_weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        name = "model.adversarial"
        check_number(f"{name}.r1_weight", r1_weight, low=0)
        check_number(f"{name}.instance_noise", instance_noise, low=0)
        check_number(f"{name}.consistency_weight", consistency_weight, low=0)
        check_number(f"{name}.lecam_weight", lecam_weight, low=0)
        if augmentation is None and consistency_weight > 0:
            raise UserError(f"{name}.consistency_weight needs {name}.augmentation; leave out its null")
        self.loss, self.r1_weight, self.instance_noise = loss, r1_weight, instance_noise
        self.augmentation = augmentation or DiscriminatorAugmentation()
        self.consistency_weight, self.lecam_weight = consistency_weight, lecam_weight
        self.progress = 0.0
        if lecam_weight > 0:
            self.lecam = LeCam()
        if self.is_random:
            self.rng = SeededRNG(seed)

    @property
    def is_random(self) -> bool:
        """Return whether a step draws random numbers, which a CUDA graph would repeat."""
        return self.instance_noise > 0 or self._augments or self.loss.is_random

    @property
    def _augments(self) -> bool:
        return self.augmentation.probability > 0 or self.consistency_weight > 0

    def prepare(self, mel: MelSpectrogram, generator: Generator) -> None:
        """Take the mel, by whose range levels are changed.

        Raises:
            UserError: clips are augmented, and the generator translates images.
        """
        if isinstance(generator, ImageGenerator) and self._augments:
            raise UserError(
                "model.adversarial.augmentation changes mels, and generator=images translates images; set "
                "its probability and model.adversarial.consistency_weight to 0"
            )
        self.augmentation.unit_db = mel.unit_db

    def generator_loss(self, disc: nn.Module, fake: Tensor) -> Tensor:
        """Compute the generator's loss for its fakes."""
        return self.loss.generator_loss(disc(self._vary(fake)))

    def discriminator_loss(
        self, domain: str, disc: nn.Module, real: Tensor, fake: Tensor, batched_forward: BatchedForward
    ) -> Tensor:
        """Compute the discriminator's loss with its penalties.

        Args:
            domain: the domain that the discriminator scores.
            disc: the discriminator.
            real: real mels.
            fake: translated mels.
            batched_forward: applies a network to several inputs.
        """
        again = []
        if self.consistency_weight > 0:
            again.append(self._add_noise(self.augmentation.change(real, self.rng)))
        real, fake = self._vary(real), self._vary(fake.detach())
        score_real, score_fake, *score_again = batched_forward(disc, real, fake, *again)
        total = self.loss.discriminator_loss(score_real, score_fake)
        for scores in score_again:
            total = total + self.consistency_weight * _consistency(score_real, scores)
        if self.lecam_weight > 0:
            total = total + self.lecam_weight * self.lecam(domain, score_real, score_fake)
        if self.loss.is_random:
            total = total + self.loss.penalty(disc, real, fake, self.rng)
        if self.r1_weight > 0:
            total = total + self.r1_weight * r1_penalty(disc, real)
        return total

    def _vary(self, mel: Tensor) -> Tensor:
        """Augment mels and add noise, as the options say."""
        return self._add_noise(self.augmentation.apply(mel, self.rng) if self._augments else mel)

    def _add_noise(self, mel: Tensor) -> Tensor:
        deviation = self.instance_noise * (1.0 - self.progress)
        return mel + deviation * self.rng.normal_like(mel) if deviation > 0 else mel


def _consistency(scores: Tensor, others: Tensor) -> Tensor:
    """Compute the mean squared difference of the clips' mean scores; (B, ...) each."""
    one, other = (x.float().flatten(1).mean(1) for x in (scores, others))
    return F.mse_loss(one, other)


def r1_penalty(disc: nn.Module, real: Tensor) -> Tensor:
    """Compute half the mean squared norm of the score's gradient at real mels (Mescheder et al. 2018)."""
    return 0.5 * _squared_gradient_norm(disc, real.detach()).mean()


def linear_decay(start: float, end: float | None, progress: float) -> float:
    """Compute a weight that falls linearly from `start` to 0, in steps of a hundredth of the run.

    Between two steps the weight is constant, so that a captured CUDA graph stays valid for a while.

    Args:
        start: the weight at the start of the run.
        end: the share of the run at which the weight is 0; None keeps it constant.
        progress: the share of the run that is done.
    """
    if end is None:
        return start
    check_number("model.identity_decay_end", end, low=0.01, high=1)
    return start * max(0.0, 1.0 - int(100 * progress) / 100 / end)


def _squared_gradient_norm(disc: nn.Module, x: Tensor) -> Tensor:
    """Compute the squared norm (B,) of the gradient of each sample's mean score, in fp32, differentiable."""
    with torch.autocast(x.device.type, enabled=False):
        x = x.float().requires_grad_()
        score = disc(x).flatten(1).mean(1).sum()
        (gradient,) = torch.autograd.grad(score, x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def _mse(score: Tensor, target: float) -> Tensor:
    score = score.float()
    return F.mse_loss(score, score.new_full((), target).expand_as(score))
