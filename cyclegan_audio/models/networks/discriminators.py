"""Discriminators: patch (PatchGAN), whitened patch, texture patch, pixel, multi-scale; mels to raw scores."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as apply_spectral_norm

from cyclegan_audio.models.networks.generators import init_weights
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.whitening import MAX_MELS, Moments, Whitening, blur, check_box
from cyclegan_audio.utils.errors import UserError, check_number, shortened

NORMS = ("instance", "none")


class PatchDiscriminator(nn.Module):
    """Score each patch: mels (B, 1, M, F) in [-1, 1] to raw scores (B, 1, M', F').

    The PatchGAN of Isola et al. 2017; with 3 `n_layers` its receptive field is 70 x 70 (M' = M / 8 - 2).

    Args:
        n_filters: channels of the first layer (64 in the paper), doubled by each layer up to 8 times.
        n_layers: layers with stride 2 (3 give a receptive field of 70 x 70).
        n_channels: channels of the input (1 for mels, 3 for images).
        spectral_norm: apply spectral normalisation to each convolution (Miyato et al. 2018).
        norm: `instance` normalisation, or `none`, with which a score depends on its patch alone. Without it
            the weights start as in `nn.Conv2d`: those of N(0, 0.02^2) would lose the signal.

    Raises:
        UserError: `norm` is unknown.
    """

    def __init__(
        self,
        n_filters: int = 64,
        n_layers: int = 3,
        n_channels: int = 1,
        spectral_norm: bool = False,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise UserError(f"model.discriminator.norm must be {' or '.join(NORMS)}, got {shortened(norm)}")
        widths = [n_filters * min(2**layer, 8) for layer in range(n_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(n_channels, n_filters, 4, stride=2, padding=1)]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        for index, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            stride = 2 if index < n_layers else 1
            layers.append(nn.Conv2d(n_in, n_out, 4, stride=stride, padding=1))
            layers += [InstanceNorm()] if norm == "instance" else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        if norm == "instance":
            self.apply(init_weights)
        _apply_spectral_norm(self, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class WhitenedPatchDiscriminator(PatchDiscriminator):
    """PatchGAN on mels (B, 1, M, F), whitened by the moments of the genre that it scores.

    Args:
        n_mels: M.
        n_filters: as in `PatchDiscriminator`.
        n_layers: as in `PatchDiscriminator`.
        position_channels: how many of five channels say where a point is: its band f, from -1 to 1, then
            sin(2 pi f), cos(2 pi f), sin(4 pi f) and cos(4 pi f).
        norm: as in `PatchDiscriminator`.
        spectral_norm: as in `PatchDiscriminator`.

    Raises:
        UserError: an argument is out of range.

    Attributes:
        n_mels: the M that it takes.
    """

    positions: Tensor

    def __init__(
        self,
        n_mels: int = 128,
        n_filters: int = 64,
        n_layers: int = 3,
        position_channels: int = 3,
        norm: str = "none",
        spectral_norm: bool = False,
    ) -> None:
        check_number("discriminator.n_mels", n_mels, low=2, high=MAX_MELS, integer=True)
        check_number("discriminator.n_filters", n_filters, low=1, high=1024, integer=True)
        check_number("discriminator.n_layers", n_layers, low=1, high=8, integer=True)
        check_number("discriminator.position_channels", position_channels, low=0, high=5, integer=True)
        super().__init__(n_filters, n_layers, 1 + position_channels, spectral_norm, norm)
        self.n_mels, self.whitening = n_mels, Whitening(n_mels)
        band = torch.linspace(-1, 1, n_mels)
        waves = [wave(turns * torch.pi * band) for turns in (2, 4) for wave in (torch.sin, torch.cos)]
        positions = torch.stack([band, *waves])[:position_channels, :, None]
        self.register_buffer("positions", positions, persistent=False)

    def set_moments(self, moments: Moments) -> None:
        """Set the moments of the genre that it scores."""
        self.whitening.set_moments(*moments)

    def forward(self, x: Tensor) -> Tensor:
        positions = self.positions.expand(len(x), -1, -1, x.shape[3])
        return super().forward(torch.cat([self.whitening.whiten(x), positions], 1))


class TexturePatchDiscriminator(PatchDiscriminator):
    """PatchGAN on mels (B, 1, M, F) in [-1, 1] and, in a second channel, their amplified texture.

    The texture is the mel minus its average over boxes. Beside notes and drums it is so faint that a plain
    PatchGAN hardly sees whether it is missing.

    Args:
        n_filters: as in `PatchDiscriminator`.
        n_layers: as in `PatchDiscriminator`.
        gain: factor of the texture.
        box: odd numbers of bands and frames over which a mel is averaged.
        norm: as in `PatchDiscriminator`.
        spectral_norm: as in `PatchDiscriminator`.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(
        self,
        n_filters: int = 64,
        n_layers: int = 3,
        gain: float = 6.0,
        box: Sequence[int] = (9, 5),
        norm: str = "instance",
        spectral_norm: bool = False,
    ) -> None:
        check_number("discriminator.gain", gain, low=0)
        super().__init__(n_filters, n_layers, 2, spectral_norm, norm)
        self.gain, self.box = gain, check_box("discriminator.box", box)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x, self.gain * (x - blur(x, self.box))], 1))


class PixelDiscriminator(nn.Module):
    """Score each point by itself: mels (B, 1, M, F) in [-1, 1] to raw scores (B, 1, M, F).

    The 1 x 1 PixelGAN of Isola et al. 2017, section 6.1.1. (Its instance norm still covers the whole clip.)

    Args:
        n_filters: channels of the first layer; the second has twice as many.
        n_channels: channels of the input (1 for mels, 3 for images).
        spectral_norm: apply spectral normalisation to each convolution (Miyato et al. 2018).
    """

    def __init__(self, n_filters: int = 64, n_channels: int = 1, spectral_norm: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, n_filters, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(n_filters, 2 * n_filters, 1),
            InstanceNorm(),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * n_filters, 1, 1),
        )
        self.apply(init_weights)
        _apply_spectral_norm(self, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators on the mel and on smaller copies of it (Wang et al. 2018, section 3.2).

    Mels (B, 1, M, F) to the raw scores of all scales (B, N), repeated so that all scales have about the same
    weight in a mean.

    Args:
        n_filters: channels of each discriminator's first layer.
        n_layers: layers with stride 2 in each discriminator.
        n_scales: scales; each has half the size of the one before.
        n_channels: channels of the input (1 for mels, 3 for images).
        spectral_norm: apply spectral normalisation to each convolution (Miyato et al. 2018).
    """

    def __init__(
        self,
        n_filters: int = 64,
        n_layers: int = 3,
        n_scales: int = 2,
        n_channels: int = 1,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_number("discriminator.n_scales", n_scales, low=1, integer=True)
        self.scales = nn.ModuleList(
            PatchDiscriminator(n_filters, n_layers, n_channels, spectral_norm) for _ in range(n_scales)
        )

    def forward(self, x: Tensor) -> Tensor:
        scores = []
        for disc in self.scales:
            scores.append(disc(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        size = scores[0].shape[2:]
        return torch.cat([F.interpolate(score, size, mode="nearest-exact").flatten(1) for score in scores], 1)


def _apply_spectral_norm(disc: nn.Module, wanted: bool) -> None:
    """Apply spectral normalisation to each convolution if it is wanted."""
    for module in list(disc.modules()):
        if wanted and isinstance(module, nn.Conv2d):
            apply_spectral_norm(module)
