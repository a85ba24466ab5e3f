"""Discriminators: judge points, patches or several sizes of a mel-spectrogram as real or translated."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as bound_gain

from cyclegan_audio.models.networks.generators import init_weights
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.utils.errors import check_number


class PatchDiscriminator(nn.Module):
    """Mel in [-1, 1] (B, 1, M, F) to one raw score a patch (B, 1, M', F').

    The PatchGAN of Isola et al. 2017: with `n_layers` 3 each score sees 70 x 70 points (M' = M / 8 - 2).

    Args:
        n_filters: channels of the first layer (64 in the paper), doubled by each layer up to 8 times.
        n_layers: halvings (3 give a receptive field of 70 x 70).
        n_channels: channels of the input (1 for mels, 3 for pictures).
        spectral_norm: bound each convolution's gain by 1 (Miyato et al. 2018).
    """

    def __init__(
        self, n_filters: int = 64, n_layers: int = 3, n_channels: int = 1, spectral_norm: bool = False
    ) -> None:
        super().__init__()
        widths = [n_filters * min(2**layer, 8) for layer in range(n_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(n_channels, n_filters, 4, stride=2, padding=1)]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        for place, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 2 if place < n_layers else 1
            layers += [nn.Conv2d(before, after, 4, stride=stride, padding=1), InstanceNorm()]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        _start(self, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class PixelDiscriminator(nn.Module):
    """Mel in [-1, 1] (B, 1, M, F) to one raw score a point (B, 1, M, F), blind to its neighbours.

    The 1 x 1 PixelGAN of Isola et al. 2017, section 6.1.1. (Its instance norm still sees the whole clip.)

    Args:
        n_filters: channels of the first layer; the second has twice as many.
        n_channels: channels of the input (1 for mels, 3 for pictures).
        spectral_norm: bound each convolution's gain by 1 (Miyato et al. 2018).
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
        _start(self, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators on the mel and on its halvings (Wang et al. 2018, section 3.2).

    Mel (B, 1, M, F) to raw scores (B, N): those of all sizes, repeated so that each weighs about the same in
    a mean.

    Args:
        n_filters: channels of each discriminator's first layer.
        n_layers: halvings in each discriminator.
        n_scales: sizes.
        n_channels: channels of the input (1 for mels, 3 for pictures).
        spectral_norm: bound each convolution's gain by 1 (Miyato et al. 2018).
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


def _start(disc: nn.Module, spectral_norm: bool) -> None:
    """First weights, and on top of them the bound on each convolution's gain."""
    disc.apply(init_weights)
    for module in list(disc.modules()):
        if spectral_norm and isinstance(module, nn.Conv2d):
            bound_gain(module)
