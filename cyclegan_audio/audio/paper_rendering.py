"""Render mels as the paper's colour images, on which its networks were trained.

The paper used matplotlib's `imshow` with the colormap jet, low bands at the bottom, a clip's minimum to its
maximum, and axes of 496 x 369.6 pixels cut to 496 x 369, resized with matplotlib's Hanning kernel. An image
is therefore rows @ levels @ columns.T with two known matrices, then coloured.
"""

from functools import lru_cache

import numpy as np

SIZE = (369, 496)  # height and width in pixels
GREY_LEVELS = 255
_AXES_SIZE = (369.6, 496.0)  # height and width of the whole spectrogram in pixels
_OFFSET = (0.24, 0.0)  # position of the first pixel in bands and frames, fitted on the published images
_SUBPIXELS = 256  # matplotlib rounds positions to 1 / 256 pixel


@lru_cache(maxsize=1)
def colormap() -> np.ndarray:
    """Return the colormap, (256, 3) from 0 to 255."""
    from matplotlib import colormaps

    rgb: np.ndarray = np.round(colormaps["jet"](np.arange(GREY_LEVELS + 1))[:, :3] * 255).astype(np.int64)
    return rgb


@lru_cache(maxsize=8)
def enlargement(n_bands: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of bands in pixel rows, (369, M), and of frames in pixel columns, (496, F)."""
    rows, columns = (
        _enlarge(*sizes) for sizes in zip(SIZE, (n_bands, n_frames), _AXES_SIZE, _OFFSET, strict=True)
    )
    return rows, columns


def render_image(levels: np.ndarray) -> np.ndarray:
    """Render grey levels (bands, frames) from 0 to 255 as an image (369, 496, 3) uint8."""
    rows, columns = enlargement(*levels.shape)
    resized = np.round(rows @ levels[::-1].astype(float) @ columns.T).clip(0, GREY_LEVELS).astype(int)
    return colormap()[resized].astype(np.uint8)


def _enlarge(n_pixels: int, n_points: int, axes_size: float, offset: float) -> np.ndarray:
    """Return the weight of each point in each pixel, (n_pixels, n_points): Hanning kernel of radius 1."""
    position = (np.arange(n_pixels) + 0.5) * n_points / axes_size - 0.5 + offset
    position = np.floor(position * _SUBPIXELS) / _SUBPIXELS
    distance = np.abs(position[:, None] - np.arange(-1, n_points + 1))
    weights = np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0.0)
    weights[:, 1] += weights[:, 0]  # edges are repeated
    weights[:, -2] += weights[:, -1]
    inner = weights[:, 1:-1]
    return inner / inner.sum(1, keepdims=True)
