"""What a source must have (`Source`), and the two kinds of recordings: `SourceFile` and `MelRecording`.

To add a source, write a class with the members of `Source` and name it in `conf/source/NAME.yaml`:

    _target_: my_package.my_sources.MySource
    folder: null # the arguments of the class, each with its default

`prepare source=NAME` makes a corpus from it. Splits, screening and caching follow from what it lists.
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

    Worker processes get it pickled: keep its attributes plain.

    Attributes:
        genre: its genre.
        path: where it lies.
        source: its name, unique in its genre and the same on every machine: the path relative to the genre's
            folder, with forward slashes.
        score: names the score where the same score exists in several genres: such files are the paired set.
    """

    genre: str
    path: Path
    source: str
    score: str | None = None

    def digest(self) -> str:
        """Hash all that its clips follow from, with SHA-256: a recording of another digest is prepared anew.

        Raises:
            OSError: it cannot be read.
        """
        with self.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class MelRecording(SourceFile, ABC):
    """A recording of which only mel-spectrograms are left; its clips have no audio."""

    @abstractmethod
    def mels(self, mel: MelSpectrogram, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """Yield its clips in the order of time.

        Args:
            mel: the mel of the corpus.
            n_frames: frames F of a clip.

        Yields:
            start_s, the mel (n_mels, F) float32 in dB or None, and why there is none, or "".

        Raises:
            UserError: nothing of it can be read, or it does not fit this mel or length.
        """


@runtime_checkable
class Source(Protocol):
    """Lists the recordings of at least two genres. A class needs no base class to be a source.

    One whose genres are folders extends `GenreFolders`, and takes the folders of `prepare --genre`.

    Attributes:
        default_corpus: the corpus folder where the user names none; None: the user must name one.
        split_by: what `split.by=auto` keeps together: `track`, a recording, or `block`, a block of time in
            it, for few long recordings.
    """

    default_corpus: Path | None
    split_by: str

    def files(self) -> list[SourceFile]:
        """List all recordings, sorted by genre and source; a second call lists the same.

        Raises:
            UserError: a folder is missing or holds no music, or there are fewer than two genres.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Describe where the music comes from, as plain values for `corpus.json`."""
        ...


def as_text(path: str | Path) -> str:
    """Write a path as text that any file can hold, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
