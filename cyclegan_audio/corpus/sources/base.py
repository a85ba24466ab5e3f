"""Define the protocol `Source` and the recordings of a source: `SourceFile` (audio), `MelRecording` (mels).

To add a source, write a class with the members of `Source` and name it in `conf/source/NAME.yaml`:

    _target_: my_package.my_sources.MySource
    folder: null # the arguments of the class with their defaults

`prepare source=NAME` makes a corpus from it. Splits, screening and caching then work for its recordings.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram


@dataclass(frozen=True)
class SourceFile:
    """A recording as an audio file, in any format that `audio.io` reads.

    It is pickled for worker processes: use plain attributes.

    Attributes:
        genre: its genre.
        path: its path.
        source: its name, unique in its genre and equal on every machine: the path relative to the genre's
            folder, with forward slashes.
        score: name of the score that the file plays; files of a score in several genres are paired.
    """

    genre: str
    path: Path
    source: str
    score: str | None = None

    def digest(self) -> str:
        """Return the SHA-256 of all that its clips depend on; a new digest makes `prepare` process it again.

        Raises:
            OSError: it cannot be read.
        """
        with self.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class MelRecording(SourceFile, ABC):
    """A recording that exists as mel-spectrograms only; its clips have no audio."""

    @abstractmethod
    def mels(self, mel: MelSpectrogram, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """Yield its clips by start.

        Args:
            mel: the mel of the corpus.
            n_frames: frames F of a clip.

        Yields:
            start_s, the mel (n_mels, F) float32 in dB or None, and the reason for None, or "".

        Raises:
            UserError: it cannot be read, or has another mel or length.
        """


@runtime_checkable
class Source(Protocol):
    """Lists the recordings of at least two genres. A class needs no base class to be a source.

    A source with one folder per genre extends `GenreFolders`, and accepts `prepare --genre`.

    Attributes:
        default_corpus: the corpus folder if the user names none; None: the user must name one.
        split_by: what `split.by=auto` keeps together: `track` (a recording), or `block` (a block of time in
            it, for few long recordings).
    """

    default_corpus: Path | None
    split_by: str

    def files(self) -> list[SourceFile]:
        """List all recordings, sorted by genre and source; every call lists the same.

        Raises:
            UserError: a folder is missing or has no music, or there are fewer than two genres.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Describe where the music comes from, as plain values for `corpus.json`."""
        ...


def path_to_text(path: str | Path) -> str:
    """Return a path as valid UTF-8 text; other bytes are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
