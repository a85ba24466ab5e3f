"""Read the paper's published spectrograms from an `.npz` file as a source: `source=paper_npz`."""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.sources.base import MelRecording, SourceFile, path_to_text
from cyclegan_audio.corpus.track_files import TIME_S
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path
from cyclegan_audio.utils.regular_files import check_file

GREY_LEVELS = 255
_STARTS_SUFFIX = "_start_s"
_MAX_EXPANSION = 50  # spectrograms shrink to a third or more; zeros to a thousandth


@dataclass(frozen=True)
class PaperNpzRecording(MelRecording):
    """One genre's array in the file; `range_db` as in `PaperNpzSource`."""

    range_db: tuple[float, float] = (0.0, 1.0)

    def digest(self) -> str:
        """Return the SHA-256 of the genre's arrays and the range."""
        levels, starts_s = _arrays(self.path, self.genre)
        parts = (levels.tobytes(), starts_s.tobytes(), repr(self.range_db).encode())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def mels(self, mel: MelSpectrogram, n_frames: int) -> Iterator[tuple[float, Tensor | None, str]]:
        """See `MelRecording.mels`."""
        levels, starts_s = _arrays(self.path, self.genre)
        check_shape(self.path, levels.shape[1:], mel, n_frames)
        for clip, start_s in zip(levels, starts_s, strict=True):
            yield float(start_s), levels_to_db(clip.astype(np.float32), self.range_db), ""


class PaperNpzSource:
    """Lists the genres of an `.npz`: `<genre>` uint8 (clips, bands, frames), `<genre>_start_s` (clips,).

    Grey level 0 is a clip's minimum in dB and 255 its maximum; the dB values were never published.

    Args:
        file: the `.npz` file.
        range_db: assumed dB of grey levels 0 and 255.
    """

    default_corpus: Path | None = None
    split_by = "block"

    def __init__(self, file: str | Path | None = None, range_db: tuple[float, float] = (-60.0, 45.0)) -> None:
        self.file = Path(file) if file is not None else None
        self.range_db = check_range(range_db)

    def files(self) -> list[SourceFile]:
        """See `Source.files`."""
        if self.file is None:
            raise UserError("source=paper_npz needs source.file=FILE.npz")
        try:
            check_archive(self.file)
            with np.load(self.file) as arrays:
                genres = sorted(
                    key.removesuffix(_STARTS_SUFFIX) for key in arrays.files if key.endswith(_STARTS_SUFFIX)
                )
        except (OSError, ValueError, UserError, zipfile.BadZipFile) as error:
            raise UserError(
                f"source.file={self.file} cannot be read as .npz ({error}){suggest_path(self.file)}"
            ) from error
        if len(genres) < 2:
            raise UserError(
                f"{self.file} has {len(genres)} genres (NAME and NAME{_STARTS_SUFFIX}), two are needed"
            )
        return [
            PaperNpzRecording(
                genre, self.file, f"{path_to_text(self.file.name)}/{genre}", range_db=self.range_db
            )
            for genre in genres
        ]

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {"kind": "paper_npz", "file": path_to_text(self.file or ""), "range_db": list(self.range_db)}


def levels_to_db(levels: np.ndarray, range_db: tuple[float, float]) -> Tensor:
    """Convert grey levels (M, F) of 0 to 255 to dB, (M, F) float32."""
    low, high = range_db
    return torch.from_numpy(levels).float() * ((high - low) / GREY_LEVELS) + low


def check_range(range_db: Any) -> tuple[float, float]:
    """Return a range as two rising numbers.

    Raises:
        UserError: it is not one.
    """
    try:
        low, high = map(float, range_db)
        if low < high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise UserError(f"source.range_db={range_db} is not [LOW,HIGH] in dB; write for example [-60,45]")


def check_shape(path: Path, shape: tuple[int, ...], mel: MelSpectrogram, n_frames: int) -> None:
    """Check that spectrograms have the shape of this mel.

    Raises:
        UserError: they have another shape.
    """
    if tuple(shape) != (mel.n_mels, n_frames):
        raise UserError(
            f"{path} has spectrograms of {' x '.join(map(str, shape))} bands and frames, the mel "
            f"{mel.name} has {mel.n_mels} x {n_frames}; use mel=paper and clip.seconds=4 for published ones"
        )


def check_archive(path: Path) -> None:
    """Check that a file is a zip file, and no bomb, which would take all memory.

    Raises:
        UserError: it is no file on disk.
        ValueError: it would become far larger.
        zipfile.BadZipFile: it is no zip file.
    """
    check_file(path, 1 << 40)
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(entry.file_size for entry in archive.infolist())
    if n_bytes > _MAX_EXPANSION * path.stat().st_size + (1 << 26):
        raise ValueError(f"its arrays take {n_bytes / 1e9:.3g} GB, too much for its size")


@lru_cache(maxsize=2)
def _arrays(path: Path, genre: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        check_archive(path)
        with np.load(path) as arrays:
            levels, starts_s = arrays[genre], arrays[genre + _STARTS_SUFFIX]
    except (OSError, ValueError, KeyError, UserError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); download it again") from error
    are_arrays = isinstance(levels, np.ndarray) and isinstance(starts_s, np.ndarray)
    if not are_arrays or levels.ndim != 3 or starts_s.shape != levels.shape[:1] or levels.dtype != np.uint8:
        raise UserError(f"{path}: {genre} is not uint8 (clips, bands, frames) with a start per clip")
    if starts_s.dtype.kind not in "iuf" or not ((starts_s >= TIME_S.low) & (starts_s <= TIME_S.high)).all():
        raise UserError(f"{path}: {genre}{_STARTS_SUFFIX} holds no numbers of seconds; download it again")
    order = np.argsort(starts_s, kind="stable")
    return levels[order], starts_s[order]
