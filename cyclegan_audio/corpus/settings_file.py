"""Write and read `corpus.json`, the settings of a corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.track_files import is_finite
from cyclegan_audio.utils.checked_json import (
    CHECKSUM,
    DamagedFileError,
    parse_object,
    read_checked_json,
    read_text,
    write_checked_json,
)
from cyclegan_audio.utils.errors import UserError

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
    for key, is_valid in _VALID.items():
        if not is_valid(settings.get(key)):
            raise DamagedFileError(f"{key} is {str(settings.get(key))[:40]!r}")
    if not is_finite(settings["clip"].get("seconds"), 1e-3, MAX_CLIP_S):
        raise DamagedFileError(f"clip.seconds is {str(settings['clip'].get('seconds'))[:40]!r}")
    try:
        MelSpectrogram.from_dict(settings["mel"])
    except (UserError, TypeError, ValueError, OverflowError) as error:
        raise DamagedFileError(str(error).partition(";")[0]) from error


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


_VALID: dict[str, Callable[[Any], bool]] = {
    "mel": _is_dict,
    "clip": _is_dict,
    "screening": _is_dict,
    "split": _is_dict,
    "source": _is_dict,
    "audio": lambda value: isinstance(value, str),
    "genres": lambda value: isinstance(value, list) and all(isinstance(genre, str) for genre in value),
}
