"""How discriminators' scores become losses: adversarial loss, penalties, noise on what they see."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from cyclegan_audio.models.losses.gan import GANLoss, r1_penalty
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.rng import SeededRNG

Apply = Callable[..., Sequence[Tensor]]  # a network and its inputs to its outputs


class AdversarialLoss(nn.Module):
    """The generator's and the discriminator's loss for a discriminator and mels (B, C, M, F).

    Args:
        loss: of the scores.
        r1_weight: of `r1_penalty` at real mels; 0 leaves it out.
        noise: spread of normal noise on all that discriminators see (Sønderby et al. 2017) at the run's
            start; it falls linearly to 0 at the end. 0 leaves it out.
        seed: of noise and penalties.

    Attributes:
        progress: the share of the run that is behind.
    """

    def __init__(
        self, loss: GANLoss, r1_weight: float = 0.0, instance_noise: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        check_number("model.adversarial.r1_weight", r1_weight, low=0)
        check_number("model.adversarial.instance_noise", instance_noise, low=0)
        self.loss, self.r1_weight, self.instance_noise = loss, r1_weight, instance_noise
        self.progress = 0.0
        if self.draws_numbers:
            self.draws = SeededRNG(seed)

    @property
    def draws_numbers(self) -> bool:
        """Whether a step draws random numbers, which a CUDA graph would repeat."""
        return self.instance_noise > 0 or self.loss.draws_numbers

    def generator(self, disc: nn.Module, fake: Tensor) -> Tensor:
        """The generator's loss for its fakes."""
        return self.loss.generator(disc(self._noisy(fake)))

    def discriminator(self, disc: nn.Module, real: Tensor, fake: Tensor, apply: Apply) -> Tensor:
        """The discriminator's loss, penalties included; `apply` runs it on several inputs."""
        real, fake = self._noisy(real), self._noisy(fake.detach())
        score_real, score_fake = apply(disc, real, fake)
        total = self.loss.discriminator(score_real, score_fake)
        if self.loss.draws_numbers:
            total = total + self.loss.penalty(disc, real, fake, self.draws)
        if self.r1_weight > 0:
            total = total + self.r1_weight * r1_penalty(disc, real)
        return total

    def _noisy(self, mel: Tensor) -> Tensor:
        spread = self.instance_noise * (1.0 - self.progress)
        return mel + spread * self.draws.normal_like(mel) if spread > 0 else mel


def linear_decay(start: float, until: float | None, progress: float) -> float:
    """A weight that falls linearly from `start` to 0 at the share `until` of the run, in hundredths of a run.

    In steps, so that what is computed stays the same for a while. None keeps it.
    """
    if until is None:
        return start
    check_number("model.identity_decay_end", until, low=0.01, high=1)
    return start * max(0.0, 1.0 - int(100 * progress) / 100 / until)
