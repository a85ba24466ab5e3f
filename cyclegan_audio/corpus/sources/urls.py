"""Links and playlists as a source: `source=urls` fetches audio by yt-dlp once and remembers it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.sources.base import SourceFile, as_text
from cyclegan_audio.corpus.sources.folders import FolderSource
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

ARCHIVE = "fetched.txt"
_NAME = "%(title).80B [%(id).40B].%(ext)s"


class UrlSource(FolderSource):
    """Audio behind a list of links for each genre, kept in `folder`/GENRE.

    What was fetched is noted in `folder`/GENRE/fetched.txt and not fetched again, also where the file was
    deleted; an interrupted file goes on where it stopped. Links that fail are named and left out.

    Args:
        links: by genre a list of links, or a text file with one a line (empty lines and # are passed over).
        folder: where the audio is kept.
        split_by: `block` where the links are few long mixes.
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
        """See `Source.files`; fetches what is missing first."""
        if len(self.links) < 2:
            raise UserError(
                "source=urls needs links of two genres; add +source.links.NAME=FILE with one link a line"
            )
        for genre, links in self.links.items():
            _fetch(genre, _lines(genre, links), self.genres[genre])
        return super().files()

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return super().describe() | {
            "links": {genre: _lines(genre, own) for genre, own in self.links.items()}
        }


def _lines(genre: str, links: str | Sequence[str]) -> list[str]:
    if isinstance(links, str):
        try:
            links = Path(links).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{genre}: the list of links {links} cannot be read ({error}){suggest_path(str(links))}"
            ) from error
    found = [line.strip() for line in links]
    wanted = [line for line in found if line and not line.startswith("#")]
    if not wanted:
        raise UserError(f"{genre}: the list holds no link; write one a line")
    return wanted


def _fetch(genre: str, links: list[str], folder: Path) -> None:
    try:
        from yt_dlp import YoutubeDL
    except ImportError as error:
        raise UserError("source=urls needs yt-dlp; pip install 'cyclegan-audio[urls]'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {folder} ({error.strerror}); give source.folder=DIR") from error
    options = {
        "format": "bestaudio/best",
        "paths": {"home": str(folder)},
        "outtmpl": {"default": _NAME},
        "restrictfilenames": True,
        "download_archive": str(folder / ARCHIVE),
        "ignoreerrors": True,
        "continuedl": True,
        "quiet": True,
        "no_warnings": True,
        "logger": _Failures(genre),
    }
    with YoutubeDL(options) as fetcher:
        fetcher.download(links)


class _Failures:
    """Shows what yt-dlp could not fetch, one line each."""

    def __init__(self, genre: str) -> None:
        self.genre = genre

    def debug(self, message: str) -> None:
        """Progress is not shown."""

    def warning(self, message: str) -> None:
        """Nor are hints."""

    def error(self, message: str) -> None:
        """A link that is left out."""
        import logging

        first = as_text(" ".join(message.split("\n")[0].split()))
        logging.getLogger(__name__).warning("warning: %s: a link is left out: %s", self.genre, first)
