"""Write and read `manifest.parquet`, the table of a corpus with a row per clip."""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclegan_audio.corpus.track_files import CHECKSUM, LEVEL_DB, TIME_S
from cyclegan_audio.utils.atomic import atomic_write_bytes
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import Range

MANIFEST_FILE = "manifest.parquet"
SPLITS = ("train", "val", "test", "paired")
MAX_ROWS = 1 << 22
MAX_BYTES = 1 << 30  # of all rows; one has some 300
_BATCH_ROWS = 256
_ROWS_CHECKSUM = b"rows_crc32"  # key of the schema's metadata
_ARRAY_NAME = re.compile(r"[a-zA-Z0-9_-]+")

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
    "mel_crc32": "uint32",  # checksum of the mel's row; null without a mel
    "audio_crc32": "uint32",  # checksum of the audio's row, stored or not; null without audio
}


def write_manifest(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the manifest of a corpus; an equal file stays untouched."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=_schema())
    checksum = {_ROWS_CHECKSUM: _checksum(table.to_pylist())}
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(checksum), buffer, write_page_checksum=True)
    content, path = buffer.getvalue().to_pybytes(), folder / MANIFEST_FILE
    if not path.is_file() or path.read_bytes() != content:
        atomic_write_bytes(path, content)


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read all rows of the manifest, kept or dropped, as plain values by column.

    Raises:
        UserError: the file is damaged, or its values are invalid.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / MANIFEST_FILE
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")  # reading a pipe would block
        # pq.read_table would import pandas, which takes seconds
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            if not schema.equals(_schema()) or file.metadata.num_rows > MAX_ROWS:
                raise ValueError("it has other columns, or too many rows")
            rows = _read_rows(file)
        if (schema.metadata or {}).get(_ROWS_CHECKSUM) != _checksum(rows):
            raise ValueError("its checksum differs")
    except (OSError, ValueError, OverflowError, MemoryError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or ["it is damaged"])[0]
        raise UserError(f"{path} cannot be read ({reason}); run prepare again") from error
    for number, row in enumerate(rows):
        for key, is_valid in _VALID.items():
            if not is_valid(row[key]) and (row["kept"] or key not in _KEPT_ONLY):
                raise UserError(
                    f"{path} has {key} {str(row[key])[:40]!r} in row {number}, which is not valid; "
                    "run prepare again"
                )
    return rows


def _read_rows(file: Any) -> list[dict[str, Any]]:
    """Read the rows in batches, as a small file can hold one long text a million times.

    Raises:
        ValueError: they take more than `MAX_BYTES`.
    """
    rows, n_bytes = [], 0
    for batch in file.iter_batches(_BATCH_ROWS):
        n_bytes += batch.nbytes
        if n_bytes > MAX_BYTES:
            raise ValueError("its rows are too large")
        rows += batch.to_pylist()
    return rows


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])


def _checksum(rows: list[dict[str, Any]]) -> bytes:
    return f"{zlib.crc32(json.dumps(rows).encode()):08x}".encode()


def _within(limits: Range, optional: bool = False) -> Callable[[Any], bool]:
    """Return the check of a number; the columns have types, so `fields` would only be slower."""
    low, high = limits.low, limits.high
    return lambda value: optional if value is None else low <= value <= high


_KEPT_ONLY = ("index", "split", "min_db", "max_db", "mel_crc32", "reason", "level_db", "loudness_lufs")
_VALID: dict[str, Callable[[Any], bool]] = {
    "kept": lambda value: value is not None,
    "clip_id": bool,
    "genre": bool,
    "source": bool,
    "start_s": _within(TIME_S),
    "duration_s": _within(TIME_S),
    "track": bool,
    "content": lambda value: value is not None,
    "array": lambda value: bool(_ARRAY_NAME.fullmatch(value or "")),
    "index": _within(Range(0)),
    "split": lambda value: value in SPLITS,
    "reason": lambda value: value == "",
    "level_db": _within(LEVEL_DB, optional=True),
    "loudness_lufs": _within(LEVEL_DB, optional=True),
    "bandwidth_hz": _within(Range(0, 1e9), optional=True),
    "min_db": _within(LEVEL_DB),
    "max_db": _within(LEVEL_DB),
    "mel_crc32": _within(CHECKSUM),
}
