"""Open a corpus on disk: its manifest (one row per clip), mels in dB and audio (one array per source file).

corpus.json           format version, mel settings with their hash, clip length, screening, splits
manifest.parquet      columns as in `COLUMNS`, sorted by genre, source and start; written last
mels/<array>.npy      float32 (clips, M, F) in dB, not normalised
audio/<array>.npy     int16 (clips, T) mono at the mel's sample rate; absent with audio=none
tracks/<array>.json   record of the source file, so that `prepare` need not read it again
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
SETTINGS_FILE = "corpus.json"
MANIFEST_FILE = "manifest.parquet"
INT16_SCALE = 32767.0
SPLITS = ("train", "val", "test", "paired")

# Columns and their Arrow types. A dropped clip has kept = false, a reason, index -1 and split "".
COLUMNS = {
    "clip_id": "string",
    "genre": "string",
    "source": "string",  # path relative to its genre's folder, with forward slashes
    "start_s": "float64",
    "duration_s": "float64",
    "track": "string",  # what a split keeps together: a source file, or a block of time in it
    "content": "string",  # SHA-256 of the source file's bytes
    "array": "string",  # the file name, without suffix, of the source file's arrays
    "index": "int32",  # row in these arrays
    "score": "string",  # null, or the name that links paired clips
    "split": "string",
    "kept": "bool",
    "reason": "string",
    "level_db": "float64",
    "loudness_lufs": "float64",  # of the mono mix; null without audio
    "bandwidth_hz": "float64",  # highest frequency with content
    "dc_offset": "float64",  # of the channel with the largest, before it was subtracted; null: nothing was
    "codec": "string",  # of the source file
    "sample_rate": "int32",
    "min_db": "float64",  # of the mel; null without a mel
    "max_db": "float64",
}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A kept clip: its row in the manifest (see `COLUMNS`)."""

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
    level_db: float | None  # None without audio
    min_db: float
    max_db: float
    loudness_lufs: float | None = None  # None without audio
    bandwidth_hz: float | None = None


class Corpus:
    """The kept clips of a corpus with their memory-mapped mels and audio; many processes may read at once.

    Attributes:
        folder: its folder.
        mel: its mel-spectrogram settings.
        genres: genres with kept clips, sorted.
        clip_s: length of each clip in seconds.
        normalisation: applied to mels and audio as they are read; none by default.
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
            UserError: the folder is no corpus, unfinished, damaged, or of another format version.
        """
        folder = Path(folder)
        settings = read_settings(folder)
        if settings is None:
            prepare_command = command_line("prepare", *2 * ("--genre", "NAME=FOLDER"), f"corpus={folder}")
            raise UserError(
                f"{folder} is not a corpus (it has no corpus.json)"
                f"{suggest_path(folder) or f'; make one: {prepare_command}'}"
            )
        if not (folder / MANIFEST_FILE).is_file():
            raise UserError(
                f"the corpus {folder} is not finished; run its prepare command again to complete it"
            )
        fields = [field.name for field in dataclasses.fields(Clip)]
        rows = read_manifest(folder)
        clips = [Clip(**{key: row[key] for key in fields}) for row in rows if row["kept"]]
        corpus = cls(folder, settings, clips)
        corpus._check_arrays()
        return corpus

    def _check_arrays(self) -> None:
        """Check by file size that no mels are missing or truncated.

        Raises:
            UserError: a file is missing or too short.
        """
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
        """Return the number of samples T of a clip."""
        return round(self.clip_s * self.mel.sample_rate)

    @property
    def clip_frames(self) -> int:
        """Return the number of frames F of a clip's mel."""
        return self.mel.n_frames(self.clip_samples)

    @property
    def n_clips(self) -> int:
        """Return the number of kept clips of all genres and splits."""
        return len(self._clips)

    def select(self, predicate: Callable[[Clip], bool]) -> "Corpus":
        """Return the same corpus with only the clips for which `predicate` is true."""
        return Corpus(
            self.folder, self._settings, [clip for clip in self._clips if predicate(clip)], self.normalisation
        )

    def normalised(self, normalisation: CorpusNormalisation) -> "Corpus":
        """Return the same corpus with its mels, and the loudness of its audio, normalised."""
        return Corpus(self.folder, self._settings, self._clips, normalisation)

    def clips(self, genre: str, split: str) -> list[Clip]:
        """Return the clips of a genre in a split (train, val, test, paired), sorted by source and start."""
        return [clip for clip in self._clips if clip.genre == genre and clip.split == split]

    def paired_clips(self, genre_a: str, genre_b: str) -> list[tuple[Clip, Clip]]:
        """Return pairs of clips that play the same score at the same time; empty without a paired set."""
        by_time = {(clip.score, clip.start_s): clip for clip in self.clips(genre_b, "paired")}
        clips_a = [clip for clip in self.clips(genre_a, "paired") if clip.score]
        return [(a, by_time[a.score, a.start_s]) for a in clips_a if (a.score, a.start_s) in by_time]

    def mel_db(self, clip: Clip) -> Tensor:
        """Return a copy of the clip's normalised mel in dB, (M, F) float32."""
        mels_db = _load_array(self.folder / "mels" / f"{clip.array}.npy")
        mel_db = torch.from_numpy(np.array(mels_db[clip.index]))
        return self.normalisation.apply(mel_db, self.mel, self.normalisation.gain_db(clip.loudness_lufs))

    def audio(self, clip: Clip) -> Tensor:
        """Return the clip's waveform, (T,) float32 at the mel's sample rate.

        Raises:
            UserError: the corpus holds no audio of the clip.
        """
        path = self.folder / "audio" / f"{clip.array}.npy"
        if not path.is_file():
            raise UserError(self._missing_audio_message(clip))
        scale = 10 ** (self.normalisation.gain_db(clip.loudness_lufs) / 20) / INT16_SCALE
        return torch.from_numpy(_load_array(path)[clip.index].astype(np.float32) * np.float32(scale))

    def _missing_audio_message(self, clip: Clip) -> str:
        if clip.level_db is None:
            return f"the corpus {self.folder} was made from mels and has no audio; prepare one from audio"
        return (
            f"the corpus {self.folder} has no audio of {clip.genre} in split {clip.split!r}; "
            "run prepare again with audio=all"
        )

    def check_genres(self, genre_a: str, genre_b: str) -> tuple[str, str]:
        """Return two genres as the corpus spells them.

        Raises:
            UserError: the corpus lacks one (the message lists its genres), or both are the same.
        """
        place = f"in the corpus {self.folder}"
        a, b = (match_name(genre, self.genres, "genre", place) for genre in (genre_a, genre_b))
        if a == b:
            raise UserError(f"both genres are {a!r}; choose two of {', '.join(self.genres)}")
        return a, b


def read_settings(folder: Path) -> dict[str, Any] | None:
    """Read `corpus.json`; None if the folder has none.

    Raises:
        UserError: the file is damaged or of another format version.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        version = settings["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete the folder and prepare it again") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{folder} has corpus format {version}, not {FORMAT_VERSION}; delete it and prepare it again"
        )
    return settings


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read all rows of the manifest, kept or dropped, as plain values by column.

    Raises:
        UserError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / MANIFEST_FILE
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table would import pandas, which takes seconds
            return file.read(columns=list(COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}); run prepare again") from error


@lru_cache(maxsize=256)
def _load_array(path: Path) -> np.ndarray:
    """Memory-map an array. Its name follows from its content, so that a cached mapping is never stale."""
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or damaged ({error}); run prepare again") from error
