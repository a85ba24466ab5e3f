"""Verb `prepare`: convert audio files to a corpus, and print counts and differences of the genres."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import HelpExtras
from cyclegan_audio.utils.errors import UserError, check_utf8
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo, get_logger, text_table

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from cyclegan_audio.corpus.bias import BiasThresholds, GenreStats
    from cyclegan_audio.corpus.manifest import Row
    from cyclegan_audio.corpus.sources import Source

log = get_logger(__name__)

GENRE_OPTION, GENRE_PREFIX = "--genre", "genre="
HELP = HelpExtras(
    examples=(
        "--genre lofi=music/lofi --genre trap=music/trap corpus=data/mine",
        "--genre lofi=mixes/lofi --genre trap=mixes/trap corpus=data/mine source=mixes",
        "source=demo",
    ),
    settings=(
        "clip.seconds",
        "clip.overlap",
        "clip.align",
        "screening.voice.enabled",
        "screening.near_duplicates.enabled",
        "split.by",
        "split.max_clips",
    ),
    options=((f"{GENRE_OPTION} NAME=FOLDER", "a genre and the folder of its music; once for each genre"),),
)
STATS_HEADER = "medians and shares of clips"
LITERAL_KEYS = ("corpus", "source.file", "source.folder", "source.paired")


def genres_to_override(arguments: list[str]) -> list[str]:
    """Convert `genre=NAME=FOLDER` (from `--genre NAME=FOLDER`) to one percent-encoded override.

    Hydra's grammar would parse brackets, quotes, commas and dollar signs in paths.

    Args:
        arguments: overrides of the command line.

    Returns:
        The other arguments, then `genre_folders=[...]` if there are genres.

    Raises:
        UserError: NAME=FOLDER is missing after `--genre`, or a genre is given twice.
    """
    values = [
        argument.removeprefix(GENRE_PREFIX) for argument in arguments if argument.startswith(GENRE_PREFIX)
    ]
    others = [argument for argument in arguments if not argument.startswith(GENRE_PREFIX)]
    if GENRE_PREFIX.rstrip("=") in others:
        raise UserError(f"{GENRE_OPTION} needs NAME=FOLDER; write for example {GENRE_OPTION} lofi=music/lofi")
    if not values:
        return arguments
    for value in values:
        name, equals, folder = value.partition("=")
        if not (name and equals and folder):
            raise UserError(
                f"{GENRE_OPTION} needs NAME=FOLDER, got {value!r}; example: {GENRE_OPTION} lofi=music/lofi"
            )
    names = Counter(value.partition("=")[0] for value in values)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise UserError(
            f"the genre {repeated[0]!r} is given twice; put its music in one folder, or in its subfolders"
        )
    encoded = ",".join(f"'{quote(value, safe='', errors='surrogateescape')}'" for value in values)
    return [*others, f"genre_folders=[{encoded}]"]


def make_source(cfg: "DictConfig") -> "Source":
    """Build the configured source of music, with the folders of `--genre`.

    Raises:
        UserError: `--genre` is given with a source that defines its genres itself.
    """
    from hydra.utils import instantiate

    from cyclegan_audio.corpus.sources import GenreFolders

    source = instantiate(cfg.source, _convert_="all")
    for value in cfg.genre_folders:
        if not isinstance(source, GenreFolders):
            raise UserError(
                f"{GENRE_OPTION} needs source=folders, mixes or images; change source= or leave it out"
            )
        name, _, folder = unquote(value, errors="surrogateescape").partition("=")
        check_utf8("the genre", name)
        source.genres[name] = Path(folder)
    return source


@hydra_main("prepare", HELP, preprocess=genres_to_override, literal_keys=LITERAL_KEYS)
def main(cfg: "DictConfig") -> None:
    """Run the command; `cfg` is `conf/prepare.yaml` with the overrides of the command line."""
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
        raise UserError("the folder of the corpus is missing; add corpus=FOLDER")
    check_utf8("the folder of the corpus", folder)
    settings, thresholds = build_settings(cfg), build("bias", cfg.bias)
    if cfg.shard is not None:
        n_files = prepare_shard(source, folder, settings, Shard(cfg.shard, cfg.num_shards))
        echo(
            f"shard {cfg.shard} of {cfg.num_shards} is done ({n_files} files); after the last one run "
            f"prepare with merge=true num_shards={cfg.num_shards}"
        )
        return
    if cfg.merge:
        rows = merge_shards(source, folder, settings, cfg.num_shards)
    else:
        rows = prepare_corpus(source, folder, settings)
    stats = genre_stats(rows)
    warnings = print_tables(rows, stats, thresholds)
    if cfg.page:
        write_page(folder, rows, stats, warnings, source)
    print_summary(folder, rows)


def print_tables(rows: "list[Row]", stats: "list[GenreStats]", thresholds: "BiasThresholds") -> list[str]:
    """Print tables of kept clips, splits and statistics of the genres; return warnings about bias."""
    from rich.console import Console

    from cyclegan_audio.corpus.bias import bias_warnings, genre_comparison
    from cyclegan_audio.corpus.manifest import reason_counts, split_counts

    (kept_genres, kept), (split_genres, splits) = reason_counts(rows), split_counts(rows)
    Console().print(
        text_table("Kept and dropped", ["clips", *kept_genres], kept),
        text_table("Splits", ["tracks / clips", *split_genres], splits),
        text_table(
            "Differences of the genres",
            [STATS_HEADER, *(genre.genre for genre in stats)],
            genre_comparison(stats),
        ),
    )
    warnings = bias_warnings(stats, thresholds)
    for line in warnings:
        log.warning("warning: %s", line)
    return warnings


def print_summary(folder: Path, rows: "list[Row]") -> None:
    """Print what screening took and mended, the size of the corpus, its warnings and the next command."""
    from cyclegan_audio.corpus.manifest import dc_offset_line, most_dropped_files
    from cyclegan_audio.corpus.screening import NearDuplicates
    from cyclegan_audio.reports.corpus import PAGE

    for line in filter(None, [*most_dropped_files(rows), dc_offset_line(rows)]):
        echo(line)
    if any(row["reason"] == NearDuplicates.reason for row in rows):
        echo("near-duplicates repeat other clips; screening.near_duplicates.max_alike=N keeps N in training")
    minutes = sum(row["duration_s"] for row in rows if row["kept"]) / 60
    echo(f"{minutes:.1f} minutes of music in {folder}")
    if (folder / PAGE).is_file():
        echo(f"page: {folder / PAGE}")
    training_genres = sorted({row["genre"] for row in rows if row["split"] == "train"})
    for genre in sorted({row["genre"] for row in rows}.difference(training_genres)):
        log.warning("warning: %s has no training clips; add songs", genre)
    if len(training_genres) > 1:
        a, b, *_ = training_genres
        print_next_commands(
            command_line("train", f"corpus={folder}", f"genre_pair.a={a}", f"genre_pair.b={b}")
        )


def write_page(
    folder: Path, rows: "list[Row]", stats: "list[GenreStats]", warnings: Sequence[str], source: "Source"
) -> None:
    """Write corpus.html; an error becomes a warning, because the corpus itself is complete."""
    from cyclegan_audio.reports.corpus import PAGE, write_corpus_page
    from cyclegan_audio.utils.progress import progress_bar

    with progress_bar("writing corpus.html"):
        try:
            write_corpus_page(folder, rows, stats, warnings, source)
        except Exception as error:
            (folder / PAGE).unlink(missing_ok=True)  # an old page would show another corpus
            message = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "warning: the corpus is complete, but writing %s failed (%s); page=false skips it",
                folder / PAGE,
                message,
            )


if __name__ == "__main__":
    main()
