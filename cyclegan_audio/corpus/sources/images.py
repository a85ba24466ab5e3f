"""Read the paper's published spectrogram images (PNG) as a source: `source=images`.

An image is colormap(rows @ levels @ columns.T) with two known matrices (`audio.paper_rendering`); least
squares recover the levels. The residual tells whether the image was rendered in this way: half a grey level
RMS for published images, seven times that with one frame more or fewer.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.paper_rendering import GREY_LEVELS, SIZE, colormap, enlargement
from cyclegan_audio.corpus.sources.base import MelRecording, SourceFile, path_to_text
from cyclegan_audio.corpus.sources.folders import GenreFolders
from cyclegan_audio.corpus.sources.paper_npz import check_range, check_shape, levels_to_db
from cyclegan_audio.utils.errors import UserError

SUFFIX = ".png"
SHAPE = (128, 189)  # bands and frames
_FILE_NAME = re.compile(r"^(?P<title>.*?)(?P<start_s>\d+(\.\d+)?)MEL$", re.DOTALL)
_DUPLICATE = "same title and start as another image"
_MAX_COLOUR_DISTANCE = 12  # squared, in RGB of 0 to 255
_MAX_RESIDUAL = 1.0  # median in grey levels


@dataclass(frozen=True)
class ImageRecording(MelRecording):
    """The images of one recording as (start_s, path), sorted; `range_db` as in `ImageSource`."""

    images: tuple[tuple[float, Path], ...] = ()
    range_db: tuple[float, float] = (0.0, 1.0)

    def digest(self) -> str:
        """Return the SHA-256 of starts, images and range."""
        digest = hashlib.sha256(repr(self.range_db).encode())
        for start_s, path in self.images:
            with path.open("rb") as handle:
                digest.update(repr(start_s).encode() + hashlib.file_digest(handle, "sha256").digest())
        return digest.hexdigest()

    def mels(self, mel: MelSpectrogram, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """See `MelRecording.mels`."""
        check_shape(self.path, SHAPE, mel, n_frames)
        starts_s = set()
        for start_s, path in self.images:
            try:
                if start_s in starts_s:
                    raise ValueError(_DUPLICATE)
                yield start_s, levels_to_db(read_grey_levels(path), self.range_db), ""
                starts_s.add(start_s)
            except ValueError as error:
                yield start_s, None, str(error)


class ImageSource(GenreFolders):
    """Lists a tree of PNG files per genre, named TITLE SECONDS "MEL.png" as in the paper's repository.

    All images of a title are one recording; so is an image without seconds in its name.

    Args:
        genres: folder by genre.
        range_db: assumed minimum and maximum of a clip in dB, which the images do not contain.
    """

    kind = "images"
    split_by = "block"

    def __init__(
        self,
        genres: Mapping[str, str | Path] | None = None,
        range_db: tuple[float, float] = (-60.0, 45.0),
    ) -> None:
        super().__init__(genres)
        self.range_db = check_range(range_db)

    def genre_files(self, genre: str, folder: Path) -> list[SourceFile]:
        """See `GenreFolders.genre_files`."""
        images_by_title: dict[str, list[tuple[float, Path]]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() == SUFFIX and path.is_file() and not path.name.startswith("."):
                match = _FILE_NAME.match(path.stem)
                title = match["title"] if match else path.stem
                images_by_title[title].append((float(match["start_s"]) if match else 0.0, path))
        if not images_by_title:
            raise UserError(f"{genre}: {folder} has no images ({SUFFIX}); add some")
        return [
            ImageRecording(
                genre, folder, path_to_text(title), images=tuple(sorted(images)), range_db=self.range_db
            )
            for title, images in images_by_title.items()
        ]

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return super().describe() | {"range_db": list(self.range_db)}


def read_grey_levels(path: Path) -> np.ndarray:
    """Read grey levels (128, 189) float32, 0 (the clip's minimum in dB) to 255, bands from low to high.

    Raises:
        ValueError: the file is no such image; the message says why.
    """
    from matplotlib.image import imread
    from PIL.Image import DecompressionBombError
    from PIL.Image import open as open_image

    try:
        with open_image(path) as header:
            size = header.size
        image = imread(path, format="png") if size[::-1] == SIZE else None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, DecompressionBombError) as error:
        raise ValueError(f"cannot be read as an image ({' '.join(str(error).split())})") from error
    if image is None or image.ndim != 3:
        pixels = " x ".join(map(str, size))
        raise ValueError(f"has {pixels} pixels; published images have {SIZE[1]} x {SIZE[0]}")
    rendered = _colours_to_levels(np.round(image[..., :3] * 255).astype(np.int64))
    (rows, columns), (rows_inverse, columns_inverse) = enlargement(*SHAPE), _inverse()
    levels = rows_inverse @ rendered @ columns_inverse.T
    residual = np.median(np.abs(rows @ levels @ columns.T - rendered))
    if residual > _MAX_RESIDUAL:
        raise ValueError(f"is not a spectrogram of {' x '.join(map(str, SHAPE))} points")
    return levels[::-1].clip(0, GREY_LEVELS).astype(np.float32)


def _colours_to_levels(pixels: np.ndarray) -> np.ndarray:
    """Return the index of the nearest colour of the colormap (H, W) for RGB (H, W, 3).

    Raises:
        ValueError: a colour is far from the colormap.
    """
    codes, indices = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    colours = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1)
    distance = np.square(colours[:, None] - colormap()[None]).sum(-1)
    if distance.min(1).max() > _MAX_COLOUR_DISTANCE:
        raise ValueError("has colours outside of the colormap jet")
    return distance.argmin(1)[indices].reshape(pixels.shape[:2]).astype(float)


@lru_cache(maxsize=1)
def _inverse() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = enlargement(*SHAPE)
    return np.linalg.pinv(rows), np.linalg.pinv(columns)
