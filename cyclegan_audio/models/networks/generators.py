"""Generators: the ResNet of CycleGAN, also on whitened mels, and the U-Net of pix2pix."""

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from cyclegan_audio.models.networks.cpu_convolutions import RowConv2d, WinogradConv2d
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.models.networks.whitening import WhitenedGenerator, check_sizes
from cyclegan_audio.utils.errors import UserError, check_number

FRAME_MULTIPLE = 4  # of ResnetGenerator, which halves bands and frames twice
FEATURE_BLOCKS = (1, 5)  # CUT compares their outputs


class ResnetBlock(nn.Module):
    """Residual block: two 3 x 3 convolutions, reflection padding (Johnson et al. 2016); (B, C, H, W)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            WinogradConv2d(n_channels, n_channels),
            InstanceNorm(),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            WinogradConv2d(n_channels, n_channels),
            InstanceNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResnetGenerator(nn.Module, FeatureGenerator):
    """ResNet from mels (B, 1, M, F) in [-1, 1] to mels of the same shape; M and F are multiples of 4.

    The generator of CycleGAN (Zhu et al. 2017, appendix 7.2): 7 x 7 convolution, two layers that halve the
    size, `n_blocks` residual blocks, two layers that double it, 7 x 7 convolution, tanh.

    Args:
        n_filters: channels of the first layer (64 in the paper).
        n_blocks: residual blocks (9 in the paper).
        n_channels: channels of input and output (1 for mels, 3 for images).
        upsampling: `transposed` convolutions, or `nearest` neighbour with a 3 x 3 convolution, which avoids
            checkerboard artefacts (Odena et al. 2016).

    Raises:
        UserError: `upsampling` is unknown.

    Attributes:
        feature_widths: channels of `features`.
    """

    frame_multiple = FRAME_MULTIPLE

    def __init__(
        self, n_filters: int = 64, n_blocks: int = 9, n_channels: int = 1, upsampling: str = "transposed"
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLING:
            choices = " or ".join(UPSAMPLING)
            raise UserError(f"model.generator.upsampling must be {choices}, got {upsampling}")
        upsample = UPSAMPLING[upsampling]
        self.head = nn.Sequential(
            nn.ReflectionPad2d(3), RowConv2d(n_channels, n_filters, 7), InstanceNorm(), nn.ReLU(inplace=True)
        )
        self.down = nn.Sequential(*_downsampling_layers(n_filters), *_downsampling_layers(2 * n_filters))
        self.blocks = nn.Sequential(*(ResnetBlock(4 * n_filters) for _ in range(n_blocks)))
        self.up = nn.Sequential(*upsample(4 * n_filters), *upsample(2 * n_filters))
        self.tail = nn.Sequential(nn.ReflectionPad2d(3), RowConv2d(n_filters, n_channels, 7), nn.Tanh())
        self.feature_widths = {"input": n_channels, "down_1": 2 * n_filters, "down_2": 4 * n_filters}
        self.feature_widths |= {
            f"block_{number}": 4 * n_filters for number in FEATURE_BLOCKS if number <= n_blocks
        }
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        x = self.down(x)
        x = self.blocks(x)
        x = self.up(x)
        return self.tail(x)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the features that CUT compares, each (B, C, H, W), by the names of `feature_widths`.

        As in Park et al. 2020, appendix: the input, both downsampling layers, the first and the fifth block.
        """
        features = {"input": x}
        x = features["down_1"] = self.down[0](self.head(x))
        x = features["down_2"] = self.down[3](self.down[1:3](x))
        x = self.down[4:](x)
        for number, block in enumerate(islice(self.blocks, FEATURE_BLOCKS[-1]), 1):
            x = block(x)
            if number in FEATURE_BLOCKS:
                features[f"block_{number}"] = x
        return features


def _downsampling_layers(n_channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(n_channels, 2 * n_channels, 3, stride=2, padding=1)
    return [conv, InstanceNorm(), nn.ReLU(inplace=True)]


def _transposed(n_channels: int) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(n_channels, n_channels // 2, 3, stride=2, padding=1, output_padding=1)
    return [conv, InstanceNorm(), nn.ReLU(inplace=True)]


def _nearest(n_channels: int) -> list[nn.Module]:
    double = nn.Upsample(scale_factor=2, mode="nearest")
    conv = WinogradConv2d(n_channels, n_channels // 2)
    return [double, nn.ReflectionPad2d(1), conv, InstanceNorm(), nn.ReLU(inplace=True)]


UPSAMPLING = {"transposed": _transposed, "nearest": _nearest}


def init_weights(module: nn.Module) -> None:
    """Initialise a convolution: weights from N(0, 0.02^2), biases 0 (Zhu et al. 2017)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class WhitenedResnetGenerator(WhitenedGenerator):
    """ResNet without tanh on mels whitened by genre A, coloured by genre B: (B, 1, M, F) to the same shape.

    Args:
        n_mels: M, a multiple of 4.
        n_filters: as in `ResnetGenerator`.
        n_blocks: as in `ResnetGenerator`.
        upsampling: as in `ResnetGenerator`.
        skip: as in `WhitenedGenerator`.

    Raises:
        UserError: a size is out of range, or `upsampling` is unknown.
    """

    def __init__(
        self,
        n_mels: int = 128,
        n_filters: int = 64,
        n_blocks: int = 6,
        upsampling: str = "nearest",
        skip: Sequence[int] | None = None,
    ) -> None:
        check_sizes(n_mels, n_filters, n_blocks, FRAME_MULTIPLE)
        core = ResnetGenerator(n_filters, n_blocks, upsampling=upsampling)
        core.tail = core.tail[:-1]  # the tanh
        super().__init__(core, n_mels, skip)


MAX_WIDTH_FACTOR = 8  # most channels of a U-Net layer, as a multiple of the first layer's


class UNetGenerator(nn.Module, FeatureGenerator):
    """U-Net from mels (B, C, M, F) in [-1, 1] to mels of the same shape; M and F are multiples of 2^n_levels.

    Isola et al. 2017, section 6.1: 4 x 4 convolutions halve the size, transposed ones double it, each joined
    with the layer of the same size. No dropout, so that translations are deterministic.

    Args:
        n_filters: channels of the first layer, doubled by each level up to 8 times.
        n_levels: layers that halve the size (5 fit 128 bands with little padding of the frames).
        n_channels: channels of input and output (1 for mels, 3 for images).

    Attributes:
        feature_widths: channels of `features`.
    """

    def __init__(self, n_filters: int = 64, n_levels: int = 5, n_channels: int = 1) -> None:
        super().__init__()
        check_number("generator.n_filters", n_filters, low=1, integer=True)
        check_number("generator.n_levels", n_levels, low=2, integer=True)
        self.frame_multiple = 2**n_levels
        widths = [n_filters * min(2**level, MAX_WIDTH_FACTOR) for level in range(n_levels)]
        ins = [n_channels, *widths[:-1]]
        last = n_levels - 1
        self.down = nn.ModuleList(
            _unet_down(ins[level], widths[level], is_outer=level in (0, last), is_first=level == 0)
            for level in range(n_levels)
        )
        self.up = nn.ModuleList(
            _unet_up(widths[level] if level == last else 2 * widths[level], ins[level], is_last=level == 0)
            for level in reversed(range(n_levels))
        )
        self.feature_widths = {"input": n_channels}
        self.feature_widths |= {f"down_{level}": width for level, width in enumerate(widths, 1)}
        self.apply(init_weights)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the input and each downsampling layer, (B, C, H, W), by the names of `feature_widths`."""
        features = {"input": x}
        for level, layer in enumerate(self.down, 1):
            x = features[f"down_{level}"] = layer(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for layer in self.up[1:]:
            x = layer(torch.cat([x, skips.pop()], 1))
        return x


def _unet_down(n_in: int, n_out: int, is_outer: bool, is_first: bool) -> nn.Sequential:
    """Build a layer that halves the size; the first and the innermost one have no normalisation."""
    active = [] if is_first else [nn.LeakyReLU(0.2)]
    norm = [] if is_outer else [InstanceNorm()]
    return nn.Sequential(*active, nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), *norm)


def _unet_up(n_in: int, n_out: int, is_last: bool) -> nn.Sequential:
    end = nn.Tanh() if is_last else InstanceNorm()
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1), end)
