"""3 x 3 convolutions in a quarter of the multiplications, for CPUs, whose libraries have no such way."""

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity; such mixed ones round half as much as 1 and 2 with signs
OUT, KERNEL = 4, 3
TILE = OUT + KERNEL - 1
ALL_ONES = POINTS.index(1.0) * (TILE + 1)  # the product that is added to every output of a tile alike
# With AVX-512 oneDNN's direct convolution does 2.4 times what MKL's products do (an AMD Zen 5: 240 and 98
# GFLOP/s), so that a quarter of the multiplications takes as long or longer. An Intel CPU was not at hand.
PAYS_HERE = torch.backends.cpu.get_cpu_capability() != "AVX512"
FEWEST_CHANNELS = 64  # below, to take the tiles apart costs more than the multiplications save
FEWEST_FORWARD = 128  # without a backward pass, of whose three products two share their tiles


class WinogradConv2d(nn.Conv2d):
    """`nn.Conv2d` with a 3 x 3 kernel, no stride, no padding; in fp32 by F(4 x 4, 3 x 3) where the CPU gains.

    Lavin and Gray 2016 (arXiv 1509.09308): overlapping tiles of 6 x 6 inputs are mapped to 36 numbers each,
    whose products give 4 x 4 outputs; the plain way needs 144 products. The same function and gradient, with
    about twice the rounding (1.3e-6 of the output instead of 0.6e-6 with 256 channels), as the points of
    interpolation are mixed (Barabasz et al. 2020, arXiv 1803.10986). On other devices, in other precisions
    and in exports it is the plain convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, H - 2, W - 2) in the memory format of `x`."""
        if not self._pays(x):
            return super().forward(x)
        out: Tensor = _Winograd.apply(x, self.weight, self.bias)
        return out

    def _pays(self, x: Tensor) -> bool:
        plain = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
        learns = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        fewest = FEWEST_CHANNELS if learns else FEWEST_FORWARD
        wide = PAYS_HERE and min(self.in_channels, self.out_channels) >= fewest
        return wide and not plain and x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32


@cache
def matrices() -> tuple[Tensor, Tensor, Tensor]:
    """A (16, 36), G (36, 9) and B (36, 36) for both dimensions at once: output = A ((G kernel) * (B tile)).

    Toom and Cook's interpolation: both factors are evaluated at `POINTS` and at infinity. Rows of B are
    divided by their largest number, which G takes over, so that no product is much larger than another.
    """
    vandermonde = np.vander(POINTS, TILE, increasing=True)
    vandermonde = np.vstack([vandermonde, np.eye(TILE)[-1:]])
    ends = np.eye(TILE)[-1:]  # infinity: the leading coefficient of each factor
    a = np.vstack([vandermonde[:-1, :OUT], ends[:, -OUT:]])
    g = np.vstack([vandermonde[:-1, :KERNEL], ends[:, -KERNEL:]])
    b = np.linalg.inv(vandermonde).T
    size = np.abs(b).max(1, keepdims=True)
    a_2d, g_2d, b_2d = (torch.from_numpy(np.kron(m, m)).float() for m in (a.T, g * size, b / size))
    return a_2d, g_2d, b_2d


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        a, _, b = matrices()
        size, n_out = x.shape, weight.shape[0]
        tiles = _tiles(x)
        counts = tiles.shape[2:5]
        v = (b @ tiles.reshape(TILE**2, -1)).view(TILE**2, -1, size[1])
        products = torch.bmm(v, _kernels(weight).transpose(1, 2))
        if bias is not None:
            products[ALL_ONES] += bias
        ctx.save_for_backward(v, weight)
        ctx.size, ctx.counts = size, counts
        out = _untile(a @ products.view(TILE**2, -1), counts, n_out)[:, : size[2] - 2, : size[3] - 2]
        return out.permute(0, 3, 1, 2).contiguous(memory_format=_format(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, g, b = matrices()
        v, weight = ctx.saved_tensors
        of_products = (a.T @ _tile(grad, ctx.counts)).view(TILE**2, -1, grad.shape[1])
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_tiles = (b.T @ torch.bmm(of_products, _kernels(weight)).view(TILE**2, -1)).view(
                TILE, TILE, *ctx.counts, -1
            )
            of_x = _overlap_add(of_tiles, ctx.size).contiguous(memory_format=_format(grad))
        if ctx.needs_input_grad[1]:
            of_u = torch.bmm(of_products.transpose(1, 2), v)
            of_weight = (g.T @ of_u.view(TILE**2, -1)).T.reshape(grad.shape[1], -1, KERNEL, KERNEL)
        if ctx.needs_input_grad[2]:
            of_bias = of_products[ALL_ONES].sum(0)
        return of_x, of_weight, of_bias


def _kernels(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) to (36, O, C), made anew for the backward pass: four times as large as the weights."""
    _, g, _ = matrices()
    return (g @ weight.flatten(2).flatten(0, 1).T).view(TILE**2, *weight.shape[:2])


def _format(x: Tensor) -> torch.memory_format:
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _tiles(x: Tensor) -> Tensor:
    """(B, C, H, W) to a view (6, 6, B, rows, columns, C) on its tiles, zeros beyond its ends."""
    n, channels, height, width = x.shape
    rows, columns = -(-(height - 2) // OUT), -(-(width - 2) // OUT)
    x = F.pad(x, (0, columns * OUT + 2 - width, 0, rows * OUT + 2 - height))
    x = x.permute(0, 2, 3, 1).contiguous()
    by_item, by_row, by_column, _ = x.stride()
    strides = (by_row, by_column, by_item, OUT * by_row, OUT * by_column, 1)
    return x.as_strided((TILE, TILE, n, rows, columns, channels), strides)


def _untile(x: Tensor, counts: tuple[int, ...], n_out: int) -> Tensor:
    """(16, tiles * O) to (B, H, W, O)."""
    n, rows, columns = counts
    x = x.view(OUT, OUT, n, rows, columns, n_out).permute(2, 3, 0, 4, 1, 5)
    return x.reshape(n, rows * OUT, columns * OUT, n_out)


def _tile(x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """(B, O, H, W) to (16, tiles * O)."""
    n, rows, columns = counts
    x = F.pad(x, (0, columns * OUT - x.shape[3], 0, rows * OUT - x.shape[2])).permute(0, 2, 3, 1).contiguous()
    return x.view(n, rows, OUT, columns, OUT, -1).permute(2, 4, 0, 1, 3, 5).reshape(OUT**2, -1)


def _overlap_add(tiles: Tensor, size: torch.Size) -> Tensor:
    """(6, 6, B, rows, columns, C) to (B, C, H, W): where tiles overlap, their sum."""
    n, channels, height, width = size
    rows, columns = tiles.shape[3:5]
    tiles = tiles.permute(2, 3, 0, 4, 1, 5)
    out = tiles.new_zeros(n, rows + 1, OUT, columns + 1, OUT, channels)
    out[:, :-1, :, :-1] = tiles[:, :, :OUT, :, :OUT]
    out[:, :-1, :, 1:, : TILE - OUT] += tiles[:, :, :OUT, :, OUT:]
    out[:, 1:, : TILE - OUT, :-1] += tiles[:, :, OUT:, :, :OUT]
    out[:, 1:, : TILE - OUT, 1:, : TILE - OUT] += tiles[:, :, OUT:, :, OUT:]
    flat = out.view(n, (rows + 1) * OUT, (columns + 1) * OUT, channels)
    return flat[:, :height, :width].permute(0, 3, 1, 2)
