"""The discriminator: judges overlapping patches of a mel-spectrogram as real or translated."""

from itertools import pairwise

from torch import Tensor, nn

from cyclegan_audio.models.generator import init_weights
from cyclegan_audio.models.norm import InstanceNorm


class PatchDiscriminator(nn.Module):
    """Mel in [-1, 1] (B, 1, M, F) to one raw score a patch (B, 1, M', F').

    The PatchGAN of Isola et al. 2017: with `n_layers` 3 each score sees 70 x 70 points (M' = M / 8 - 2).

    Args:
        n_filters: channels of the first layer (64 in the paper), doubled by each layer up to 8 times.
        n_layers: halvings (3 give a receptive field of 70 x 70).
        n_channels: channels of the input (1 for mels, 3 for pictures).
    """

    def __init__(self, n_filters: int = 64, n_layers: int = 3, n_channels: int = 1) -> None:
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
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
