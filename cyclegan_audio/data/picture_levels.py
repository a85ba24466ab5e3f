"""A published colour picture of a spectrogram back to the grey levels that it was drawn from.

The paper's pictures: matplotlib `imshow` in the colour map jet, low bands below, a clip's minimum to its
maximum, axes of 496 x 369.6 pixels cut to 496 x 369, enlarged with matplotlib's Hanning kernel. So a picture
is rows @ levels @ columns.T with two known matrices, and least squares undo it; what is left over tells
whether it was drawn in this way (published ones: half a grey level RMS; seven times that with a frame more or
fewer).
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

SIZE = (369, 496)  # height and width in pixels
SHAPE = (128, 189)  # bands and frames
GREY_LEVELS = 255
_DRAWN = (369.6, 496.0)  # pixels that the whole spectrogram takes
_OFFSET = (0.24, 0.0)  # where the first pixel lies, in bands and frames: fitted on the published pictures
_SUBPIXELS = 256  # matplotlib rounds places to these
_MAX_COLOUR_DISTANCE = 12  # squared, in RGB of 0 to 255
_MAX_RESIDUAL = 1.0  # median in grey levels

Matrices = tuple[np.ndarray, np.ndarray]


def read_levels(path: Path) -> np.ndarray:
    """Grey levels (128, 189) float32 from 0 (the clip's minimum in dB) to 255, bands from low to high.

    Raises:
        ValueError: the file is no such picture; the message says why.
    """
    from matplotlib.image import imread
    from PIL.Image import DecompressionBombError

    try:
        picture = imread(path, format="png")
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, DecompressionBombError) as error:
        raise ValueError(f"cannot be read as a picture ({' '.join(str(error).split())})") from error
    if picture.shape[:2] != SIZE or picture.ndim != 3:
        size = " x ".join(map(str, picture.shape[1::-1]))
        raise ValueError(f"is a picture of {size} pixels, published ones have {SIZE[1]} x {SIZE[0]}")
    drawn = _colours_to_levels(np.round(picture[..., :3] * 255).astype(np.int64))
    (rows, columns), (rows_inverse, columns_inverse) = _drawing(), _inverse()
    levels = rows_inverse @ drawn @ columns_inverse.T
    residual = np.median(np.abs(rows @ levels @ columns.T - drawn))
    if residual > _MAX_RESIDUAL:
        raise ValueError(f"is no spectrogram of {' x '.join(map(str, SHAPE))} points")
    return levels[::-1].clip(0, GREY_LEVELS).astype(np.float32)


def draw_picture(levels: np.ndarray) -> np.ndarray:
    """The picture (369, 496, 3) uint8 of grey levels (128, 189): the way of the published ones."""
    rows, columns = _drawing()
    drawn = np.round(rows @ levels[::-1].astype(float) @ columns.T).clip(0, GREY_LEVELS).astype(int)
    return _colours()[drawn].astype(np.uint8)


def _colours_to_levels(pixels: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) to the nearest places in the colour map (H, W)."""
    codes, places = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    found = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1)
    distance = np.square(found[:, None] - _colours()[None]).sum(-1)
    if distance.min(1).max() > _MAX_COLOUR_DISTANCE:
        raise ValueError("has other colours than the colour map jet")
    return distance.argmin(1)[places].reshape(pixels.shape[:2]).astype(float)


@lru_cache(maxsize=1)
def _colours() -> np.ndarray:
    from matplotlib import colormaps

    colours: np.ndarray = np.round(colormaps["jet"](np.arange(GREY_LEVELS + 1))[:, :3] * 255).astype(np.int64)
    return colours


@lru_cache(maxsize=1)
def _drawing() -> Matrices:
    rows, columns = (_enlarge(*numbers) for numbers in zip(SIZE, SHAPE, _DRAWN, _OFFSET, strict=True))
    return rows, columns


@lru_cache(maxsize=1)
def _inverse() -> Matrices:
    rows, columns = _drawing()
    return np.linalg.pinv(rows), np.linalg.pinv(columns)


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
