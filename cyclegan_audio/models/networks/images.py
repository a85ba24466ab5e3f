"""Generator and discriminator of the paper's colour images of mels, and the conversion between both.

Images are (B, 3, S, S) in [-1, 1], rendered as in `audio.paper_rendering` and resized to S x S by bicubic
interpolation as in the public code. Use them to compare losses with the paper's; the colours lose detail.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.paper_rendering import GREY_LEVELS, SIZE, colormap, enlargement
from cyclegan_audio.models.networks.discriminators import PatchDiscriminator
from cyclegan_audio.models.networks.generators import FRAME_MULTIPLE, ResnetGenerator
from cyclegan_audio.utils.errors import UserError, check_number


class ImageGenerator(ResnetGenerator):
    """ResNet on images; mels (B, 1, M, F) are rendered, translated and converted back.

    Gradients flow through images only.

    Args:
        size: S, a multiple of 4 (256 in the paper).
        n_filters: channels of the first layer.
        n_blocks: residual blocks.
        upsampling: as in `ResnetGenerator`.

    Raises:
        UserError: the size is no multiple of 4.
    """

    frame_multiple = 1

    def __init__(
        self, size: int = 256, n_filters: int = 64, n_blocks: int = 9, upsampling: str = "transposed"
    ) -> None:
        check_number("generator.size", size, low=16, high=4096, integer=True)
        if size % FRAME_MULTIPLE:
            raise UserError(f"generator.size must be a multiple of {FRAME_MULTIPLE}, got {size}")
        super().__init__(n_filters, n_blocks, n_channels=3, upsampling=upsampling)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 3:
            return super().forward(x)
        return image_to_mel(super().forward(mel_to_image(x, self.size)), x.shape[2], x.shape[3])

    def training_input(self, mels: Tensor) -> Tensor:
        """Render mels (B, 1, M, F) in [-1, 1] as images (B, 3, S, S) in [-1, 1]."""
        return mel_to_image(mels, self.size)


class ImageDiscriminator(PatchDiscriminator):
    """PatchGAN on images; mels (B, 1, M, F) are rendered first.

    Args:
        size: S, that of the generator.
        n_filters: channels of the first layer.
        n_layers: layers with stride 2.
        spectral_norm: as in `PatchDiscriminator`.
    """

    def __init__(
        self, size: int = 256, n_filters: int = 64, n_layers: int = 3, spectral_norm: bool = False
    ) -> None:
        super().__init__(n_filters, n_layers, n_channels=3, spectral_norm=spectral_norm)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.shape[1] == 3 else mel_to_image(x, self.size))


def check_image_sizes(networks: Iterable[nn.Module]) -> None:
    """Check that all networks take images of one size, or all take mels.

    Raises:
        UserError: they do not.
    """
    if len({getattr(network, "size", None) for network in networks}) > 1:
        raise UserError("generator=images and discriminator=images must be used together, at one size")


@torch.no_grad()
def mel_to_image(mels: Tensor, size: int) -> Tensor:
    """Render mels (B, 1, M, F) in [-1, 1] as images (B, 3, size, size) in [-1, 1]."""
    device = mels.device
    with torch.autocast(device.type, enabled=False):
        levels = (mels[:, 0].float().flip(1) + 1) * (GREY_LEVELS / 2)
        rows, columns = (_tensor(matrix, device) for matrix in enlargement(*levels.shape[1:]))
        indices = (rows @ levels @ columns.T).round().clamp(0, GREY_LEVELS).long()
        pixels = _tensor(colormap(), device)[indices].permute(0, 3, 1, 2)
        resized = F.interpolate(pixels, (size, size), mode="bicubic", antialias=True)
        return resized.round().clamp(0, 255) / 127.5 - 1


@torch.no_grad()
def image_to_mel(images: Tensor, n_bands: int, n_frames: int) -> Tensor:
    """Convert images (B, 3, S, S) to mels (B, 1, M, F) in [-1, 1]: nearest colours, then least squares."""
    device = images.device
    with torch.autocast(device.type, enabled=False):
        palette = _tensor(colormap(), device)
        pixels = (images.float().permute(0, 2, 3, 1) + 1) * 127.5
        levels = (palette.square().sum(1) - 2 * pixels @ palette.T).argmin(-1).float()
        inverses = _inverse_matrices(images.shape[-1], n_bands, n_frames)
        rows, columns = (_tensor(matrix, device) for matrix in inverses)
        restored = (rows @ levels @ columns.T).clamp(0, GREY_LEVELS)
        return (restored / (GREY_LEVELS / 2) - 1).flip(1)[:, None]


@lru_cache(maxsize=8)
def _inverse_matrices(size: int, n_bands: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the pseudo-inverses (M, size) and (F, size) of `enlargement` and the resizing."""
    rows, columns = (
        np.linalg.pinv(_resize_matrix(before, size) @ matrix)
        for before, matrix in zip(SIZE, enlargement(n_bands, n_frames), strict=True)
    )
    return rows, columns


def _resize_matrix(before: int, after: int) -> np.ndarray:
    """Compute the bicubic interpolation of `mel_to_image` as a matrix (after, before)."""
    rows = torch.eye(before)[None, None]
    return F.interpolate(rows, (after, before), mode="bicubic", antialias=True)[0, 0].numpy()


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, torch.float32)
