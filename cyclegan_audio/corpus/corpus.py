"""A corpus on disk: one row a clip in `manifest.parquet`, mels in dB and audio in one array a source file.

corpus.json           format version, mel settings with their hash, clip length, screening, splits
manifest.parquet      columns as in `COLUMNS`, sorted by genre, source and start; written last
mels/<array>.npy      float32 (clips, M, F) in dB, not normalised
audio/<array>.npy     int16 (clips, T) mono at the mel's sample rate; not there with audio=none
tracks/<array>.json   what `prepare` found in the source file, so that it need not be read again
"""

import dataclasses
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, match_name, suggest_path

FORMAT_VERSION = 3
DESCRIPTION = "corpus.json"
MANIFEST = "manifest.parquet"
INT16_SCALE = 32767.0
SPLITS = ("train", "val", "test", "paired")

# Column and Arrow type. A dropped clip has kept = false, its reason, index -1 and split "".
COLUMNS = {
    "clip_id": "string",
    "genre": "string",
    "source": "string",  # file relative to its genre's folder, with forward slashes
    "start_s": "float64",
    "duration_s": "float64",
    "track": "string",  # what a split keeps together: a source file, or a block of time in one
    "content": "string",  # SHA-256 of the source file's bytes
    "array": "string",  # the file name, without suffix, of the source file's arrays
    "index": "int32",  # row in these arrays
    "score": "string",  # null, or the name that links paired clips
    "split": "string",
    "kept": "bool",
    "reason": "string",
    "level_db": "float64",
    "loudness_lufs": "float64",  # of the mono mix; null without audio
    "bandwidth_hz": "float64",  # where content ends
    "codec": "string",  # of the file
    "sample_rate": "int32",
    "min_db": "float64",  # of the mel; null where there is none
    "max_db": "float64",
}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A kept clip: its row in the manifest."""

    clip_id: str
    genre: str
    source: str
    start_s: float
    duration_s: float
    track: str
    content: str
    array: str
    index: int
    score: str | None
    split: str
    level_db: float | None  # None where there is no audio
    min_db: float
    max_db: float
    loudness_lufs: float | None = None  # None where there is no audio
    bandwidth_hz: float | None = None


class Corpus:
    """Kept clips of a corpus with their mels and audio, memory-mapped; many processes may read.

    Attributes:
        folder: where it lies.
        mel: the settings of its mels.
        genres: genres with kept clips, sorted.
        clip_s: length of each clip in seconds.
        normalisation: what its mels and audio are brought to as they are read; nothing by default.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        clips: list[Clip],
        normalisation: CorpusNormalisation | None = None,
    ) -> None:
        self.normalisation = normalisation or CorpusNormalisation()
        self.folder = folder
        self.mel = MelSpectrogram.from_dict(settings["mel"])
        self.clip_s = float(settings["clip"]["seconds"])
        self.genres = tuple(sorted({clip.genre for clip in clips}))
        self._settings = settings
        self._clips = clips

    @classmethod
    def open(cls, folder: str | Path) -> "Corpus":
        """Open a finished corpus.

        Raises:
            UserError: not a corpus, not finished, damaged, or of another format version.
        """
        folder = Path(folder)
        settings = read_settings(folder)
        if settings is None:
            make = command_line("prepare", *2 * ("--genre", "NAME=FOLDER"), f"corpus={folder}")
            raise UserError(
                f"{folder} is not a corpus (it has no corpus.json)"
                f"{suggest_path(folder) or f'; make one: {make}'}"
            )
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"the corpus {folder} is not finished; run its prepare command again, it goes on there"
            )
        fields = [field.name for field in dataclasses.fields(Clip)]
        rows = read_manifest(folder)
        clips = [Clip(**{key: row[key] for key in fields}) for row in rows if row["kept"]]
        corpus = cls(folder, settings, clips)
        corpus._check_complete()
        return corpus

    def _check_complete(self) -> None:
        """Refuse missing and truncated mels by the size of their files."""
        clip_bytes = self.mel.n_mels * self.clip_frames * np.dtype(np.float32).itemsize
        n_rows: dict[str, int] = {}
        for clip in self._clips:
            n_rows[clip.array] = max(n_rows.get(clip.array, 0), clip.index + 1)
        for array, rows in n_rows.items():
            path = self.folder / "mels" / f"{array}.npy"
            if not path.is_file() or path.stat().st_size < rows * clip_bytes:
                raise UserError(f"{path} is missing or damaged; run prepare again")

    @property
    def clip_samples(self) -> int:
        """Samples of a clip, T."""
        return round(self.clip_s * self.mel.sample_rate)

    @property
    def clip_frames(self) -> int:
        """Frames of a clip's mel, F."""
        return self.mel.n_frames(self.clip_samples)

    @property
    def n_clips(self) -> int:
        """Kept clips of all genres and splits."""
        return len(self._clips)

    def only(self, wanted: Callable[[Clip], bool]) -> "Corpus":
        """The same corpus with the wanted clips alone."""
        return Corpus(
            self.folder, self._settings, [clip for clip in self._clips if wanted(clip)], self.normalisation
        )

    def normalised(self, normalisation: CorpusNormalisation) -> "Corpus":
        """Return the same corpus with its mels, and the loudness of its audio, normalised."""
        return Corpus(self.folder, self._settings, self._clips, normalisation)

    def clips(self, genre: str, split: str) -> list[Clip]:
        """The clips of a genre in a split (train, val, test, paired), sorted by source and start."""
        return [clip for clip in self._clips if clip.genre == genre and clip.split == split]

    def paired(self, genre_a: str, genre_b: str) -> list[tuple[Clip, Clip]]:
        """Clips of the same score at the same time in two genres; empty for a corpus without a paired set."""
        of_b = {(clip.score, clip.start_s): clip for clip in self.clips(genre_b, "paired")}
        of_a = [clip for clip in self.clips(genre_a, "paired") if clip.score]
        return [(c, of_b[c.score, c.start_s]) for c in of_a if (c.score, c.start_s) in of_b]

    def mel_db(self, clip: Clip) -> Tensor:
        """The clip's mel in dB, (M, F) float32; a copy."""
        mel_db = torch.from_numpy(np.array(_array(self.folder / "mels" / f"{clip.array}.npy")[clip.index]))
        return self.normalisation.apply(mel_db, self.mel, self.normalisation.gain_db(clip.loudness_lufs))

    def audio(self, clip: Clip) -> Tensor:
        """The clip's waveform (T,) float32 at the mel's sample rate.

        Raises:
            UserError: this corpus keeps no audio for the clip.
        """
        path = self.folder / "audio" / f"{clip.array}.npy"
        if not path.is_file():
            raise UserError(self._no_audio(clip))
        scale = 10 ** (self.normalisation.gain_db(clip.loudness_lufs) / 20) / INT16_SCALE
        return torch.from_numpy(_array(path)[clip.index].astype(np.float32) * np.float32(scale))

    def _no_audio(self, clip: Clip) -> str:
        if clip.level_db is None:
            return f"the corpus {self.folder} was made from pictures, which hold no sound"
        return (
            f"the corpus {self.folder} keeps no audio of {clip.genre} in split {clip.split!r}; "
            "run prepare again with audio=all"
        )

    def check_genres(self, genre_a: str, genre_b: str) -> tuple[str, str]:
        """Return the corpus's own spelling of two genres.

        Raises:
            UserError: the corpus lacks one, or both are the same; names those that there are.
        """
        where = f"in the corpus {self.folder}"
        a, b = (match_name(genre, self.genres, "genre", where) for genre in (genre_a, genre_b))
        if a == b:
            raise UserError(f"both genres are {a!r}; choose two of {', '.join(self.genres)}")
        return a, b


def read_settings(folder: Path) -> dict[str, Any] | None:
    """`corpus.json`, or None where there is none.

    Raises:
        UserError: the file is damaged or of another format version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        version = settings["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete the folder and prepare it again") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{folder} has corpus format {version}, not {FORMAT_VERSION}; prepare it again in another folder"
        )
    return settings


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """All rows of the manifest, kept or not, as plain values by column.

    Raises:
        UserError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / MANIFEST
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table would import pandas, which takes seconds
            return file.read(columns=list(COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}); run prepare again") from error


@lru_cache(maxsize=256)
def _array(path: Path) -> np.ndarray:
    """A memory-mapped array. Names of arrays follow from their content: a kept mapping cannot be stale."""
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or damaged ({error}); run prepare again") from error
