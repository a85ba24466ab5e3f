"""Write JSON files with a checksum, and read them: a flipped bit or an edit is noticed."""

import json
import zlib
from pathlib import Path
from typing import Any

from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.regular_files import check_file

CHECKSUM = "crc32"
MAX_BYTES = 1 << 28


class DamagedFileError(ValueError):
    """A file holds something else than was written; the message says what."""


def write_checked_json(path: Path, values: dict[str, Any]) -> None:
    """Write values with their checksum; an equal file stays untouched."""
    text = _to_text(values)
    try:
        if read_text(path) == text:
            return
    except (OSError, DamagedFileError):
        pass
    atomic_write_text(path, text)


def read_checked_json(path: Path) -> dict[str, Any]:
    """Read the values of a file that `write_checked_json` wrote.

    Raises:
        OSError: the file is missing or cannot be read.
        DamagedFileError: it holds something else, byte for byte, than was written.
    """
    text = read_text(path)
    values = parse_object(text)
    if CHECKSUM not in values:
        raise DamagedFileError("it has no checksum")
    values.pop(CHECKSUM)
    if text != _to_text(values):
        raise DamagedFileError("its checksum differs")
    return values


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        DamagedFileError: the text is no JSON object.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError("it is not valid JSON") from error
    if not isinstance(values, dict):
        raise DamagedFileError("it is not a JSON object")
    return values


def read_text(path: Path) -> str:
    """Read a file as UTF-8.

    Raises:
        OSError: the file is missing or cannot be read.
        DamagedFileError: it is no regular file, larger than `MAX_BYTES`, or not UTF-8.
    """
    try:
        check_file(path, MAX_BYTES)
        return path.read_bytes().decode("utf-8")
    except UserError as error:
        raise DamagedFileError(str(error)) from error
    except UnicodeDecodeError as error:
        raise DamagedFileError("it is not UTF-8") from error


def _to_text(values: dict[str, Any]) -> str:
    checksum = zlib.crc32(json.dumps(values, sort_keys=True).encode())
    return json.dumps({**values, CHECKSUM: f"{checksum:08x}"}, indent=2) + "\n"
