"""Write and read `corpus.json`, the settings of a corpus."""

import dataclasses
from pathlib import Path
from typing import Any

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.checked_json import (
    CHECKSUM,
    DamagedFileError,
    parse_object,
    read_checked_json,
    read_text,
    write_checked_json,
)
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.fields import check_fields, from_mapping

FORMAT_VERSION = 4
SETTINGS_FILE = "corpus.json"
MAX_CLIP_S = 3600.0


class DamagedSettingsError(UserError):
    """The settings of a corpus are damaged; `prepare` writes them again."""


class OtherVersionError(UserError):
    """A corpus has another format version.

    Attributes:
        settings: its settings, of any form.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        version = str(settings.get("format_version"))[:20]
        super().__init__(
            f"{folder} has corpus format {version}, not {FORMAT_VERSION}; delete it and prepare it again"
        )
        self.settings = settings


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a corpus with their format version; an equal file stays untouched."""
    write_checked_json(folder / SETTINGS_FILE, {"format_version": FORMAT_VERSION, **settings})


def read_settings(folder: Path) -> dict[str, Any] | None:
    """Read `corpus.json`; None if the folder has none.

    Raises:
        DamagedSettingsError: the file is damaged, or has an invalid value.
        OtherVersionError: it has another format version.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        return None
    try:
        plain = parse_object(read_text(path))
        if not isinstance(plain.get("format_version"), int):
            raise DamagedFileError("it has no format_version")
        if CHECKSUM not in plain and plain["format_version"] != FORMAT_VERSION:
            raise OtherVersionError(folder, plain)  # versions up to 3 have no checksum
        settings = read_checked_json(path)
        if settings["format_version"] != FORMAT_VERSION:
            raise OtherVersionError(folder, settings)
        _check(settings)
    except (OSError, DamagedFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DamagedSettingsError(
            f"{path} cannot be read ({reason}); run its prepare command again, or copy the corpus again"
        ) from error
    return settings


def _check(settings: dict[str, Any]) -> None:
    """Check that all settings are there and of their types.

    Raises:
        DamagedFileError: one is not.
    """
    try:
        stored = from_mapping(_Settings, settings)
        check_fields(stored)
        check_number("clip.seconds", stored.clip.get("seconds"), 1e-3, MAX_CLIP_S)
        MelSpectrogram.from_dict(stored.mel)
    except UserError as error:
        raise DamagedFileError(str(error).partition(";")[0]) from error


@dataclasses.dataclass(frozen=True)
class _Settings:
    """The types of the settings."""

    mel: dict[str, Any]
    clip: dict[str, Any]
    screening: dict[str, Any]
    split: dict[str, Any]
    source: dict[str, Any]
    audio: str
    genres: list[str]
