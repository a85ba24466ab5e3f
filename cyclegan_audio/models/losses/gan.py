"""What a discriminator's scores mean: least squares, vanilla, hinge or Wasserstein with gradient penalty."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.rng import SeededRNG


class GANLoss(Protocol):
    """Scores of any shape to scalar losses in fp32; smaller is better for the network that is named."""

    draws_numbers: bool  # whether it has a penalty, at places drawn at random

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss, from the scores of its fakes."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, from the scores of real and translated mels."""

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, draws: SeededRNG) -> Tensor:
        """What is added to the discriminator's loss, from the mels (B, C, M, F) themselves."""


class _ScoreLoss:
    draws_numbers = False

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, draws: SeededRNG) -> Tensor:
        """Nothing."""
        return real.new_zeros(())


class LSGANLoss(_ScoreLoss):
    """(D - 1)^2 for real, D^2 for fakes (Mao et al. 2017); the discriminator's halved (Zhu et al. 2017)."""

    def generator(self, fake: Tensor) -> Tensor:
        """mean (D - 1)^2."""
        return _distance(fake, 1.0)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of mean (D(real) - 1)^2 + mean D(fake)^2."""
        return 0.5 * (_distance(real, 1.0) + _distance(fake, 0.0))


class VanillaGANLoss(_ScoreLoss):
    """Cross-entropy of scores as logits, not saturating (Goodfellow et al. 2014); halved too."""

    def generator(self, fake: Tensor) -> Tensor:
        """mean -log sigmoid(D)."""
        return F.softplus(-fake.float()).mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of mean -log sigmoid(D(real)) + mean -log(1 - sigmoid(D(fake)))."""
        return 0.5 * (F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean())


class HingeGANLoss(_ScoreLoss):
    """Margins of one (Lim and Ye 2017); the discriminator's loss is halved as for the others."""

    def generator(self, fake: Tensor) -> Tensor:
        """mean -D."""
        return -fake.float().mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of mean max(0, 1 - D(real)) + mean max(0, 1 + D(fake))."""
        return 0.5 * (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean())


class WGANGPLoss:
    """Wasserstein distance with gradient penalty (Gulrajani et al. 2017).

    Args:
        weight: of the penalty (10 in the paper).
    """

    draws_numbers = True

    def __init__(self, weight: float) -> None:
        check_number("model.adversarial.loss.weight", weight, low=0)
        self.weight = weight

    def generator(self, fake: Tensor) -> Tensor:
        """mean -D."""
        return -fake.float().mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """mean D(fake) - mean D(real)."""
        return fake.float().mean() - real.float().mean()

    def penalty(self, disc: nn.Module, real: Tensor, fake: Tensor, draws: SeededRNG) -> Tensor:
        """weight · mean (|gradient| - 1)^2 at a drawn place between real and fake, of the mean score."""
        share = draws.uniform((len(real), 1, 1, 1)).to(real)
        between = (share * real + (1 - share) * fake).detach()
        norm = _squared_gradient(disc, between).sqrt()
        return self.weight * (norm - 1).square().mean()


def r1_penalty(disc: nn.Module, real: Tensor) -> Tensor:
    """Half the mean squared norm of the score's gradient at real mels (Mescheder et al. 2018), unweighted."""
    return 0.5 * _squared_gradient(disc, real.detach()).mean()


def _squared_gradient(disc: nn.Module, x: Tensor) -> Tensor:
    """Squared norm (B,) of the gradient of each sample's mean score, in fp32 and differentiable."""
    with torch.autocast(x.device.type, enabled=False):
        x = x.float().requires_grad_()
        score = disc(x).flatten(1).mean(1).sum()
        (gradient,) = torch.autograd.grad(score, x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def _distance(score: Tensor, target: float) -> Tensor:
    score = score.float()
    return F.mse_loss(score, score.new_full((), target).expand_as(score))
