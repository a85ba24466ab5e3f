"""The paper's networks as they were trained: on colour pictures of mels, not on mels.

Pictures are (B, 3, S, S) in [-1, 1], drawn as in `audio.drawing` and made S x S by bicubic interpolation as
the public code does. They exist to compare losses with the paper's; the colours cost detail (`read`).
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.paper_rendering import GREY_LEVELS, SIZE, colormap, enlargement
from cyclegan_audio.models.networks.discriminators import PatchDiscriminator
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.utils.errors import UserError


class ImageGenerator(ResnetGenerator):
    """The generator of pictures; given mels (B, 1, M, F) it draws them, translates, and reads the mels back.

    Gradients pass through pictures only.

    Args:
        size: S, a multiple of 4 (256 in the paper).
        n_filters: channels of the first layer.
        n_blocks: residual blocks.
        upsampling: as in `ResnetGenerator`.
    """

    frame_multiple = 1

    def __init__(
        self, size: int = 256, n_filters: int = 64, n_blocks: int = 9, upsampling: str = "transposed"
    ) -> None:
        super().__init__(n_filters, n_blocks, n_channels=3, upsampling=upsampling)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 3:
            return super().forward(x)
        return image_to_mel(super().forward(mel_to_image(x, self.size)), x.shape[2], x.shape[3])

    def training_input(self, mels: Tensor) -> Tensor:
        """Draw mels (B, 1, M, F) in [-1, 1] as pictures (B, 3, S, S) in [-1, 1]."""
        return mel_to_image(mels, self.size)


class ImageDiscriminator(PatchDiscriminator):
    """Judges pictures, and mels (B, 1, M, F) by their pictures; one raw score a patch.

    Args:
        size: S, that of the generator.
        n_filters: channels of the first layer.
        n_layers: halvings.
        spectral_norm: as in `PatchDiscriminator`.
    """

    def __init__(
        self, size: int = 256, n_filters: int = 64, n_layers: int = 3, spectral_norm: bool = False
    ) -> None:
        super().__init__(n_filters, n_layers, n_channels=3, spectral_norm=spectral_norm)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.shape[1] == 3 else mel_to_image(x, self.size))


def check_matching_images(networks: Iterable[nn.Module]) -> None:
    """Refuse networks of which some are made for pictures of a size and others are not.

    Raises:
        UserError: they do not fit together.
    """
    if len({getattr(network, "size", None) for network in networks}) > 1:
        raise UserError(
            "generator=images and discriminator=images belong together, at one size; choose both or none"
        )


@torch.no_grad()
def mel_to_image(mels: Tensor, size: int) -> Tensor:
    """Mels (B, 1, M, F) in [-1, 1] as pictures (B, 3, size, size) in [-1, 1]."""
    device = mels.device
    with torch.autocast(device.type, enabled=False):
        levels = (mels[:, 0].float().flip(1) + 1) * (GREY_LEVELS / 2)
        rows, columns = (_tensor(matrix, device) for matrix in enlargement(*levels.shape[1:]))
        drawn = (rows @ levels @ columns.T).round().clamp(0, GREY_LEVELS).long()
        pixels = _tensor(colormap(), device)[drawn].permute(0, 3, 1, 2)
        small = F.interpolate(pixels, (size, size), mode="bicubic", antialias=True)
        return small.round().clamp(0, 255) / 127.5 - 1


@torch.no_grad()
def image_to_mel(pictures: Tensor, n_bands: int, n_frames: int) -> Tensor:
    """The mels (B, 1, M, F) in [-1, 1] of pictures (B, 3, S, S): nearest colours, then least squares."""
    device = pictures.device
    with torch.autocast(device.type, enabled=False):
        palette = _tensor(colormap(), device)
        pixels = (pictures.float().permute(0, 2, 3, 1) + 1) * 127.5
        levels = (palette.square().sum(1) - 2 * pixels @ palette.T).argmin(-1).float()
        undo = _reading(pictures.shape[-1], n_bands, n_frames)
        rows, columns = (_tensor(matrix, device) for matrix in undo)
        found = (rows @ levels @ columns.T).clamp(0, GREY_LEVELS)
        return (found / (GREY_LEVELS / 2) - 1).flip(1)[:, None]


@lru_cache(maxsize=8)
def _reading(size: int, n_bands: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """What undoes `enlarging` and the resizing: (M, size) and (F, size)."""
    rows, columns = (
        np.linalg.pinv(_resizing(before, size) @ matrix)
        for before, matrix in zip(SIZE, enlargement(n_bands, n_frames), strict=True)
    )
    return rows, columns


def _resizing(before: int, after: int) -> np.ndarray:
    """The bicubic interpolation of `draw` as a matrix (after, before)."""
    rows = torch.eye(before)[None, None]
    return F.interpolate(rows, (after, before), mode="bicubic", antialias=True)[0, 0].numpy()


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, torch.float32)
