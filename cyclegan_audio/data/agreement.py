"""Whether a folder can take a corpus: what is there already must be of the same settings."""

from pathlib import Path

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.data.corpus import MANIFEST, read_settings
from cyclegan_audio.errors import UserError


def require_same_settings(folder: Path, mel: MelSettings, clip_s: float, genres: set[str]) -> None:
    """Refuse a folder that cannot take a corpus of these settings.

    Raises:
        UserError: it is a file, holds something else, or a corpus of another mel, clip length or more genres.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"corpus={folder} is a file; choose another folder")
    there = read_settings(folder)
    if there is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(
                f"the folder {folder} is not empty and no corpus; choose another one for the corpus"
            )
        return
    mel.require_same(MelSettings.from_dict(there["mel"]), "this command", f"the corpus {folder}")
    if there["clip"]["seconds"] != clip_s:
        raise UserError(
            f"this command has clip.seconds {clip_s}, the corpus {folder} has "
            f"{there['clip']['seconds']}; use the same, or choose another corpus folder"
        )
    if (folder / MANIFEST).is_file() and (left := set(there["genres"]) - genres):
        raise UserError(
            f"the corpus {folder} also has {', '.join(sorted(left))}; name all its genres again, "
            "or choose another corpus folder"
        )
