"""Folders of published spectrogram pictures as a source: `source=images`.

A picture is rows @ levels @ columns.T, coloured (`audio.drawing`), with two known matrices, and least
squares undo it; what is left over tells whether it was drawn in this way (published ones: half a grey level
RMS; seven times that with a frame more or fewer).
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
from cyclegan_audio.corpus.sources.base import MelRecording, SourceFile, as_text
from cyclegan_audio.corpus.sources.folders import GenreFolders
from cyclegan_audio.corpus.sources.paper_npz import check_range, check_shape, levels_to_db
from cyclegan_audio.utils.errors import UserError

SUFFIX = ".png"
SHAPE = (128, 189)  # bands and frames
_NAME = re.compile(r"^(?P<title>.*?)(?P<start_s>\d+(\.\d+)?)MEL$", re.DOTALL)
_DOUBLE = "same title and start as another picture"
_MAX_COLOUR_DISTANCE = 12  # squared, in RGB of 0 to 255
_MAX_RESIDUAL = 1.0  # median in grey levels


@dataclass(frozen=True)
class ImageRecording(MelRecording):
    """The pictures of one recording, sorted by start; `range_db` as in `ImageSource`."""

    pictures: tuple[tuple[float, Path], ...] = ()
    range_db: tuple[float, float] = (0.0, 1.0)

    def digest(self) -> str:
        """SHA-256 of starts, pictures and range."""
        whole = hashlib.sha256(repr(self.range_db).encode())
        for start_s, path in self.pictures:
            with path.open("rb") as handle:
                whole.update(repr(start_s).encode() + hashlib.file_digest(handle, "sha256").digest())
        return whole.hexdigest()

    def mels(self, mel: MelSpectrogram, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """See `MelRecording.mels`."""
        check_shape(self.path, SHAPE, mel, n_frames)
        seen = set()
        for start_s, path in self.pictures:
            try:
                if start_s in seen:
                    raise ValueError(_DOUBLE)
                yield start_s, levels_to_db(read_levels(path), self.range_db), ""
                seen.add(start_s)
            except ValueError as error:
                yield start_s, None, str(error)


class ImageSource(GenreFolders):
    """A tree of PNG files for each genre, named TITLE SECONDS "MEL.png" as in the paper's repository.

    Pictures of one title are one recording. A name without seconds is a recording of its own.

    Args:
        genres: folder by genre.
        range_db: dB that are given to a clip's minimum and maximum, which the pictures do not tell.
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

    def of_genre(self, genre: str, folder: Path) -> list[SourceFile]:
        """See `GenreFolders.of_genre`."""
        pictures: dict[str, list[tuple[float, Path]]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() == SUFFIX and path.is_file() and not path.name.startswith("."):
                named = _NAME.match(path.stem)
                title = named["title"] if named else path.stem
                pictures[title].append((float(named["start_s"]) if named else 0.0, path))
        if not pictures:
            raise UserError(f"{genre}: {folder} holds no pictures ({SUFFIX}); put some there")
        return [
            ImageRecording(genre, folder, as_text(title), pictures=tuple(sorted(own)), range_db=self.range_db)
            for title, own in pictures.items()
        ]

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return super().describe() | {"range_db": list(self.range_db)}


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
    (rows, columns), (rows_inverse, columns_inverse) = enlargement(*SHAPE), _inverse()
    levels = rows_inverse @ drawn @ columns_inverse.T
    residual = np.median(np.abs(rows @ levels @ columns.T - drawn))
    if residual > _MAX_RESIDUAL:
        raise ValueError(f"is no spectrogram of {' x '.join(map(str, SHAPE))} points")
    return levels[::-1].clip(0, GREY_LEVELS).astype(np.float32)


def _colours_to_levels(pixels: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) to the nearest places in the colour map (H, W)."""
    codes, places = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    found = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1)
    distance = np.square(found[:, None] - colormap()[None]).sum(-1)
    if distance.min(1).max() > _MAX_COLOUR_DISTANCE:
        raise ValueError("has other colours than the colour map jet")
    return distance.argmin(1)[places].reshape(pixels.shape[:2]).astype(float)


@lru_cache(maxsize=1)
def _inverse() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = enlargement(*SHAPE)
    return np.linalg.pinv(rows), np.linalg.pinv(columns)
