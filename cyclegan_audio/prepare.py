"""Audio to a corpus: `python -m cyclegan_audio.prepare --genre lofi=DIR --genre trap=DIR corpus=OUT`."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from cyclegan_audio.config import build, hydra_main
from cyclegan_audio.data.corpus import SPLITS
from cyclegan_audio.data.fair import Pile, differences, pile_rows, piles
from cyclegan_audio.data.shards import Shard
from cyclegan_audio.data.sources import GenreFolders, Source
from cyclegan_audio.data.writer import merge_shards, prepare_corpus, prepare_shard, settings_from
from cyclegan_audio.errors import UserError

log = logging.getLogger(__name__)

OPTION = "--genre"
PATHS = ("corpus", "source.file", "source.folder", "source.paired")


def genres_to_override(arguments: list[str]) -> list[str]:
    """Turn `--genre NAME=FOLDER` into an override that any path survives; the rest stays as it is.

    Hydra's grammar and interpolation would read meaning into brackets, quotes, commas and dollar signs, so
    each value is percent-encoded.

    Raises:
        UserError: no NAME=FOLDER after `--genre`, or the same genre twice.
    """
    rest, values = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == OPTION:
            values.append(next(remaining, ""))
        elif argument.startswith(f"{OPTION}="):
            values.append(argument.removeprefix(f"{OPTION}="))
        else:
            rest.append(argument)
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


def make_source(cfg: DictConfig) -> Source:
    """The source that the configuration names, with the folders of `--genre` in it.

    Raises:
        UserError: `--genre` beside a source that has its own genres.
    """
    source = instantiate(cfg.source, _convert_="all")
    for value in cfg.genre_folders:
        if not isinstance(source, GenreFolders):
            raise UserError(
                f"{OPTION} goes with source=folders, mixes or pictures only; leave out one of the two"
            )
        name, _, folder = unquote(value, errors="surrogateescape").partition("=")
        source.genres[name] = Path(folder)
    return source


@hydra_main("prepare", before=genres_to_override, verbatim=PATHS)
def main(cfg: DictConfig) -> None:
    """Prepare, and show what came of it."""
    source = make_source(cfg)
    folder = Path(cfg.corpus) if cfg.corpus is not None else source.default_corpus
    if folder is None:
        raise UserError("no folder is named for the corpus; add corpus=FOLDER")
    settings, limits = settings_from(cfg), build("fair", cfg.fair)
    console = Console()
    if cfg.shard is not None:
        n_files = prepare_shard(source, folder, settings, Shard(cfg.shard, cfg.num_shards))
        console.print(
            f"shard {cfg.shard} of {cfg.num_shards} done, {n_files} files; when all are, run prepare with "
            f"merge=true num_shards={cfg.num_shards}",
            highlight=False,
            soft_wrap=True,
        )
        return
    if cfg.merge:
        rows = merge_shards(source, folder, settings, cfg.num_shards)
    else:
        rows = prepare_corpus(source, folder, settings)
    found = piles(rows)
    console.print(clip_table(rows), split_table(rows), pile_table(found))
    for line in differences(found, limits):
        log.warning("warning: %s", line)
    minutes = sum(row["duration_s"] for row in rows if row["kept"]) / 60
    console.print(
        f"{minutes:.1f} minutes of music in {folder}", highlight=False, markup=False, soft_wrap=True
    )


def clip_table(rows: list[dict[str, Any]]) -> Table:
    """Clips kept and dropped by genre and reason; a file that gives no clip counts as one."""
    counts = Counter((row["genre"], row["reason"]) for row in rows)
    genres = sorted({genre for genre, _ in counts})
    table = Table("clips", *genres, title="Kept and dropped")
    for reason in sorted({reason for _, reason in counts}):
        cells = [str(counts[genre, reason]) for genre in genres]
        table.add_row(reason or "kept", *cells)
    return table


def split_table(rows: list[dict[str, Any]]) -> Table:
    """Tracks and clips by genre and split."""
    kept = [row for row in rows if row["kept"]]
    genres = sorted({row["genre"] for row in kept})
    table = Table("tracks / clips", *genres, title="Splits")
    for split in SPLITS:
        own = [row for row in kept if row["split"] == split]
        clips = Counter(row["genre"] for row in own)
        tracks = Counter(genre for genre, _ in {(row["genre"], row["track"]) for row in own})
        if own:
            table.add_row(split, *(f"{tracks[genre]} / {clips[genre]}" for genre in genres))
    return table


def pile_table(found: list[Pile]) -> Table:
    """The genres side by side in what is not music."""
    table = Table("medians and shares of clips", *(pile.genre for pile in found), title="Are the piles fair?")
    for row in pile_rows(found):
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
