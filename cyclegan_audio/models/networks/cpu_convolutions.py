"""Fast convolutions for CPUs: Winograd for 3 x 3 kernels, row by row for few channels."""

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity; these round half as much as 0, +-1 and +-2
OUT, KERNEL = 4, 3
TILE = OUT + KERNEL - 1
ALL_ONES = POINTS.index(1.0) * (TILE + 1)  # the product that is added to every output of a tile
# With AVX-512, oneDNN's direct convolution is 2.4 times as fast as MKL's products (AMD Zen 5: 240 and 98
# GFLOP/s), so that a quarter of the multiplications takes as long or longer. Not measured on Intel CPUs.
IS_FASTER_HERE = torch.backends.cpu.get_cpu_capability() != "AVX512"
MIN_CHANNELS_TRAINING = 64  # with fewer, extracting tiles costs more than it gains
MIN_CHANNELS_INFERENCE = 128  # no backward pass, in which two of the three products share their tiles


class WinogradConv2d(nn.Conv2d):
    """`nn.Conv2d` with a 3 x 3 kernel, no stride or padding; by Winograd's F(4 x 4, 3 x 3) if that is faster.

    Lavin and Gray 2016 (arXiv 1509.09308): overlapping tiles of 6 x 6 inputs are mapped to 36 numbers each,
    whose products give 4 x 4 outputs; direct convolution needs 144 products. The function and its gradient
    are the same, with about twice the rounding error (1.3e-6 of the output instead of 0.6e-6 with 256
    channels), thanks to mixed interpolation points (Barabasz et al. 2020, arXiv 1803.10986). On other
    devices, in other precisions and in exports it is the plain convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W) to (B, O, H - 2, W - 2) in the memory format of `x`."""
        if not self._is_faster(x):
            return super().forward(x)
        out: Tensor = _Winograd.apply(x, self.weight, self.bias)
        return out

    def _is_faster(self, x: Tensor) -> bool:
        needs_plain = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
        is_training = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        min_channels = MIN_CHANNELS_TRAINING if is_training else MIN_CHANNELS_INFERENCE
        wide = IS_FASTER_HERE and min(self.in_channels, self.out_channels) >= min_channels
        return (
            wide
            and not needs_plain
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
        )


@cache
def transform_matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Return A (16, 36), G (36, 9) and B (36, 36), in two dimensions: output = A ((G kernel) * (B tile)).

    Toom-Cook interpolation: both factors are evaluated at `POINTS` and at infinity. Rows of B are divided by
    their largest number, and those of G multiplied by it, so that no product is much larger than another.
    """
    vandermonde = np.vander(POINTS, TILE, increasing=True)
    vandermonde = np.vstack([vandermonde, np.eye(TILE)[-1:]])
    ends = np.eye(TILE)[-1:]  # infinity: the leading coefficient of each factor
    a = np.vstack([vandermonde[:-1, :OUT], ends[:, -OUT:]])
    g = np.vstack([vandermonde[:-1, :KERNEL], ends[:, -KERNEL:]])
    b = np.linalg.inv(vandermonde).T
    scale = np.abs(b).max(1, keepdims=True)
    a_2d, g_2d, b_2d = (torch.from_numpy(np.kron(m, m)).float() for m in (a.T, g * scale, b / scale))
    return a_2d, g_2d, b_2d


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        a, _, b = transform_matrices()
        size, n_out = x.shape, weight.shape[0]
        tiles = _extract_input_tiles(x)
        counts = tiles.shape[2:5]
        v = (b @ tiles.reshape(TILE**2, -1)).view(TILE**2, -1, size[1])
        products = torch.bmm(v, _transform_kernels(weight).transpose(1, 2))
        if bias is not None:
            products[ALL_ONES] += bias
        ctx.save_for_backward(v, weight)
        ctx.size, ctx.counts = size, counts
        out = _join_tiles(a @ products.view(TILE**2, -1), counts, n_out)[:, : size[2] - 2, : size[3] - 2]
        return out.permute(0, 3, 1, 2).contiguous(memory_format=_memory_format(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, g, b = transform_matrices()
        v, weight = ctx.saved_tensors
        grad_products = (a.T @ _split_into_tiles(grad, ctx.counts)).view(TILE**2, -1, grad.shape[1])
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_tiles = (b.T @ torch.bmm(grad_products, _transform_kernels(weight)).view(TILE**2, -1)).view(
                TILE, TILE, *ctx.counts, -1
            )
            grad_x = _overlap_add_tiles(grad_tiles, ctx.size).contiguous(memory_format=_memory_format(grad))
        if ctx.needs_input_grad[1]:
            grad_u = torch.bmm(grad_products.transpose(1, 2), v)
            grad_weight = (g.T @ grad_u.view(TILE**2, -1)).T.reshape(grad.shape[1], -1, KERNEL, KERNEL)
        if ctx.needs_input_grad[2]:
            grad_bias = grad_products[ALL_ONES].sum(0)
        return grad_x, grad_weight, grad_bias


def _transform_kernels(weight: Tensor) -> Tensor:
    """Transform kernels (O, C, 3, 3) to (36, O, C); the backward pass computes them again to save memory."""
    _, g, _ = transform_matrices()
    return (g @ weight.flatten(2).flatten(0, 1).T).view(TILE**2, *weight.shape[:2])


def _memory_format(x: Tensor) -> torch.memory_format:
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _extract_input_tiles(x: Tensor) -> Tensor:
    """Return a view (6, 6, B, rows, columns, C) on the tiles of (B, C, H, W), padded by zeros."""
    n, channels, height, width = x.shape
    rows, columns = -(-(height - 2) // OUT), -(-(width - 2) // OUT)
    x = F.pad(x, (0, columns * OUT + 2 - width, 0, rows * OUT + 2 - height))
    x = x.permute(0, 2, 3, 1).contiguous()
    by_item, by_row, by_column, _ = x.stride()
    strides = (by_row, by_column, by_item, OUT * by_row, OUT * by_column, 1)
    return x.as_strided((TILE, TILE, n, rows, columns, channels), strides)


def _join_tiles(x: Tensor, counts: tuple[int, ...], n_out: int) -> Tensor:
    """Join tiles (16, tiles * O) to (B, H, W, O)."""
    n, rows, columns = counts
    x = x.view(OUT, OUT, n, rows, columns, n_out).permute(2, 3, 0, 4, 1, 5)
    return x.reshape(n, rows * OUT, columns * OUT, n_out)


def _split_into_tiles(x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Split (B, O, H, W) into tiles (16, tiles * O)."""
    n, rows, columns = counts
    x = F.pad(x, (0, columns * OUT - x.shape[3], 0, rows * OUT - x.shape[2])).permute(0, 2, 3, 1).contiguous()
    return x.view(n, rows, OUT, columns, OUT, -1).permute(2, 4, 0, 1, 3, 5).reshape(OUT**2, -1)


def _overlap_add_tiles(tiles: Tensor, size: torch.Size) -> Tensor:
    """Add overlapping tiles (6, 6, B, rows, columns, C) to (B, C, H, W)."""
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


class RowConv2d(nn.Conv2d):
    """`nn.Conv2d` without stride or padding, computed exactly by kernel rows on a CPU.

    oneDNN pads few channels to eight, which makes the first and the last layer of the generator (7 x 7 from
    and to one channel) slow. With fewer input than output channels, the k shifted rows become input channels
    of one 1 x k convolution; otherwise it has k times the output channels, which are shifted and summed in
    fp32. On other devices it is the plain convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W) to (B, O, H - k + 1, W - k + 1)."""
        if x.device.type != "cpu" or self.bias is None:
            return super().forward(x)
        return self._stack_rows(x) if self.in_channels < self.out_channels else self._sum_rows(x)

    def _stack_rows(self, x: Tensor) -> Tensor:
        n_out, n_in, rows, columns = self.weight.shape
        height = x.shape[2] - rows + 1
        shifted = torch.cat([x[:, :, row : row + height] for row in range(rows)], 1)
        kernel = self.weight.transpose(1, 2).reshape(n_out, rows * n_in, 1, columns)
        return F.conv2d(shifted, kernel, self.bias)

    def _sum_rows(self, x: Tensor) -> Tensor:
        n_out, n_in, rows, columns = self.weight.shape
        kernel = self.weight.permute(2, 0, 1, 3).reshape(rows * n_out, n_in, 1, columns)
        partial = F.conv2d(x, kernel)
        height = x.shape[2] - rows + 1
        out = self.bias.float().view(1, -1, 1, 1)  # type: ignore[union-attr]
        for row in range(rows):
            out = out + partial[:, row * n_out : (row + 1) * n_out, row : row + height]
        return out
