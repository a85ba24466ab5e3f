"""Help for discriminators that hear little music: augmentation of what they hear, and LeCam's regulariser."""

from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import CLIP_RANGE_DB
from cyclegan_audio.models.directions import DOMAINS
from cyclegan_audio.models.stretches import mark_stretch
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.rng import SeededRNG

SILENCE = -1.0


class DiscriminatorAugmentation:
    """Change mels (B, C, M, F) in [-1, 1] before a discriminator, differentiably, each clip on its own.

    The same kind of change for reals and translations, in the steps of both networks, leaves no trace in the
    translations (DiffAugment, Zhao et al. 2020). Time is shifted, never reversed or stretched.

    Args:
        probability: share of the clips that are changed; 0 turns it off.
        gain_db: largest change of the level.
        shift: largest shift in time, as a share of the frames; silence fills the gap.
        cutout_frames: largest share of the frames that is silenced, in one piece.
        cutout_bands: the same of the bands.
    """

    def __init__(
        self,
        probability: float = 0.0,
        gain_db: float = 3.0,
        shift: float = 0.125,
        cutout_frames: float = 0.25,
        cutout_bands: float = 0.25,
    ) -> None:
        name = "model.adversarial.augmentation"
        check_number(f"{name}.probability", probability, low=0, high=1)
        check_number(f"{name}.gain_db", gain_db, low=0)
        check_number(f"{name}.shift", shift, low=0, high=0.5)
        check_number(f"{name}.cutout_frames", cutout_frames, low=0, high=0.5)
        check_number(f"{name}.cutout_bands", cutout_bands, low=0, high=0.5)
        self.probability, self.gain_db, self.shift = probability, gain_db, shift
        self.cutouts = (cutout_bands, cutout_frames)
        self.unit_db = CLIP_RANGE_DB / 2  # of the mel; `AdversarialLoss.prepare` sets it

    def apply(self, mels: Tensor, rng: SeededRNG) -> Tensor:
        """Change a share `probability` of the clips; the others stay as they are."""
        if self.probability == 0:
            return mels
        chosen = rng.uniform((len(mels), 1, 1, 1)).to(mels.device) < self.probability
        return torch.where(chosen, self.change(mels, rng), mels)

    def change(self, mels: Tensor, rng: SeededRNG) -> Tensor:
        """Change all clips."""
        draws = rng.uniform((6, len(mels), 1, 1, 1)).to(mels.device)  # in 32 bits
        gain = (2 * draws[0] - 1) * self.gain_db / self.unit_db
        frames = torch.arange(mels.shape[3], device=mels.device)
        sources = frames - torch.round((2 * draws[1] - 1) * self.shift * len(frames)).long()
        kept = (sources >= 0) & (sources < len(frames))
        shifted = mels.gather(3, sources.clamp(0, len(frames) - 1).expand_as(mels))
        for axis, share, size, position in zip((2, 3), self.cutouts, draws[2:4], draws[4:6], strict=True):
            kept = kept & ~mark_stretch(mels.shape[axis], share * size, position, axis)
        return torch.where(kept, shifted + gain.to(mels), SILENCE)


class LeCam(nn.Module):
    """Keep a discriminator's scores near the moving averages of the opposite kind (Tseng et al. 2021).

    Its loss is mean (D(real) - average of D(fake))^2 + mean (D(fake) - average of D(real))^2,
    with averages over the batches so far, of each domain.

    Args:
        decay: decay of the averages (0.99 in the paper), which begin as the scores of the first batch.

    Attributes:
        averages: averages (2, 2) of the scores of reals and translations, of each domain.
    """

    averages: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("averages", torch.full((len(DOMAINS), 2), torch.nan), persistent=False)

    def forward(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        """Update the averages of the domain by its scores (any shape), and return the loss.

        Scores that are not finite leave the averages as they are.
        """
        real, fake, averages = real.float(), fake.float(), self.averages[DOMAINS.index(domain)]
        scores = torch.stack([real.mean(), fake.mean()]).detach()
        scores = torch.where(scores.isfinite().all(), scores, averages)
        averages.copy_(torch.where(averages.isnan(), scores, averages.lerp(scores, 1 - self.decay)))
        of_real, of_fake = averages.clone()
        return (real - of_fake).square().mean() + (fake - of_real).square().mean()

    def get_extra_state(self) -> Any:
        return self.averages.clone()

    def set_extra_state(self, state: Any) -> None:
        self.averages.copy_(state)
