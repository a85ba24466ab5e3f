"""Folders of published spectrogram pictures as a source: `source=pictures`."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.data.picture_levels import SHAPE, read_levels
from cyclegan_audio.data.published import levels_to_db, require_range, require_shape
from cyclegan_audio.data.sources.base import MelFile, SourceFile, as_text
from cyclegan_audio.data.sources.folders import GenreFolders
from cyclegan_audio.errors import UserError

SUFFIX = ".png"
_NAME = re.compile(r"^(?P<title>.*?)(?P<start_s>\d+(\.\d+)?)MEL$", re.DOTALL)
_DOUBLE = "same title and start as another picture"


@dataclass(frozen=True)
class PictureMix(MelFile):
    """The pictures of one recording, sorted by start; `range_db` as in `PictureSource`."""

    pictures: tuple[tuple[float, Path], ...] = ()
    range_db: tuple[float, float] = (0.0, 1.0)

    def digest(self) -> str:
        """SHA-256 of starts, pictures and range."""
        whole = hashlib.sha256(repr(self.range_db).encode())
        for start_s, path in self.pictures:
            with path.open("rb") as handle:
                whole.update(repr(start_s).encode() + hashlib.file_digest(handle, "sha256").digest())
        return whole.hexdigest()

    def mels(self, mel: MelSettings, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """See `MelFile.mels`."""
        require_shape(self.path, SHAPE, mel, n_frames)
        seen = set()
        for start_s, path in self.pictures:
            try:
                if start_s in seen:
                    raise ValueError(_DOUBLE)
                yield start_s, levels_to_db(read_levels(path), self.range_db), ""
                seen.add(start_s)
            except ValueError as error:
                yield start_s, None, str(error)


class PictureSource(GenreFolders):
    """A tree of PNG files for each genre, named TITLE SECONDS "MEL.png" as in the paper's repository.

    Pictures of one title are one recording. A name without seconds is a recording of its own.

    Args:
        genres: folder by genre.
        range_db: dB that are given to a clip's minimum and maximum, which the pictures do not tell.
    """

    kind = "pictures"
    split_by = "block"

    def __init__(
        self,
        genres: Mapping[str, str | Path] | None = None,
        range_db: tuple[float, float] = (-60.0, 45.0),
    ) -> None:
        super().__init__(genres)
        self.range_db = require_range(range_db)

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
            PictureMix(genre, folder, as_text(title), pictures=tuple(sorted(own)), range_db=self.range_db)
            for title, own in pictures.items()
        ]

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return super().describe() | {"range_db": list(self.range_db)}
