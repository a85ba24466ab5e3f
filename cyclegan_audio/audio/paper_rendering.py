"""How the paper drew mels as colour pictures, which its networks were trained on.

matplotlib `imshow` in the colour map jet, low bands below, a clip's minimum to its maximum, axes of
496 x 369.6 pixels cut to 496 x 369, enlarged with matplotlib's Hanning kernel. So a picture is
rows @ levels @ columns.T with two known matrices, then coloured.
"""

from functools import lru_cache

import numpy as np

SIZE = (369, 496)  # height and width in pixels
GREY_LEVELS = 255
_DRAWN = (369.6, 496.0)  # pixels that the whole spectrogram takes
_OFFSET = (0.24, 0.0)  # where the first pixel lies, in bands and frames: fitted on the published pictures
_SUBPIXELS = 256  # matplotlib rounds places to these


@lru_cache(maxsize=1)
def colormap() -> np.ndarray:
    """The colour map, (256, 3) in 0 to 255."""
    from matplotlib import colormaps

    rgb: np.ndarray = np.round(colormaps["jet"](np.arange(GREY_LEVELS + 1))[:, :3] * 255).astype(np.int64)
    return rgb


@lru_cache(maxsize=8)
def enlargement(n_bands: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """How much a row of pixels takes of each band, (369, M), and a column of each frame, (496, F)."""
    rows, columns = (
        _enlarge(*numbers) for numbers in zip(SIZE, (n_bands, n_frames), _DRAWN, _OFFSET, strict=True)
    )
    return rows, columns


def render_image(levels: np.ndarray) -> np.ndarray:
    """The picture (369, 496, 3) uint8 of grey levels (bands, frames) from 0 to 255."""
    rows, columns = enlargement(*levels.shape)
    drawn = np.round(rows @ levels[::-1].astype(float) @ columns.T).clip(0, GREY_LEVELS).astype(int)
    return colormap()[drawn].astype(np.uint8)


def _enlarge(n_pixels: int, n_points: int, drawn: float, offset: float) -> np.ndarray:
    """(n_pixels, n_points): how much of each point a pixel takes, by a Hanning kernel of radius 1."""
    place = (np.arange(n_pixels) + 0.5) * n_points / drawn - 0.5 + offset
    place = np.floor(place * _SUBPIXELS) / _SUBPIXELS
    distance = np.abs(place[:, None] - np.arange(-1, n_points + 1))
    weights = np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0.0)
    weights[:, 1] += weights[:, 0]  # beyond the edge stands the edge
    weights[:, -2] += weights[:, -1]
    inner = weights[:, 1:-1]
    return inner / inner.sum(1, keepdims=True)
