"""Restoration loss: generators restore clips of their target genre that were corrupted toward the source."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_audio.models.band_curves import N_POINTS, band_curve
from cyclegan_audio.models.losses.terms import LossTerm, reconstruction_loss
from cyclegan_audio.models.networks.whitening import blur
from cyclegan_audio.models.stretches import mark_stretch
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.rng import SeededRNG

BLURS = ((1, 1), (3, 1), (3, 3), (5, 3), (9, 3), (9, 5))  # bands x frames; the first changes nothing
DISCRIMINATORS_FROM = 0.75  # share of the warm-up after which the discriminators train too
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

    def forward(self, clips: Tensor, other: Tensor) -> Tensor:
        """Corrupt whitened mels (B, 1, M, F); `other` holds as many of the other genre."""
        z = self._swap_texture(clips, other)
        scale, offset = self._curve(z), self._curve(z)
        z = z * torch.exp(SCALE_SHARE * self.equaliser * scale) + self.equaliser * offset
        deviation = self.noise * self.rng.uniform((len(z), 1, 1, 1)).to(z)
        z = z + deviation * self.rng.normal_like(z)
        return self._mask(z) if self.mask > 0 else z

    def _mask(self, z: Tensor) -> Tensor:
        """Set a stretch of the bands and one of the frames to the mean."""
        draws = self.rng.uniform((4, len(z), 1, 1, 1)).to(z.device)
        for axis, share, position in zip((2, 3), draws[:2], draws[2:], strict=True):
            z = z.masked_fill(mark_stretch(z.shape[axis], self.mask * share, position, axis), 0)
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
    adversarial loss begins. After it the restoration loss is not computed: it pulls toward the median, which
    has no texture. That depends on the share of the run alone, so a resume needs no further state.

    Args:
        share: share of the run; 0 for no warm-up, but the restoration loss in the whole run.
        restores: whether the restoration loss has a weight.

    Raises:
        UserError: the share is invalid, or there is no restoration loss.
    """

    def __init__(self, share: float, restores: bool) -> None:
        check_number("model.restoration_warm_up", share, low=0, high=0.9)
        if share > 0 and not restores:
            raise UserError(
                f"model.restoration_warm_up={share} needs the restoration loss; "
                "set model.loss_weights.restoration=5, or model.restoration_warm_up=0"
            )
        self.share = share
        self.always_restores = restores and share == 0
        self.progress = 1.0

    def update(self, progress: float) -> None:
        """Take the share of the run that is done."""
        self.progress = progress

    @property
    def is_over(self) -> bool:
        """Return whether all other losses are computed; so before training too."""
        return self.progress >= self.share

    @property
    def restores(self) -> bool:
        """Return whether the restoration loss is computed."""
        return self.always_restores or not self.is_over

    @property
    def trains_discriminators(self) -> bool:
        """Return whether the discriminators train."""
        return self.progress >= DISCRIMINATORS_FROM * self.share
