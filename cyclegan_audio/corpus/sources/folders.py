"""List audio files in one folder per genre: `source=folders` and `source=mixes`."""

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan_audio.audio.io import AUDIO_SUFFIXES, find_audio
from cyclegan_audio.corpus.sources.base import SourceFile, path_to_text
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path


class GenreFolders(ABC):
    """Base of sources with one folder per genre; `prepare --genre NAME=FOLDER` adds to `genres`."""

    default_corpus: Path | None = None
    split_by = "track"
    kind: str

    def __init__(self, genres: Mapping[str, str | Path] | None = None) -> None:
        self.genres = {str(genre): Path(folder) for genre, folder in (genres or {}).items()}

    def files(self) -> list[SourceFile]:
        """See `Source.files`."""
        if len(self.genres) < 2:
            given = f"only the genre {next(iter(self.genres))!r}" if self.genres else "no genre"
            raise UserError(f"{given} is given, two are needed; add --genre NAME=FOLDER, or use source=demo")
        for genre, folder in sorted(self.genres.items()):
            _check_folder(genre, folder)
        _check_disjoint(self.genres)
        files = []
        for genre, folder in sorted(self.genres.items()):
            files += sorted(self.genre_files(genre, folder), key=lambda file: file.source)
        return files

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {
            "kind": self.kind,
            "genres": {genre: path_to_text(folder) for genre, folder in self.genres.items()},
        }

    @abstractmethod
    def genre_files(self, genre: str, folder: Path) -> list[SourceFile]:
        """List the files of one genre, in any order.

        Raises:
            UserError: the folder has none.
        """


class FolderSource(GenreFolders):
    """Lists a tree of audio files per genre.

    Args:
        genres: folder by genre.
        paired: a folder with one folder per genre; files of the same name there play the same score.
    """

    kind = "folders"

    def __init__(
        self, genres: Mapping[str, str | Path] | None = None, paired: str | Path | None = None
    ) -> None:
        super().__init__(genres)
        self.paired = Path(paired) if paired else None

    def genre_files(self, genre: str, folder: Path) -> list[SourceFile]:
        """See `GenreFolders.genre_files`."""
        paths = find_audio(folder)
        if not paths:
            raise UserError(f"{genre}: {folder} has no audio files ({' '.join(AUDIO_SUFFIXES)}); add some")
        files = [SourceFile(genre, path, relative_path_text(path, folder)) for path in paths]
        paired = self.paired / genre if self.paired else None
        if paired and paired.is_dir():
            files += [
                SourceFile(genre, p, relative_path_text(p, folder), score=path_to_text(p.stem))
                for p in find_audio(paired)
            ]
        return files


def _check_folder(genre: str, folder: Path) -> None:
    if not genre.strip():
        raise UserError(f"the genre of {folder} has no name; write --genre NAME={folder}")
    if not folder.is_dir():
        raise UserError(
            f"{genre}: {folder} is not a folder; check the path after --genre {genre}={suggest_path(folder)}"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{genre}: the folder {folder} is not readable; change its permissions")


def _check_disjoint(folders: Mapping[str, Path]) -> None:
    """Check that genres share no music.

    Raises:
        UserError: two genres have the same folder, or one folder contains another.
    """
    for (one, outer), (other, inner) in itertools.permutations(sorted(folders.items()), 2):
        if inner.resolve().is_relative_to(outer.resolve()):
            is_same = inner.resolve() == outer.resolve()
            shared = f"the folder {outer}" if is_same else f"music, as {inner} lies in {outer}"
            raise UserError(f"{one} and {other} share {shared}; give each genre a folder of its own")


def relative_path_text(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder` as text with forward slashes."""
    return path_to_text(Path(os.path.relpath(path, folder)).as_posix())


class MixSource(FolderSource):
    """Lists a few long mixes per genre: splits keep blocks of time together."""

    kind = "mixes"
    split_by = "block"
