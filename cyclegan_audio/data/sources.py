"""Where music comes from: each class lists source files by genre; `conf/source/` configures them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cyclegan_audio.audio.files import AUDIO_SUFFIXES, find_audio
from cyclegan_audio.errors import UserError


@dataclass(frozen=True)
class SourceFile:
    """A file of music.

    Attributes:
        genre: its genre.
        path: where it lies.
        source: the path relative to its genre's folder, with forward slashes.
        score: names the score where the same score exists in several genres: such files are the paired set.
    """

    genre: str
    path: Path
    source: str
    score: str | None = None


class Source(Protocol):
    """Lists the files of at least two genres."""

    default_corpus: Path | None

    def files(self) -> list[SourceFile]:
        """All files, sorted by genre and source.

        Raises:
            UserError: a folder is missing or holds no audio, or there are fewer than two genres.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values for `corpus.json`."""
        ...


class FolderSource:
    """A tree of audio files for each genre.

    Args:
        genres: folder by genre.
        paired: a folder with a folder for each genre, in which files of the same name play the same score.
    """

    default_corpus: Path | None = None

    def __init__(
        self, genres: Mapping[str, str | Path] | None = None, paired: str | Path | None = None
    ) -> None:
        self.genres = {str(genre): Path(folder) for genre, folder in (genres or {}).items()}
        self.paired = Path(paired) if paired else None

    def files(self) -> list[SourceFile]:
        """See `Source.files`."""
        if len(self.genres) < 2:
            given = f"only the genre {next(iter(self.genres))!r}" if self.genres else "no genre"
            raise UserError(f"{given} is given, two are needed; add --genre NAME=FOLDER, or take source=demo")
        return [file for genre in sorted(self.genres) for file in self._of_genre(genre)]

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {"kind": "folders", "genres": {genre: _text(folder) for genre, folder in self.genres.items()}}

    def _of_genre(self, genre: str) -> list[SourceFile]:
        folder = self.genres[genre]
        if not genre.strip():
            raise UserError(f"the genre of {folder} has no name; write --genre NAME={folder}")
        if not folder.is_dir():
            raise UserError(f"{genre}: {folder} is not a folder; check the path after --genre {genre}=")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UserError(f"{genre}: the folder {folder} may not be read; mend its permissions")
        paths = find_audio(folder)
        if not paths:
            raise UserError(
                f"{genre}: {folder} holds no audio files ({' '.join(AUDIO_SUFFIXES)}); put some there"
            )
        files = [SourceFile(genre, path, _relative(path, folder)) for path in paths]
        paired = self.paired / genre if self.paired else None
        if paired and paired.is_dir():
            files += [
                SourceFile(genre, p, _relative(p, folder), score=_text(p.stem)) for p in find_audio(paired)
            ]
        return sorted(files, key=lambda file: file.source)


def _relative(path: Path, folder: Path) -> str:
    return _text(Path(os.path.relpath(path, folder)).as_posix())


def _text(path: str | Path) -> str:
    """A path as text that any file can hold, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
