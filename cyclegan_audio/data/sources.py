"""Where music comes from: each class lists source files by genre; `conf/source/` configures them."""

import hashlib
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from cyclegan_audio.audio.files import AUDIO_SUFFIXES, find_audio
from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.errors import UserError
from cyclegan_audio.hints import suggest_path


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

    def digest(self) -> str:
        """SHA-256 of all bytes that it is made of.

        Raises:
            OSError: they cannot be read.
        """
        with self.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class MelFile(SourceFile, ABC):
    """Music of which only mel-spectrograms are left; clips of it have no audio."""

    @abstractmethod
    def mels(self, mel: MelSettings, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """Clips in the order of time: start_s, mel (n_mels, n_frames) in dB, and why there is none, or "".

        Raises:
            UserError: nothing of it can be read, or it does not fit this mel or length.
        """


class Source(Protocol):
    """Lists the files of at least two genres.

    Attributes:
        default_corpus: the corpus folder where the user names none.
        split_by: what its splits keep together, `track` or `block` of time, where the user does not say.
    """

    default_corpus: Path | None
    split_by: str

    def files(self) -> list[SourceFile]:
        """All files, sorted by genre and source.

        Raises:
            UserError: a folder is missing or holds no music, or there are fewer than two genres.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values for `corpus.json`."""
        ...


class GenreFolders(ABC):
    """A folder for each genre; `prepare --genre NAME=FOLDER` adds to `genres`."""

    default_corpus: Path | None = None
    split_by = "track"
    kind: str

    def __init__(self, genres: Mapping[str, str | Path] | None = None) -> None:
        self.genres = {str(genre): Path(folder) for genre, folder in (genres or {}).items()}

    def files(self) -> list[SourceFile]:
        """See `Source.files`."""
        if len(self.genres) < 2:
            given = f"only the genre {next(iter(self.genres))!r}" if self.genres else "no genre"
            raise UserError(f"{given} is given, two are needed; add --genre NAME=FOLDER, or take source=demo")
        for genre, folder in sorted(self.genres.items()):
            _require_folder(genre, folder)
        _require_apart(self.genres)
        found = []
        for genre, folder in sorted(self.genres.items()):
            found += sorted(self.of_genre(genre, folder), key=lambda file: file.source)
        return found

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {
            "kind": self.kind,
            "genres": {genre: as_text(folder) for genre, folder in self.genres.items()},
        }

    @abstractmethod
    def of_genre(self, genre: str, folder: Path) -> list[SourceFile]:
        """The files of one genre, in any order.

        Raises:
            UserError: there are none.
        """


class FolderSource(GenreFolders):
    """A tree of audio files for each genre.

    Args:
        genres: folder by genre.
        paired: a folder with a folder for each genre, in which files of the same name play the same score.
    """

    kind = "folders"

    def __init__(
        self, genres: Mapping[str, str | Path] | None = None, paired: str | Path | None = None
    ) -> None:
        super().__init__(genres)
        self.paired = Path(paired) if paired else None

    def of_genre(self, genre: str, folder: Path) -> list[SourceFile]:
        """See `GenreFolders.of_genre`."""
        paths = find_audio(folder)
        if not paths:
            raise UserError(
                f"{genre}: {folder} holds no audio files ({' '.join(AUDIO_SUFFIXES)}); put some there"
            )
        files = [SourceFile(genre, path, relative_text(path, folder)) for path in paths]
        paired = self.paired / genre if self.paired else None
        if paired and paired.is_dir():
            files += [
                SourceFile(genre, p, relative_text(p, folder), score=as_text(p.stem))
                for p in find_audio(paired)
            ]
        return files


class MixSource(FolderSource):
    """A folder with few long mixes for each genre: blocks of time stand for tracks in the splits."""

    kind = "mixes"
    split_by = "block"


def _require_folder(genre: str, folder: Path) -> None:
    if not genre.strip():
        raise UserError(f"the genre of {folder} has no name; write --genre NAME={folder}")
    if not folder.is_dir():
        raise UserError(
            f"{genre}: {folder} is not a folder; check the path after --genre {genre}={suggest_path(folder)}"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{genre}: the folder {folder} may not be read; mend its permissions")


def _require_apart(folders: Mapping[str, Path]) -> None:
    """Refuse genres that share music.

    Raises:
        UserError: two have the same folder, or the folder of one lies in that of another.
    """
    for (one, outer), (other, inner) in itertools.permutations(sorted(folders.items()), 2):
        if inner.resolve().is_relative_to(outer.resolve()):
            is_same = inner.resolve() == outer.resolve()
            shared = f"the folder {outer}" if is_same else f"music, as {inner} lies in {outer}"
            raise UserError(f"{one} and {other} share {shared}; give each genre a folder of its own")


def relative_text(path: Path, folder: Path) -> str:
    """`path` relative to `folder` as text, with forward slashes."""
    return as_text(Path(os.path.relpath(path, folder)).as_posix())


def as_text(path: str | Path) -> str:
    """A path as text that any file can hold, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
