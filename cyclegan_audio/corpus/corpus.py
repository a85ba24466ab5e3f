"""Open a corpus on disk: its manifest (one row per clip), mels in dB and audio (one array per source file).

corpus.json           format version, mel settings with their hash, clip length, screening, splits
manifest.parquet      columns as in `manifest_file.COLUMNS`, sorted by genre, source and start; written last
mels/<array>.npy      float32 (clips, M, F) in dB, not normalised
audio/<array>.npy     int16 (clips, T) mono at the mel's sample rate; absent with audio=none
tracks/<array>.json   record of the source file, so that `prepare` need not read it again

All files have checksums: a clip is checked when it is first read.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE, read_manifest
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.corpus.settings_file import read_settings
from cyclegan_audio.corpus.track_files import AUDIO, MELS, StoredArrays, check_row
from cyclegan_audio.utils.checked_json import DamagedFileError
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, match_name, suggest_path

T = TypeVar("T")
INT16_SCALE = 32767.0
REPAIR = "run its prepare command again, which mends it; without its music, copy this file again"


class DamagedClipError(UserError):
    """A clip is damaged.

    The message stays one line if a worker process of a DataLoader raises it, although PyTorch then creates
    the error again from the worker's stack trace.
    """

    def __init__(self, message: str) -> None:
        last_line = message.rstrip().rpartition("\n")[2]
        super().__init__(last_line.removeprefix(f"{type(self).__module__}.{type(self).__name__}: "))


@dataclasses.dataclass(frozen=True)
class Clip:
    """A kept clip: its row in the manifest (see `manifest_file.COLUMNS`)."""

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
    mel_crc32: int = 0
    audio_crc32: int | None = None  # None without audio


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
        self._arrays = StoredArrays(folder, self.mel, self.clip_s)
        self._checked: set[tuple[str, str, int]] = set()

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
        """Check that no mels are missing or have another size.

        Raises:
            UserError: a file is missing, or has another size.
        """
        n_rows: dict[str, int] = {}
        for clip in self._clips:
            n_rows[clip.array] = max(n_rows.get(clip.array, 0), clip.index + 1)
        for array, rows in n_rows.items():
            path = self._arrays.path(MELS, array)
            try:
                if self._arrays.n_rows(MELS, array) < rows:
                    raise DamagedFileError("is damaged: it has too few rows")
            except DamagedFileError as error:
                raise UserError(f"{path} {error}; {REPAIR}") from error

    @property
    def clip_samples(self) -> int:
        """Return the number of samples T of a clip."""
        return self._arrays.clip_samples

    @property
    def clip_frames(self) -> int:
        """Return the number of frames F of a clip's mel."""
        return self._arrays.clip_frames

    @property
    def n_clips(self) -> int:
        """Return the number of kept clips of all genres and splits."""
        return len(self._clips)

    def select(self, predicate: Callable[[Clip], bool]) -> "Corpus":
        """Return the same corpus with only the clips for which `predicate` is true."""
        return self._derive([clip for clip in self._clips if predicate(clip)], self.normalisation)

    def normalised(self, normalisation: CorpusNormalisation) -> "Corpus":
        """Return the same corpus with its mels, and the loudness of its audio, normalised."""
        return self._derive(self._clips, normalisation)

    def _derive(self, clips: list[Clip], normalisation: CorpusNormalisation) -> "Corpus":
        derived = Corpus(self.folder, self._settings, clips, normalisation)
        derived._arrays, derived._checked = self._arrays, self._checked
        return derived

    def clips(self, genre: str, split: str) -> list[Clip]:
        """Return the clips of a genre in a split (train, val, test, paired), sorted by source and start."""
        return [clip for clip in self._clips if clip.genre == genre and clip.split == split]

    def paired_clips(self, genre_a: str, genre_b: str) -> list[tuple[Clip, Clip]]:
        """Return pairs of clips that play the same score at the same time; empty without a paired set."""
        by_time = {(clip.score, clip.start_s): clip for clip in self.clips(genre_b, "paired")}
        clips_a = [clip for clip in self.clips(genre_a, "paired") if clip.score]
        return [(a, by_time[a.score, a.start_s]) for a in clips_a if (a.score, a.start_s) in by_time]

    def mel_db(self, clip: Clip) -> Tensor:
        """Return a copy of the clip's normalised mel in dB, (M, F) float32.

        Raises:
            DamagedClipError: the clip is damaged.
        """
        mel_db = torch.from_numpy(self._row(MELS, clip, clip.mel_crc32))
        return self.normalisation.apply(mel_db, self.mel, self.normalisation.gain_db(clip.loudness_lufs))

    def audio(self, clip: Clip) -> Tensor:
        """Return the clip's waveform, (T,) float32 at the mel's sample rate.

        Raises:
            UserError: the corpus holds no audio of the clip.
            DamagedClipError: the clip is damaged.
        """
        if not self.has_audio(clip):
            raise UserError(self._missing_audio_message(clip))
        scale = 10 ** (self.normalisation.gain_db(clip.loudness_lufs) / 20) / INT16_SCALE
        row = self._row(AUDIO, clip, clip.audio_crc32)  # type: ignore[arg-type]  # has_audio
        return torch.from_numpy(row.astype(np.float32) * np.float32(scale))

    def has_audio(self, clip: Clip) -> bool:
        """Return whether the corpus holds the clip's waveform."""
        return clip.audio_crc32 is not None and self._arrays.path(AUDIO, clip.array).exists()

    def _row(self, part: str, clip: Clip, checksum: int) -> np.ndarray:
        """Return a copy of a clip's row in an array; check it at its first reading in this process.

        Raises:
            DamagedClipError: the file is missing, or the clip is damaged.
        """
        try:
            row = np.array(_open_array(self._arrays, part, clip.array)[clip.index])
            key = (part, clip.array, clip.index)
            if key not in self._checked:
                check_row(row, checksum)
                self._checked.add(key)
        except (OSError, IndexError, DamagedFileError) as error:
            reason = error if isinstance(error, DamagedFileError) else "is damaged: it cannot be read"
            name = f"{clip.genre}: {clip.source} at {clip.start_s:g} s"
            path = self._arrays.path(part, clip.array)
            raise DamagedClipError(f"{name} in {path} {reason}; {REPAIR}") from error
        return row

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


@lru_cache(maxsize=256)
def _open_array(arrays: StoredArrays, part: str, array: str) -> np.ndarray:
    """Memory-map an array; each opened corpus maps its own, as `prepare` may have replaced a damaged file."""
    return arrays.open(part, array)


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` of the items, evenly spaced and in their order."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]
