"""The generator: a ResNet that maps mel-spectrograms of one genre to another."""

from itertools import islice

from torch import Tensor, nn

from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.models.networks.row_conv import RowConv2d
from cyclegan_audio.models.networks.winograd import WinogradConv2d
from cyclegan_audio.utils.errors import UserError

FRAME_MULTIPLE = 4  # two halvings: bands and frames of the input must be multiples of this
CONTRASTED_BLOCKS = (1, 5)


class ResnetBlock(nn.Module):
    """Two 3 x 3 convolutions with reflection padding and a skip (Johnson et al. 2016); (B, C, H, W)."""

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
    """Mel in [-1, 1] (B, 1, M, F) to mel in [-1, 1] of the same shape; M and F are multiples of 4.

    The generator of CycleGAN (Zhu et al. 2017, appendix 7.2): 7 x 7 convolution, two halvings, `n_blocks`
    residual blocks, two doublings, 7 x 7 convolution, tanh.

    Args:
        n_filters: channels of the first layer (64 in the paper).
        n_blocks: residual blocks (9 in the paper).
        n_channels: channels of input and output (1 for mels, 3 for pictures).
        upsampling: `transposed` convolutions, or `nearest` neighbour and a 3 x 3 convolution, which leaves no
            checkerboard artefacts (Odena et al. 2016).

    Raises:
        UserError: `upsampling` is neither.

    Attributes:
        feature_widths: channels of `features`.
    """

    frame_multiple = FRAME_MULTIPLE

    def __init__(
        self, n_filters: int = 64, n_blocks: int = 9, n_channels: int = 1, upsampling: str = "transposed"
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLING:
            choices = ", ".join(UPSAMPLING)
            raise UserError(f"model.generator.upsampling={upsampling} is not known; choose one of {choices}")
        up = UPSAMPLING[upsampling]
        self.head = nn.Sequential(
            nn.ReflectionPad2d(3), RowConv2d(n_channels, n_filters, 7), InstanceNorm(), nn.ReLU(inplace=True)
        )
        self.down = nn.Sequential(*_down(n_filters), *_down(2 * n_filters))
        self.blocks = nn.Sequential(*(ResnetBlock(4 * n_filters) for _ in range(n_blocks)))
        self.up = nn.Sequential(*up(4 * n_filters), *up(2 * n_filters))
        self.tail = nn.Sequential(nn.ReflectionPad2d(3), RowConv2d(n_filters, n_channels, 7), nn.Tanh())
        self.feature_widths = {"input": n_channels, "down_1": 2 * n_filters, "down_2": 4 * n_filters}
        self.feature_widths |= {
            f"block_{number}": 4 * n_filters for number in CONTRASTED_BLOCKS if number <= n_blocks
        }
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        x = self.down(x)
        x = self.blocks(x)
        x = self.up(x)
        return self.tail(x)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """What `models.patch_contrast` compares, by the names of `feature_widths`, each (B, C, H, W).

        As in Park et al. 2020, appendix: the input, both halvings, the first and the fifth block.
        """
        found = {"input": x}
        x = found["down_1"] = self.down[0](self.head(x))
        x = found["down_2"] = self.down[3](self.down[1:3](x))
        x = self.down[4:](x)
        for number, block in enumerate(islice(self.blocks, CONTRASTED_BLOCKS[-1]), 1):
            x = block(x)
            if number in CONTRASTED_BLOCKS:
                found[f"block_{number}"] = x
        return found


def _down(n_channels: int) -> list[nn.Module]:
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
    """Convolutions start from a normal distribution with spread 0.02, biases from 0 (Zhu et al. 2017)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
