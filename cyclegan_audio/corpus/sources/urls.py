"""Download audio from links and playlists with yt-dlp, each once, as a source: `source=urls`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.sources.base import SourceFile, path_to_text
from cyclegan_audio.corpus.sources.folders import FolderSource
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path
from cyclegan_audio.utils.printing import get_logger

log = get_logger(__name__)

ARCHIVE = "fetched.txt"
_FILE_NAME = "%(title).80B [%(id).40B].%(ext)s"


class UrlSource(FolderSource):
    """Downloads the audio of a list of links per genre into `folder`/GENRE.

    `folder`/GENRE/fetched.txt lists what was downloaded; it is not downloaded again, even if the file was
    deleted. Interrupted downloads continue. Links that fail are logged and left out.

    Args:
        links: for each genre a list, or a text file with one link per line (empty lines and # are skipped).
        folder: folder of the audio.
        split_by: `block` if the links are a few long mixes.
    """

    kind = "urls"

    def __init__(
        self,
        links: Mapping[str, str | Sequence[str]] | None = None,
        folder: str | Path = "data/fetched",
        split_by: str = "track",
    ) -> None:
        self.links = dict(links or {})
        self.folder = Path(folder)
        self.split_by = split_by
        super().__init__({genre: self.folder / slug(genre) for genre in self.links})

    def files(self) -> list[SourceFile]:
        """Download missing audio, then list the files; see `Source.files`."""
        if len(self.links) < 2:
            raise UserError(
                "source=urls needs links of two genres; add +source.links.NAME=FILE with one link per line"
            )
        for genre, links in self.links.items():
            _download(genre, _read_links(genre, links), self.genres[genre])
        return super().files()

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return super().describe() | {
            "links": {genre: _read_links(genre, genre_links) for genre, genre_links in self.links.items()}
        }


def _read_links(genre: str, links: str | Sequence[str]) -> list[str]:
    if isinstance(links, str):
        try:
            links = Path(links).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{genre}: the list of links {links} cannot be read ({error}){suggest_path(str(links))}"
            ) from error
    lines = [line.strip() for line in links]
    urls = [line for line in lines if line and not line.startswith("#")]
    if not urls:
        raise UserError(f"{genre}: the list has no links; write one per line")
    return urls


def _download(genre: str, links: list[str], folder: Path) -> None:
    try:
        from yt_dlp import YoutubeDL
    except ImportError as error:
        raise UserError("source=urls needs yt-dlp; pip install 'cyclegan-audio[urls]'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {folder} ({error.strerror}); set source.folder=DIR") from error
    options = {
        "format": "bestaudio/best",
        "paths": {"home": str(folder)},
        "outtmpl": {"default": _FILE_NAME},
        "restrictfilenames": True,
        "download_archive": str(folder / ARCHIVE),
        "ignoreerrors": True,
        "continuedl": True,
        "quiet": True,
        "no_warnings": True,
        "logger": _FailureLogger(genre),
    }
    with YoutubeDL(options) as downloader:
        downloader.download(links)


class _FailureLogger:
    """Logs a line for each link that yt-dlp could not download."""

    def __init__(self, genre: str) -> None:
        self.genre = genre

    def debug(self, message: str) -> None:
        """Ignore progress."""

    def warning(self, message: str) -> None:
        """Ignore hints."""

    def error(self, message: str) -> None:
        """Log a link that is left out."""
        first_line = path_to_text(" ".join(message.split("\n")[0].split()))
        log.warning("warning: %s: a link is left out: %s", self.genre, first_line)
