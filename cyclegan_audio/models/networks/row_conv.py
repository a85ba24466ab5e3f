"""A convolution that is fast where few channels enter or leave it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RowConv2d(nn.Conv2d):
    """`nn.Conv2d` without stride or padding, on a CPU computed kernel row by kernel row, exactly.

    oneDNN fills up few channels to eight, which makes the first and the last layer of the generator (7 x 7
    from and to one channel) slow. Where fewer channels enter than leave, the k shifted rows become channels
    of the input of one 1 x k convolution; else k times the channels leave it and are summed, shifted, in
    fp32. On other devices it is the plain convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, H - k + 1, W - k + 1)."""
        if x.device.type != "cpu" or self.bias is None:
            return super().forward(x)
        return self._rows_in(x) if self.in_channels < self.out_channels else self._rows_out(x)

    def _rows_in(self, x: Tensor) -> Tensor:
        n_out, n_in, rows, columns = self.weight.shape
        height = x.shape[2] - rows + 1
        shifted = torch.cat([x[:, :, row : row + height] for row in range(rows)], 1)
        kernel = self.weight.transpose(1, 2).reshape(n_out, rows * n_in, 1, columns)
        return F.conv2d(shifted, kernel, self.bias)

    def _rows_out(self, x: Tensor) -> Tensor:
        n_out, n_in, rows, columns = self.weight.shape
        kernel = self.weight.permute(2, 0, 1, 3).reshape(rows * n_out, n_in, 1, columns)
        partial = F.conv2d(x, kernel)
        height = x.shape[2] - rows + 1
        out = self.bias.float().view(1, -1, 1, 1)  # type: ignore[union-attr]
        for row in range(rows):
            out = out + partial[:, row * n_out : (row + 1) * n_out, row : row + height]
        return out
