"""Turn audio into a corpus: `cyclegan-audio prepare --genre lofi=DIR --genre trap=DIR corpus=OUT`."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import Help
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, say_next

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.table import Table

    from cyclegan_audio.corpus.bias import BiasThresholds, GenreStats
    from cyclegan_audio.corpus.manifest import Row
    from cyclegan_audio.corpus.sources import Source

log = logging.getLogger(__name__)

OPTION, GENRE = "--genre", "genre="
HELP = Help(
    examples=(
        "--genre lofi=music/lofi --genre trap=music/trap corpus=data/mine",
        "--genre lofi=mixes/lofi --genre trap=mixes/trap corpus=data/mine source=mixes",
        "source=demo",
    ),
    options=(
        "clip.seconds",
        "clip.overlap",
        "clip.align",
        "screening.voice.enabled",
        "screening.near_duplicates.enabled",
        "split.by",
        "split.max_clips",
    ),
    more=((f"{OPTION} NAME=FOLDER", "a genre and the folder of its music, any path; once for each genre"),),
)
PILES = "medians and shares of clips"
PATHS = ("corpus", "source.file", "source.folder", "source.paired")


def genres_to_override(arguments: list[str]) -> list[str]:
    """Turn `genre=NAME=FOLDER` (`--genre NAME=FOLDER`) into an override that any path survives.

    Hydra's grammar and interpolation would read meaning into brackets, quotes, commas and dollar signs, so
    each value is percent-encoded.

    Raises:
        UserError: no NAME=FOLDER after `--genre`, or the same genre twice.
    """
    values = [argument.removeprefix(GENRE) for argument in arguments if argument.startswith(GENRE)]
    rest = [argument for argument in arguments if not argument.startswith(GENRE)]
    if GENRE.rstrip("=") in rest:
        raise UserError(f"{OPTION} needs NAME=FOLDER; write for example {OPTION} lofi=music/lofi")
    if not values:
        return arguments
    for value in values:
        name, equals, folder = value.partition("=")
        if not (name and equals and folder):
            raise UserError(
                f"{OPTION} {value!r} is not NAME=FOLDER; write for example {OPTION} lofi=music/lofi"
            )
    names = Counter(value.partition("=")[0] for value in values)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(
            f"the genre {twice[0]!r} is given twice; put its music under one folder, at any depth"
        )
    encoded = ",".join(f"'{quote(value, safe='', errors='surrogateescape')}'" for value in values)
    return [*rest, f"genre_folders=[{encoded}]"]


def make_source(cfg: "DictConfig") -> "Source":
    """The source that the configuration names, with the folders of `--genre` in it.

    Raises:
        UserError: `--genre` beside a source that has its own genres.
    """
    from hydra.utils import instantiate

    from cyclegan_audio.corpus.sources import GenreFolders

    source = instantiate(cfg.source, _convert_="all")
    for value in cfg.genre_folders:
        if not isinstance(source, GenreFolders):
            raise UserError(
                f"{OPTION} goes with source=folders, mixes or images only; leave out one of the two"
            )
        name, _, folder = unquote(value, errors="surrogateescape").partition("=")
        source.genres[name] = Path(folder)
    return source


@hydra_main("prepare", HELP, before=genres_to_override, verbatim=PATHS)
def main(cfg: "DictConfig") -> None:
    """Prepare, and show what came of it."""
    from cyclegan_audio.config import build
    from cyclegan_audio.corpus.bias import genre_stats
    from cyclegan_audio.corpus.preparation.shards import Shard
    from cyclegan_audio.corpus.preparation.writer import (
        build_settings,
        merge_shards,
        prepare_corpus,
        prepare_shard,
    )

    source = make_source(cfg)
    folder = Path(cfg.corpus) if cfg.corpus is not None else source.default_corpus
    if folder is None:
        raise UserError("no folder is named for the corpus; add corpus=FOLDER")
    settings, limits = build_settings(cfg), build("bias", cfg.bias)
    if cfg.shard is not None:
        n_files = prepare_shard(source, folder, settings, Shard(cfg.shard, cfg.num_shards))
        print(
            f"shard {cfg.shard} of {cfg.num_shards} done, {n_files} files; when all are, run prepare with "
            f"merge=true num_shards={cfg.num_shards}"
        )
        return
    if cfg.merge:
        rows = merge_shards(source, folder, settings, cfg.num_shards)
    else:
        rows = prepare_corpus(source, folder, settings)
    found = genre_stats(rows)
    warnings = show_corpus(rows, found, limits)
    if cfg.page:
        draw_page(folder, rows, found, warnings, source)
    say_end(folder, rows)


def show_corpus(rows: "list[Row]", found: "list[GenreStats]", limits: "BiasThresholds") -> list[str]:
    """Print what was kept, the splits, and how the genres compare; returns the warnings about these."""
    from rich.console import Console

    from cyclegan_audio.corpus.bias import bias_warnings, genre_comparison
    from cyclegan_audio.corpus.manifest import reason_counts, split_counts

    Console().print(
        table("Kept and dropped", "clips", *reason_counts(rows)),
        table("Splits", "tracks / clips", *split_counts(rows)),
        table("Are the piles fair?", PILES, [pile.genre for pile in found], genre_comparison(found)),
    )
    warnings = bias_warnings(found, limits)
    for line in warnings:
        log.warning("warning: %s", line)
    return warnings


def say_end(folder: Path, rows: "list[Row]") -> None:
    """Print which songs lost most, what was written, which genre cannot be trained on, and what is next."""
    from cyclegan_audio.corpus.manifest import most_dropped_files
    from cyclegan_audio.reports.corpus import PAGE

    for line in most_dropped_files(rows):
        print(line)
    minutes = sum(row["duration_s"] for row in rows if row["kept"]) / 60
    print(f"{minutes:.1f} minutes of music in {folder}")
    if (folder / PAGE).is_file():
        print(f"page: {folder / PAGE}")
    trained_on = sorted({row["genre"] for row in rows if row["split"] == "train"})
    for genre in sorted({row["genre"] for row in rows}.difference(trained_on)):
        log.warning("warning: %s has no training clips, so it cannot be trained on; add songs", genre)
    if len(trained_on) > 1:
        a, b, *_ = trained_on
        say_next(command_line("train", f"corpus={folder}", f"genre_pair.a={a}", f"genre_pair.b={b}"))


def draw_page(
    folder: Path, rows: "list[Row]", found: "list[GenreStats]", warnings: Sequence[str], source: "Source"
) -> None:
    """Write corpus.html; whatever goes wrong there is a warning, as the corpus is finished."""
    from cyclegan_audio.reports.corpus import PAGE, write_corpus_page
    from cyclegan_audio.utils.progress import progress_bar

    with progress_bar("drawing the page of the corpus"):
        try:
            write_corpus_page(folder, rows, found, warnings, source)
        except Exception as error:
            (folder / PAGE).unlink(missing_ok=True)  # an older one would show another corpus
            said = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "warning: the corpus is whole, but %s cannot be drawn (%s); page=false leaves it out",
                folder / PAGE,
                said,
            )


def table(title: str, first: str, genres: list[str], rows: list[list[str]]) -> "Table":
    """Rows of text, a column a genre."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(first, *map(escape, genres), title=title)
    for row in rows:
        made.add_row(*map(escape, row))
    return made


if __name__ == "__main__":
    main()
