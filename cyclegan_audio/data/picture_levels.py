"""A published colour picture of a spectrogram back to the grey levels that it was drawn from.

A picture is rows @ levels @ columns.T, coloured (`audio.drawing`), with two known matrices, and least
squares undo it; what is left over tells whether it was drawn in this way (published ones: half a grey level
RMS; seven times that with a frame more or fewer).
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from cyclegan_audio.audio.drawing import GREY_LEVELS, SIZE, colours, enlarging

SHAPE = (128, 189)  # bands and frames
_MAX_COLOUR_DISTANCE = 12  # squared, in RGB of 0 to 255
_MAX_RESIDUAL = 1.0  # median in grey levels


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
    (rows, columns), (rows_inverse, columns_inverse) = enlarging(*SHAPE), _inverse()
    levels = rows_inverse @ drawn @ columns_inverse.T
    residual = np.median(np.abs(rows @ levels @ columns.T - drawn))
    if residual > _MAX_RESIDUAL:
        raise ValueError(f"is no spectrogram of {' x '.join(map(str, SHAPE))} points")
    return levels[::-1].clip(0, GREY_LEVELS).astype(np.float32)


def _colours_to_levels(pixels: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) to the nearest places in the colour map (H, W)."""
    codes, places = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    found = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1)
    distance = np.square(found[:, None] - colours()[None]).sum(-1)
    if distance.min(1).max() > _MAX_COLOUR_DISTANCE:
        raise ValueError("has other colours than the colour map jet")
    return distance.argmin(1)[places].reshape(pixels.shape[:2]).astype(float)


@lru_cache(maxsize=1)
def _inverse() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = enlarging(*SHAPE)
    return np.linalg.pinv(rows), np.linalg.pinv(columns)
