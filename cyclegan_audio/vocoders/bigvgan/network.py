"""BigVGAN's generator, for inference: mel to waveform by anti-aliased periodic activations."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 2  # activations work at twice the rate
TAPS = 12  # of the filters there and back


class SnakeBeta(nn.Module):
    """x + sin^2(alpha x) / beta, alpha and beta a channel, kept as logarithms; (B, C, T)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(n_channels))
        self.beta = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta = (value.exp()[:, None] for value in (self.alpha, self.beta))
        return x + torch.sin(x * alpha).square() / (beta + 1e-9)


def low_pass(ratio: int = RATIO, taps: int = TAPS) -> Tensor:
    """Kaiser-windowed sinc (1, 1, taps) that passes below 1 / ratio of the Nyquist frequency; sums to 1.

    The window follows Kaiser's formula for a transition of 0.6 / ratio (Karras et al. 2021, appendix C.1).
    """
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * 4 * 0.6 / ratio + 7.95
    beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)  # for 21 to 50 dB
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    place = torch.arange(-(taps // 2), taps // 2) + 0.5
    taper = torch.kaiser_window(taps, periodic=False, beta=beta)
    kernel = taper * torch.sinc(place / ratio)
    return (kernel / kernel.sum()).view(1, 1, taps)


class Upsample(nn.Module):
    """(B, C, T) to (B, C, 2 T) by the low pass."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", low_pass())

    def forward(self, x: Tensor) -> Tensor:
        n_channels, pad = x.shape[1], TAPS // RATIO - 1
        kernel = self.get_buffer("filter").expand(n_channels, -1, -1)
        padded = F.pad(x, (pad, pad), mode="replicate")
        out = RATIO * F.conv_transpose1d(padded, kernel, stride=RATIO, groups=n_channels)
        cut = pad * RATIO + (TAPS - RATIO) // 2
        return out[..., cut : out.shape[-1] - cut]


class LowPass(nn.Module):
    """(B, C, 2 T) to (B, C, T): filtered, and every second sample kept."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", low_pass())

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (TAPS // 2 - 1, TAPS // 2), mode="replicate")
        kernel = self.get_buffer("filter").expand(x.shape[1], -1, -1)
        return F.conv1d(padded, kernel, stride=RATIO, groups=x.shape[1])


class Downsample(nn.Module):
    """Only there to give the filter the name that it has in checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = LowPass()

    def forward(self, x: Tensor) -> Tensor:
        return self.lowpass(x)


class Activation(nn.Module):
    """Snake at twice the rate, so that its harmonics do not fold back (BigVGAN, section 3.3)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.act, self.upsample, self.downsample = SnakeBeta(n_channels), Upsample(), Downsample()

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.act(self.upsample(x)))


class AMPBlock(nn.Module):
    """Residual pairs of dilated and plain convolutions, each after an activation; (B, C, T)."""

    def __init__(self, n_channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(n_channels, n_channels, kernel_size, dilation=dilation, padding="same")

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
        self.activations = nn.ModuleList(Activation(n_channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.convs1, self.convs2, self.activations[::2], self.activations[1::2], strict=True)
        for dilated, plain, first, second in pairs:
            x = x + plain(second(dilated(first(x))))
        return x


class BigVGAN(nn.Module):
    """Log mel (B, n_mels, F) to a waveform (B, F times all rates).

    BigVGAN (Lee et al. 2023, arXiv 2206.04658) as its second version is configured. Parts are named as in the
    published checkpoints, whose weight norm is folded into plain weights.

    Args:
        n_mels: bands.
        rates: of upsampling, one a stage; each stage halves the channels.
        kernel_sizes: of the upsampling.
        n_channels: before the first stage.
        block_kernel_sizes: of the blocks that a stage averages.
        block_dilations: of each block's pairs.
        tanh: bound the waveform by tanh, else by clipping.
        final_bias: whether the last convolution has a bias.
    """

    def __init__(
        self,
        n_mels: int,
        rates: Sequence[int],
        kernel_sizes: Sequence[int],
        n_channels: int,
        block_kernel_sizes: Sequence[int],
        block_dilations: Sequence[Sequence[int]],
        tanh: bool,
        final_bias: bool,
    ) -> None:
        super().__init__()
        self.n_blocks, self.tanh = len(block_kernel_sizes), tanh
        self.conv_pre = nn.Conv1d(n_mels, n_channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel_size in zip(rates, kernel_sizes, strict=True):
            up = nn.ConvTranspose1d(
                n_channels, n_channels // 2, kernel_size, rate, padding=(kernel_size - rate) // 2
            )
            n_channels //= 2
            self.ups.append(nn.ModuleList([up]))
            for size, dilations in zip(block_kernel_sizes, block_dilations, strict=True):
                self.resblocks.append(AMPBlock(n_channels, size, dilations))
        self.activation_post = Activation(n_channels)
        self.conv_post = nn.Conv1d(n_channels, 1, 7, padding=3, bias=final_bias)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up[0](x)  # type: ignore[index]
            blocks = self.resblocks[stage * self.n_blocks : (stage + 1) * self.n_blocks]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        x = self.conv_post(self.activation_post(x))[:, 0]
        return torch.tanh(x) if self.tanh else x.clamp(-1, 1)
