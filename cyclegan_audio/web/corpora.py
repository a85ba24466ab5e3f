"""Corpora that the page prepares in `--runs`: settings of `prepare`, what it kept, and their removal."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclegan_audio.config import build, compose, slug
from cyclegan_audio.corpus.bias import bias_warnings, genre_stats
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest import most_dropped_files, reason_counts
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE, read_manifest
from cyclegan_audio.corpus.settings_file import SETTINGS_FILE
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.web.markdown import as_text

FOLDER = "corpora"  # inside `--runs`
MAX_NAME = 40
_GENRE = re.compile(r"\w[\w &+.'-]*")  # what no shell, no file system and no setting reads as something else
_RESERVED = ("null", "none", "true", "false", "paired")


@dataclass(frozen=True)
class GenreMusic:
    """A genre's name and the folder of its music."""

    name: str
    folder: Path


def check_genre(name: str | None) -> str:
    """Return the name of a genre without outer spaces.

    Raises:
        UserError: it is missing, too long, or has characters with a meaning in settings.
    """
    name = (name or "").strip()
    if not name:
        raise UserError("a genre has no name; write for example lofi and trap")
    if len(name) > MAX_NAME or not _GENRE.fullmatch(name) or name.casefold() in _RESERVED:
        raise UserError(
            f"{name[:MAX_NAME]!r} cannot be the name of a genre; use letters, digits, spaces, and at most "
            f"{MAX_NAME} of them"
        )
    return name


def check_folder(genre: str, text: str | None) -> Path:
    """Return a folder that the user typed.

    Raises:
        UserError: it is missing or no folder.
    """
    if not (text or "").strip():
        raise UserError(f"the music of {genre} is missing; type a folder of this machine, or drop files")
    folder = Path(str(text).strip())
    try:
        folder = folder.expanduser()
        is_folder = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # a name that is too long, no such user, a null character
        is_folder = False
    if not is_folder:
        raise UserError(f"{genre}: {folder} is not a folder of this machine; check the path")
    return folder


def gather_files(files: Sequence[str | Path], folder: Path) -> Path:
    """Link dropped files into a new folder, or copy them; equal names get a number. The files stay.

    Raises:
        UserError: a file is gone, or the disk is full.
    """
    try:
        folder.mkdir(parents=True)
        for file in map(Path, files):
            target = folder / file.name
            for number in range(2, len(files) + 2):
                if not target.exists():
                    break
                target = folder / f"{file.stem}_{number}{file.suffix}"
            _link_or_copy(file, target)
    except FileNotFoundError:
        raise UserError("the dropped files are gone; drop them again") from None
    except OSError as error:
        raise UserError(f"the files cannot be kept ({error.strerror}); free disk space") from error
    return folder


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # of a file system without links
        shutil.copyfile(file, target)


def new_folder(parent: Path, name: str) -> Path:
    """Return a folder that does not exist yet: `parent`/NAME, or with a number behind it."""
    stem = slug(name)[: 2 * MAX_NAME + 1].strip("_-") or "mine"
    numbered = (parent / (stem if number < 2 else f"{stem}_{number}") for number in range(1, 10_000))
    return next(folder for folder in numbered if not folder.exists())


def prepare_arguments(one: GenreMusic, other: GenreMusic, corpus: Path) -> list[str]:
    """Return the arguments of `prepare`.

    Raises:
        UserError: both genres have the same name.
    """
    if one.name.casefold() == other.name.casefold():
        raise UserError(f"both genres are called {one.name}; give each its own name")
    folders = [f"{genre.name}={genre.folder.absolute()}" for genre in (one, other)]
    return [*(word for folder in folders for word in ("--genre", folder)), f"corpus={corpus}"]


def list_corpora(runs: Path) -> list[Path]:
    """List the finished corpora that the page has made, the newest first."""
    folders = [file.parent for file in (runs / FOLDER).glob(f"*/{MANIFEST_FILE}")]
    return sorted(folders, key=lambda folder: (-folder.stat().st_mtime_ns, folder))


def check_corpus(runs: Path, name: str | None) -> Path:
    """Return the folder of a corpus of the page.

    Raises:
        UserError: there is none of that name.
    """
    for folder in list_corpora(runs):
        if folder.name == name:
            return folder
    raise UserError("there is no such corpus; prepare one first, or reload the page")


def delete_corpus(runs: Path, name: str | None) -> Path:
    """Delete a corpus of the page with all of its files; return its folder.

    Raises:
        UserError: there is none of that name, or a file cannot be deleted.
    """
    folder = check_corpus(runs, name)
    if folder.is_symlink() or not (folder / SETTINGS_FILE).is_file():
        raise UserError(f"{folder} is not a corpus that the page has made; delete it yourself")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be deleted ({error.strerror}); delete it yourself") from error
    return folder


def delete_unfinished(folder: Path) -> None:
    """Delete what a `prepare` that was stopped or failed has left: a corpus without a manifest."""
    if not (folder / MANIFEST_FILE).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def describe_corpus(folder: Path) -> str:
    """Describe what `prepare` kept, dropped and warns of, as Markdown.

    Raises:
        UserError: the corpus is damaged.
    """
    rows = read_manifest(folder)
    stats = genre_stats(rows)
    kept = ", ".join(f"{genre.minutes:.1f} minutes of {as_text(genre.genre)}" for genre in stats)
    genres, counts = reason_counts(rows)
    lines = [f"**{as_text(folder.name)}**: {kept}, in {as_text(str(folder))}.", ""]
    lines += [f"| clips | {' | '.join(map(as_text, genres))} |", "|---" * (len(genres) + 1) + "|"]
    lines += [f"| {' | '.join(map(as_text, row))} |" for row in counts]
    lines += ["", *(f"* Warning: {as_text(line)}{_remedy(line)}" for line in corpus_warnings(folder))]
    lines += [f"* {as_text(line)}" for line in most_dropped_files(rows)]
    return "\n".join(lines)


def _remedy(warning: str) -> str:
    return " (the page does so)" if "data.normalise" in warning else ""


def corpus_warnings(folder: Path) -> list[str]:
    """Return what `prepare` warns of: differences of the genres that a model would learn first.

    Raises:
        UserError: the corpus is damaged.
    """
    return bias_warnings(genre_stats(read_manifest(folder)), build("bias", compose("prepare").bias))


def training_genres(folder: Path) -> tuple[str, str]:
    """Return the two genres of a corpus.

    Raises:
        UserError: it has not exactly two.
    """
    genres = Corpus.open(folder).genres
    if len(genres) != 2:
        command = command_line("train", f"corpus={folder}", "genre_pair.a=NAME", "genre_pair.b=NAME")
        raise UserError(f"{folder.name} has {len(genres)} genres, the page trains two; use: {command}")
    return genres[0], genres[1]
