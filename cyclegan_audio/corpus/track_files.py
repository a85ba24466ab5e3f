"""Write and read the files of one track in a corpus: its `.npy` arrays and its JSON record."""

import dataclasses
import math
import zlib
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Any, TypeVar

import numpy as np

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.atomic import AtomicFile
from cyclegan_audio.utils.checked_json import DamagedFileError, read_checked_json, write_checked_json
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.fields import Range, check_fields, from_mapping

MELS, AUDIO, TRACKS = "mels", "audio", "tracks"  # folders of a corpus
HEADER_BYTES = 128
MAX_ABS_DB = 1000.0  # beyond any float32 magnitude, which spans -760 to 770 dB
TIME_S, LEVEL_DB, CHECKSUM = Range(0, 1e8), Range(-MAX_ABS_DB, MAX_ABS_DB), Range(0, (1 << 32) - 1)


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
    duration_s: Annotated[float, TIME_S]
    reason: str
    clips: list[dict[str, Any]]
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: Annotated[int, Range(0)] = 0

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
    try:
        record = _checked(TrackRecord, values, "the record")
        _checked(_StoredInfo, record.info, "info")
        for clip in record.clips:
            _checked(_StoredClip, clip, "a clip").check_row()
    except (UserError, ValueError) as error:
        raise DamagedFileError(str(error)) from error
    if sorted(clip["index"] for clip in record.clips if clip["index"] >= 0) != list(range(record.rows)):
        raise DamagedFileError("its rows are not those of its clips")
    return record


T = TypeVar("T")


def _checked(cls: type[T], values: dict[str, Any], name: str) -> T:
    """Build a dataclass from the plain values of a file.

    Raises:
        UserError: a value is missing, unknown, or of another type.
    """
    instance = from_mapping(cls, values, name)
    check_fields(instance, name)
    if unknown := values.keys() - {field.name for field in dataclasses.fields(cls)}:  # type: ignore[arg-type]
        raise UserError(f"{name} has the unknown value {shortened(min(unknown))}")
    return instance


@dataclasses.dataclass(frozen=True)
class _StoredInfo:
    """The values of `TrackRecord.info`."""

    codec: str
    sample_rate: Annotated[int, Range(0, (1 << 31) - 1)]
    channels: Annotated[int, Range(0, (1 << 31) - 1)]


@dataclasses.dataclass(frozen=True)
class _StoredClip:
    """The values of a clip in `TrackRecord.clips`."""

    start_s: Annotated[float, TIME_S]
    reason: str
    index: Annotated[int, Range(-1)]
    duration_s: Annotated[float, TIME_S] = 0.0
    level_db: Annotated[float, LEVEL_DB] | None = None
    loudness_lufs: Annotated[float, LEVEL_DB] | None = None
    bandwidth_hz: Annotated[float, Range(0)] | None = None
    dc_offset: float | None = None
    fingerprint: str | None = None
    min_db: Annotated[float, LEVEL_DB] | None = None
    max_db: Annotated[float, LEVEL_DB] | None = None
    mel_crc32: Annotated[int, CHECKSUM] | None = None
    audio_crc32: Annotated[int, CHECKSUM] | None = None

    def check_row(self) -> None:
        """Check that a clip has a row with levels and a checksum, or a reason.

        Raises:
            ValueError: it has not.
        """
        if self.index < 0 and not self.reason:
            raise ValueError("a clip has neither a row nor a reason")
        if self.index >= 0 and None in (self.min_db, self.max_db, self.mel_crc32):
            raise ValueError("a row has no levels or checksum")
        if len(b64decode(self.fingerprint or "", validate=True)) % 2:
            raise ValueError("a fingerprint has half a word")


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
