"""Write and read the files of one track in a corpus: its `.npy` arrays and its JSON record."""

import dataclasses
import math
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.atomic import AtomicFile
from cyclegan_audio.utils.checked_json import DamagedFileError, read_checked_json, write_checked_json

MELS, AUDIO, TRACKS = "mels", "audio", "tracks"  # folders of a corpus
HEADER_BYTES = 128
MAX_TIME_S = 1e8
MAX_ABS_DB = 1000.0  # beyond any float32 magnitude, which spans -760 to 770 dB


@dataclasses.dataclass(frozen=True)
class TrackRecord:
    """The record of a source file, stored as `tracks/<array>.json`.

    Attributes:
        array: name of its arrays without suffix; follows from genre, source, content and settings.
        content: SHA-256 of the file's bytes, "" if they cannot be read.
        duration_s: length of the whole file, 0 if it cannot be read.
        reason: why the file has no clips, or "".
        clips: one dict per clip: start_s, duration_s, reason ("" if kept), index (its row in the arrays, -1
            if dropped), min_db, max_db, mel_crc32 and audio_crc32 (checksums of its rows; the latter None
            without audio), and the features that screening records.
        info: sample_rate, channels and codec of the file.
        rows: number of rows of its arrays.
    """

    array: str
    genre: str
    source: str
    score: str | None
    content: str
    duration_s: float
    reason: str
    clips: list[dict[str, Any]]
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: int = 0

    @property
    def has_arrays(self) -> bool:
        """Return whether any clip is kept."""
        return any(not clip["reason"] for clip in self.clips)

    @property
    def has_audio(self) -> bool:
        """Return whether the source file has audio; mel recordings have none."""
        return bool(self.info.get("sample_rate"))

    def clip_id(self, clip: dict[str, Any]) -> str:
        """Return the identifier of one of its clips."""
        return clip_id(self.array, clip["start_s"])

    def row_checksums(self, part: str) -> list[int | None]:
        """Return the CRC-32 of each row of its array in `mels` or `audio`."""
        key = f"{part.removesuffix('s')}_crc32"
        rows = {clip["index"]: clip.get(key) for clip in self.clips if clip["index"] >= 0}
        return [rows.get(index) for index in range(self.rows)]

    def write(self, folder: Path) -> None:
        """Write the record into a corpus folder."""
        write_checked_json(folder / TRACKS / f"{self.array}.json", dataclasses.asdict(self))


def clip_id(array: str, start_s: float) -> str:
    """Return the identifier of a clip in its corpus."""
    return f"{array}-{round(start_s * 1000):09d}"


def is_finite(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Return whether a value of a file is a finite number in a range."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return low <= value <= high and abs(value) < math.inf


def is_time(value: object) -> bool:
    """Return whether a value of a file is a time in seconds."""
    return is_finite(value, 0, MAX_TIME_S)


def is_level(value: object) -> bool:
    """Return whether a value of a file is a level in dB."""
    return is_finite(value, -MAX_ABS_DB, MAX_ABS_DB)


def is_checksum(value: object) -> bool:
    """Return whether a value of a file is a CRC-32."""
    return type(value) is int and 0 <= value < 1 << 32


def read_record(path: Path) -> TrackRecord | None:
    """Read a record; None if it is missing, damaged, or that of another file."""
    try:
        record = record_from_dict(read_checked_json(path))
    except (OSError, DamagedFileError):
        return None
    return record if record.array == path.stem else None


def record_from_dict(values: dict[str, Any]) -> TrackRecord:
    """Build a record from the plain values of a file.

    Raises:
        DamagedFileError: a value is missing, unknown, or of another type.
    """
    for key, is_valid in _RECORD_FIELDS.items():
        if key not in values or not is_valid(values[key]):
            raise DamagedFileError(f"its {key} is {str(values.get(key))[:40]!r}")
    if unknown := set(values) - set(_RECORD_FIELDS):
        raise DamagedFileError(f"{min(unknown)!r} is unknown")
    record = TrackRecord(**values)
    if sorted(clip["index"] for clip in record.clips if clip["index"] >= 0) != list(range(record.rows)):
        raise DamagedFileError("its rows are not those of its clips")
    return record


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_clip(clip: object) -> bool:
    """Return whether a value is a clip of a record: a dict with the documented keys, all of their types."""
    if not isinstance(clip, dict) or not all(isinstance(v, str | int | float | None) for v in clip.values()):
        return False
    is_valid = (
        is_time(clip.get("start_s"))
        and is_time(clip.get("duration_s", 0))
        and _is_text(clip.get("reason"))
        and type(clip.get("index")) is int
        and clip["index"] >= -1
        and all(clip.get(key) is None or is_level(clip[key]) for key in ("level_db", "loudness_lufs"))
        and (clip.get("bandwidth_hz") is None or is_finite(clip["bandwidth_hz"], low=0))
    )
    if not is_valid or clip["index"] < 0:
        return is_valid and bool(clip["reason"])
    audio = clip.get("audio_crc32")
    return (
        all(is_level(clip.get(key)) for key in ("min_db", "max_db"))
        and is_checksum(clip.get("mel_crc32"))
        and (audio is None or is_checksum(audio))
        and _is_fingerprint(clip.get("fingerprint"))
    )


def _is_fingerprint(value: object) -> bool:
    """Return whether a value is None or words of 16 bits in base 64."""
    try:
        return value is None or (isinstance(value, str) and len(b64decode(value, validate=True)) % 2 == 0)
    except ValueError:
        return False


_RECORD_FIELDS: dict[str, Callable[[Any], bool]] = {
    "array": _is_text,
    "genre": _is_text,
    "source": _is_text,
    "score": lambda value: value is None or _is_text(value),
    "content": _is_text,
    "duration_s": is_time,
    "reason": _is_text,
    "clips": lambda value: isinstance(value, list) and all(map(_is_clip, value)),
    "info": lambda value: isinstance(value, dict) and _are_info(value),
    "rows": lambda value: type(value) is int and value >= 0,
}


def _are_info(info: dict[str, Any]) -> bool:
    return _is_text(info.get("codec")) and all(
        type(info.get(key)) is int and 0 <= info[key] < 1 << 31 for key in ("sample_rate", "channels")
    )


@dataclasses.dataclass(frozen=True, eq=False)
class StoredArrays:
    """Opens the arrays of a corpus: `mels`, float32 (rows, M, F) in dB, and `audio`, int16 (rows, T).

    Attributes:
        folder: the folder of the corpus.
        mel: its mel.
        clip_s: length of a clip in seconds.
    """

    folder: Path
    mel: MelSpectrogram
    clip_s: float

    @property
    def clip_samples(self) -> int:
        """Return the number of samples T of a clip."""
        return round(self.clip_s * self.mel.sample_rate)

    @property
    def clip_frames(self) -> int:
        """Return the number of frames F of a clip's mel."""
        return self.mel.n_frames(self.clip_samples)

    def path(self, part: str, array: str) -> Path:
        """Return the path of an array in `mels` or `audio`."""
        return self.folder / part / f"{array}.npy"

    def n_rows(self, part: str, array: str) -> int:
        """Return the number of rows of an array, from the size of its file.

        Raises:
            DamagedFileError: the file is missing, no regular file of this folder, or has another size.
        """
        path, (shape, dtype) = self.path(part, array), self._row_format(part)
        if not path.is_file():
            raise DamagedFileError("is missing")
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DamagedFileError("lies outside of the corpus")
        n_rows, rest = divmod(path.stat().st_size - HEADER_BYTES, math.prod(shape) * dtype.itemsize)
        if rest or n_rows < 1:
            raise DamagedFileError("is damaged: it has another size")
        return n_rows

    def open(self, part: str, array: str) -> np.ndarray:
        """Memory-map an array.

        Raises:
            OSError: the file cannot be read.
            DamagedFileError: it is missing, or no array as `NpyAppender` writes it.
        """
        n_rows, (shape, dtype) = self.n_rows(part, array), self._row_format(part)
        path = self.path(part, array)
        with path.open("rb") as file:
            if file.read(HEADER_BYTES) != npy_header(n_rows, shape, dtype):
                raise DamagedFileError("is damaged: its header differs")
        return np.memmap(path, dtype, "r", HEADER_BYTES, (n_rows, *shape))

    def _row_format(self, part: str) -> tuple[tuple[int, ...], np.dtype]:
        if part == MELS:
            return (self.mel.n_mels, self.clip_frames), np.dtype("<f4")
        return (self.clip_samples,), np.dtype("<i2")

    def damaged_files(self, record: TrackRecord, with_audio: bool) -> list[Path]:
        """Return the paths of a record's arrays that are missing or differ from their checksums."""
        parts = [MELS] + [AUDIO] * (with_audio and record.has_audio)
        return [self.path(part, record.array) for part in parts if not self._is_whole(record, part)]

    def _is_whole(self, record: TrackRecord, part: str) -> bool:
        if not record.rows:
            return True
        try:
            for row, checksum in zip(self.open(part, record.array), record.row_checksums(part), strict=True):
                check_row(row, checksum)
        except (OSError, ValueError):
            return False
        return True


def check_row(row: np.ndarray, checksum: int | None) -> None:
    """Check the checksum of a row, and that a mel has only finite levels of a possible size.

    Raises:
        DamagedFileError: it fails.
    """
    if zlib.crc32(row.data) != checksum:
        raise DamagedFileError("is damaged: its checksum differs")
    if row.dtype == np.float32 and not are_levels(row):
        raise DamagedFileError("has levels that are not finite, or impossible")


def are_levels(mel_db: np.ndarray) -> bool:
    """Return whether all levels of a mel in dB are finite and of a possible size."""
    return bool(mel_db.min() >= -MAX_ABS_DB and mel_db.max() <= MAX_ABS_DB)


def npy_header(n_rows: int, row_shape: Iterable[int], dtype: np.dtype) -> bytes:
    """Return the header of a `.npy` file (format 1.0) as NumPy writes it, always of `HEADER_BYTES`."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {(n_rows, *row_shape)}, }}"
    length = HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


class NpyAppender:
    """Writes a `.npy` file row by row; the file appears on `commit`.

    A context manager: without `commit` nothing is left.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._file = AtomicFile(path)
        self._handle: IO[bytes] | None = None
        self._row = np.empty(0)

    def append(self, row: np.ndarray) -> int:
        """Write a row and return its CRC-32; all rows have the same shape and type.

        Raises:
            OSError: the disk is full, or the folder is not writable.
        """
        if self._handle is None:
            self._handle = self._file.temporary.open("wb")
            self._row = row
            self._write_header()
        row = np.ascontiguousarray(row)
        self._handle.write(row.data)
        self.rows += 1
        return zlib.crc32(row.data)

    def commit(self) -> None:
        """Move the file to its path, if it has rows."""
        if self._handle is None:
            return
        self._handle.seek(0)
        self._write_header()  # now with the number of rows
        self._handle.close()
        self._handle = None
        self._file.commit()

    def _write_header(self) -> None:
        assert self._handle is not None
        self._handle.write(npy_header(self.rows, self._row.shape, self._row.dtype))

    def __enter__(self) -> "NpyAppender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.close()
        self._file.discard()
