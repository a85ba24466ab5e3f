"""Patch residual generator: a ResNet on patches of whitened mels beside a few channels at full resolution."""

import math
from collections.abc import Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.models.networks.cpu_convolutions import RowConv2d, WinogradConv2d
from cyclegan_audio.models.networks.generators import FEATURE_BLOCKS
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.whitening import WhitenedGenerator, check_sizes

STRIDE = 4  # bands and frames between patches, which are twice as large
FINE_KERNEL = 5
NOISE_SCALE = 256.0  # turns of the wave for a unit of a whitened mel; neighbours differ by many turns


class PatchBlock(nn.Module):
    """Residual block with an offset for each channel and row of patches; (B, C, R, P) to the same shape.

    Args:
        n_channels: C.
        n_rows: R.
    """

    def __init__(self, n_channels: int, n_rows: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(nn.ReflectionPad2d(1), WinogradConv2d(n_channels, n_channels), InstanceNorm())
            for _ in range(2)
        )
        self.offsets = nn.Parameter(torch.zeros(1, n_channels, n_rows, 1))
        self.gains = nn.Parameter(torch.full((1, n_channels, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gains * self.second(F.relu(self.first(x) + self.offsets))


class PatchResidualCore(nn.Module):
    """Change of whitened mels (B, 1, M, F), of the same shape.

    Overlapping patches of 8 x 8 points, 4 apart, pass residual blocks. Their features are brought to full
    resolution by bilinear interpolation, which has no checkerboard, and joined with those of a 5 x 5
    convolution of the mel and of noise.

    Args:
        n_mels: M, a multiple of 4.
        n_filters: the blocks have four times as many channels, full resolution has half as many.
        n_blocks: residual blocks.
        noise: whether there is noise, of which hiss and haze can be drawn; see `digit_noise`.

    Attributes:
        feature_widths: channels of `features`.
    """

    frame_multiple = STRIDE

    def __init__(self, n_mels: int, n_filters: int, n_blocks: int, noise: bool) -> None:
        super().__init__()
        self.noise = noise
        n_rows, n_coarse, n_fine = n_mels // STRIDE, 4 * n_filters, n_filters // 2
        pad = FINE_KERNEL // 2
        self.fine = nn.Sequential(nn.ReflectionPad2d(pad), RowConv2d(1 + noise, n_fine, FINE_KERNEL))
        self.patches = nn.Sequential(
            nn.Conv2d(1, n_coarse, 2 * STRIDE, STRIDE, padding=STRIDE // 2), InstanceNorm()
        )
        self.offsets = nn.Parameter(torch.empty(1, n_coarse, n_rows, 1))
        nn.init.normal_(self.offsets, std=0.1)
        self.blocks = nn.Sequential(*(PatchBlock(n_coarse, n_rows) for _ in range(n_blocks)))
        self.up = nn.Sequential(
            nn.Conv2d(n_coarse, n_fine, 3, padding=1), nn.Upsample(scale_factor=STRIDE, mode="bilinear")
        )
        self.join = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(2 * n_fine, n_fine, 3, padding=1), nn.LeakyReLU(0.2)
        )
        self.tail = nn.Sequential(nn.ReflectionPad2d(pad), RowConv2d(n_fine, 1, FINE_KERNEL))
        self.feature_widths = {"input": 1, "patches": n_coarse}
        self.feature_widths |= {
            f"block_{number}": n_coarse for number in FEATURE_BLOCKS if number <= n_blocks
        }

    def forward(self, z: Tensor) -> Tensor:
        fine = self.fine(torch.cat([z, digit_noise(z)], 1) if self.noise else z)
        coarse = self.up(self.blocks(self._start(self.patches(z))))
        return self.tail(self.join(torch.cat([fine, coarse.to(fine.dtype)], 1)))

    def features(self, z: Tensor) -> dict[str, Tensor]:
        """Compute the features that CUT compares, each (B, C, H, W), by the names of `feature_widths`."""
        features = {"input": z, "patches": self.patches[0](z)}
        x = self._start(self.patches[1](features["patches"]))
        for number, block in enumerate(islice(self.blocks, FEATURE_BLOCKS[-1]), 1):
            x = block(x)
            if number in FEATURE_BLOCKS:
                features[f"block_{number}"] = x
        return features

    def _start(self, patches: Tensor) -> Tensor:
        """Add the offset of each channel and row, and rectify."""
        return F.relu(patches + self.offsets)


class PatchResidualGenerator(WhitenedGenerator):
    """Translate mels (B, 1, M, F) to the same shape: an equaliser plus what `PatchResidualCore` adds.

    Args:
        n_mels: M, a multiple of 4.
        n_filters: the blocks have four times as many channels, full resolution has half as many.
        n_blocks: residual blocks.
        skip: as in `WhitenedGenerator`.
        noise: as in `PatchResidualCore`.

    Raises:
        UserError: a size is out of range.
    """

    def __init__(
        self,
        n_mels: int = 128,
        n_filters: int = 64,
        n_blocks: int = 6,
        skip: Sequence[int] | None = (9, 5),
        noise: bool = True,
    ) -> None:
        check_sizes(n_mels, n_filters, n_blocks, STRIDE)
        super().__init__(PatchResidualCore(n_mels, n_filters, n_blocks, noise), n_mels, skip)


def digit_noise(z: Tensor) -> Tensor:
    """Make noise of the last digits of whitened mels (..., M, F): the same shape, mean 0 and deviation 1.

    It is uniform, and looks independent from point to point, but where neighbours are exactly equal, as in
    digital silence. As it depends on the mel alone, the same mel always gives the same translation, wherever
    a window begins. It is a triangle wave, not a sawtooth, so that a rounding error hardly moves it.
    """
    turns = z.detach().float() * NOISE_SCALE
    return math.sqrt(3) * (4 * (turns - turns.floor() - 0.5).abs() - 1)
