"""Restoration loss: generators restore clips of their target genre that were corrupted toward the source."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_audio.models.band_curves import N_POINTS, band_curve
from cyclegan_audio.models.losses.terms import LossTerm, reconstruction_loss
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.whitening import blur
from cyclegan_audio.models.stretches import mark_stretch
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.rng import SeededRNG

BLURS = ((1, 1), (3, 1), (3, 3), (5, 3), (9, 3), (9, 5))  # bands x frames; the first changes nothing
DISCRIMINATORS_FROM = 0.75  # share of the warm-up after which the discriminators train too
MAX_SHARE = 0.9  # of the run
PRETRAINING_MASK = 0.25  # least `mask` of `pretrain_minutes`
SCALE_SHARE = 0.3  # deviation of the equaliser's scale, as a share of that of its offset


class RestorationTerm(LossTerm):
    """Mean absolute error of corrupted mels of the target through the generator; see `Corruption`."""

    suffix = "target"

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `rst_*` with `real_*`."""
        target = direction[1]
        return reconstruction_loss(mels[f"rst_{target}"], mels[f"real_{target}"])


class Corruption(nn.Module):
    """Make whitened mels of one genre less like it, as a denoising autoencoder does (Vincent et al. 2008).

    Whitened mels have mean 0 and deviation 1 in every band. Each clip is blurred and gets a share of the
    other genre's fine texture, then a smooth random scale and offset of its bands, then white noise; at last
    a stretch of its frames and one of its bands are masked (after Torbunov et al. 2023).

    Args:
        noise: the largest standard deviation of the noise; each clip's is uniform from 0.
        texture: the largest share of the other genre's texture; each clip's is uniform from 0.
        equaliser: standard deviation of the offset at `N_POINTS` points over the bands, interpolated.
        mask: the largest share of the frames, and of the bands, that is masked; 0 masks none.
    """

    def __init__(
        self, noise: float = 1.0, texture: float = 1.0, equaliser: float = 0.3, mask: float = 0.0
    ) -> None:
        super().__init__()
        check_number("model.corruption.noise", noise, low=0)
        check_number("model.corruption.texture", texture, low=0)
        check_number("model.corruption.equaliser", equaliser, low=0)
        check_number("model.corruption.mask", mask, low=0, high=0.5)
        self.noise, self.texture, self.equaliser, self.mask = noise, texture, equaliser, mask
        self.rng = SeededRNG(0)  # `seed_rank` seeds it

    def forward(self, clips: Tensor, other: Tensor, least_mask: float = 0.0) -> Tensor:
        """Corrupt whitened mels (B, 1, M, F).

        Args:
            clips: the mels.
            other: as many of the other genre.
            least_mask: `mask` is at least this.
        """
        z = self._swap_texture(clips, other)
        scale, offset = self._curve(z), self._curve(z)
        z = z * torch.exp(SCALE_SHARE * self.equaliser * scale) + self.equaliser * offset
        deviation = self.noise * self.rng.uniform((len(z), 1, 1, 1)).to(z)
        z = z + deviation * self.rng.normal_like(z)
        largest = max(self.mask, least_mask)
        return self._mask(z, largest) if largest > 0 else z

    def _mask(self, z: Tensor, largest: float) -> Tensor:
        """Set a stretch of the bands and one of the frames to the mean."""
        draws = self.rng.uniform((4, len(z), 1, 1, 1)).to(z.device)
        for axis, share, position in zip((2, 3), draws[:2], draws[2:], strict=True):
            z = z.masked_fill(mark_stretch(z.shape[axis], largest * share, position, axis), 0)
        return z

    def _swap_texture(self, clips: Tensor, other: Tensor) -> Tensor:
        draws = self.rng.uniform((len(clips), 2)).tolist()
        swapped = []
        for clip, texture, (position, share) in zip(clips.split(1), other.split(1), draws, strict=True):
            size = BLURS[int(position * len(BLURS))]
            swapped.append(blur(clip, size) + self.texture * share * (texture - blur(texture, size)))
        return torch.cat(swapped)

    def _curve(self, z: Tensor) -> Tensor:
        return band_curve(self.rng.normal_like(z.new_empty(len(z), N_POINTS)), z.shape[2])


def used_corruption(corruption: Corruption | None, restores: bool) -> Corruption | None:
    """Return the corruption, if the restoration loss has a weight.

    Raises:
        UserError: it has a weight, and there is no corruption.
    """
    if not restores:
        return None
    if corruption is None:
        raise UserError(
            "the restoration loss needs model.corruption; leave out model.corruption=null, or set "
            "model.loss_weights.restoration=0"
        )
    return corruption


class RestorationWarmUp:
    """The first part of a run, in which the generators learn by the restoration loss alone.

    In its last quarter the discriminators train on translations, so that they are not random when the
    adversarial loss begins. It is a share of the run, after which the restoration loss is not computed (it
    pulls toward the median, which has no texture); or a pre-training of some minutes with masked clips, after
    which the run goes on as it is configured. Either depends on the epochs and the time of training alone,
    so a resume needs no further state.

    Args:
        share: share of the run; 0 for no warm-up, but the restoration loss in the whole run.
        restores: whether the restoration loss has a weight.
        pretrain_minutes: minutes of the pre-training; None or 0 for none.
        schedule: the schedule of the run.

    Attributes:
        share: share of the run that it takes; for minutes of a run without `max_minutes` what it took so far.
        done: how much of it is done, 1 for all; 1 also before training.

    Raises:
        UserError: the share or the minutes are invalid, both are given, they take the whole run, or there is
            no restoration loss.
    """

    def __init__(
        self, share: float, restores: bool, pretrain_minutes: float | None, schedule: LinearDecay
    ) -> None:
        check_number("model.restoration_warm_up", share, low=0, high=MAX_SHARE)
        check_number("pretrain_minutes", pretrain_minutes or 0, low=0)
        self.seconds = 60 * (pretrain_minutes or 0)
        self.always_restores = restores and share == 0
        self.share = schedule.progress(0, self.seconds) if self.seconds > 0 else share
        self.done = 1.0
        if self.seconds > 0 and share > 0:
            raise UserError("pretrain_minutes= is a warm-up, too; leave out model.restoration_warm_up=")
        if self.share > MAX_SHARE:
            raise UserError(
                f"pretrain_minutes= is more than {MAX_SHARE:.0%} of max_minutes=; choose fewer minutes"
            )
        if (share > 0 or self.seconds > 0) and not restores:
            name = "pretrain_minutes" if self.seconds > 0 else "model.restoration_warm_up"
            raise UserError(
                f"{name}={pretrain_minutes if self.seconds > 0 else share} needs the restoration loss; "
                f"set model.loss_weights.restoration=5, or {name}=0"
            )

    def update(self, progress: float, elapsed_s: float) -> None:
        """Take the share of the run, and the seconds of training, that are over."""
        if self.seconds > 0:
            self.done = elapsed_s / self.seconds
            self.share = self.share if self.is_over else max(self.share, progress)
        else:
            self.done = progress / self.share if self.share > 0 else 1.0

    @property
    def is_over(self) -> bool:
        """Return whether all other losses are computed; so before training too."""
        return self.done >= 1

    @property
    def restores(self) -> bool:
        """Return whether the restoration loss is computed."""
        return self.always_restores or not self.is_over

    @property
    def trains_discriminators(self) -> bool:
        """Return whether the discriminators train."""
        return self.done >= DISCRIMINATORS_FROM

    @property
    def least_mask(self) -> float:
        """Return the `least_mask` of the corruption."""
        return PRETRAINING_MASK if self.seconds > 0 and not self.is_over else 0.0
