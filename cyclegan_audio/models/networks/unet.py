"""A generator with skips at every size: the U-Net of the pix2pix paper."""

import torch
from torch import Tensor, nn

from cyclegan_audio.models.networks.generators import init_weights
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.utils.errors import check_number

MAX_WIDTH = 8  # times the first layer's channels


class UNetGenerator(nn.Module, FeatureGenerator):
    """Mel in [-1, 1] (B, C, M, F) to mel in [-1, 1] of the same shape; M and F are multiples of 2^n_levels.

    Isola et al. 2017, section 6.1: halvings by 4 x 4 convolutions, doublings by transposed ones, each joined
    with the layer of its size. Without dropout, so that translations are deterministic.

    Args:
        n_filters: channels of the first layer, doubled by each level up to 8 times.
        n_levels: halvings (5 fit 128 bands and clips of any length with little padding).
        n_channels: channels of input and output (1 for mels, 3 for pictures).

    Attributes:
        feature_widths: channels of `features`.
    """

    def __init__(self, n_filters: int = 64, n_levels: int = 5, n_channels: int = 1) -> None:
        super().__init__()
        check_number("generator.n_filters", n_filters, low=1, integer=True)
        check_number("generator.n_levels", n_levels, low=2, integer=True)
        self.frame_multiple = 2**n_levels
        widths = [n_filters * min(2**level, MAX_WIDTH) for level in range(n_levels)]
        ins = [n_channels, *widths[:-1]]
        last = n_levels - 1
        self.down = nn.ModuleList(
            _down(ins[level], widths[level], is_outer=level in (0, last), is_first=level == 0)
            for level in range(n_levels)
        )
        self.up = nn.ModuleList(
            _up(widths[level] if level == last else 2 * widths[level], ins[level], is_last=level == 0)
            for level in reversed(range(n_levels))
        )
        self.feature_widths = {"input": n_channels}
        self.feature_widths |= {f"down_{level}": width for level, width in enumerate(widths, 1)}
        self.apply(init_weights)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The input and each halving, by the names of `feature_widths`, each (B, C, H, W)."""
        found = {"input": x}
        for level, layer in enumerate(self.down, 1):
            x = found[f"down_{level}"] = layer(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for layer in self.up[1:]:
            x = layer(torch.cat([x, skips.pop()], 1))
        return x


def _down(n_in: int, n_out: int, is_outer: bool, is_first: bool) -> nn.Sequential:
    """Halve; the first and the innermost layer are not normalised."""
    active = [] if is_first else [nn.LeakyReLU(0.2)]
    norm = [] if is_outer else [InstanceNorm()]
    return nn.Sequential(*active, nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), *norm)


def _up(n_in: int, n_out: int, is_last: bool) -> nn.Sequential:
    end = nn.Tanh() if is_last else InstanceNorm()
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1), end)
