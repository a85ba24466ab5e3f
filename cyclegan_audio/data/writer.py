"""Source files to a corpus on disk: what is done already stays, and the manifest comes last."""

import dataclasses
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track as progress

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import build
from cyclegan_audio.data.arrays import write_atomic
from cyclegan_audio.data.corpus import COLUMNS, FORMAT_VERSION, read_manifest, read_settings
from cyclegan_audio.data.pieces import ClipSettings
from cyclegan_audio.data.rows import MIN_TRACKS, Row, few_tracks, manifest_rows, split_kinds
from cyclegan_audio.data.screening import ScreeningRules
from cyclegan_audio.data.sources import Source, SourceFile
from cyclegan_audio.data.splits import SplitSettings
from cyclegan_audio.data.tracks import TrackMaker, TrackRecord
from cyclegan_audio.errors import UserError, require_number

log = logging.getLogger(__name__)

AUDIO_CHOICES = ("all", "heldout", "none")


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Everything but the source and the folder. `audio`: all, heldout (all but training) or none."""

    mel: MelSettings
    clip: ClipSettings = dataclasses.field(default_factory=ClipSettings)
    screening: ScreeningRules = dataclasses.field(default_factory=ScreeningRules)
    split: SplitSettings = dataclasses.field(default_factory=SplitSettings)
    audio: str = "all"
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.audio not in AUDIO_CHOICES:
            raise UserError(f"audio={self.audio} is unknown; choose one of {', '.join(AUDIO_CHOICES)}")
        if self.workers is not None:
            require_number("workers", self.workers, low=1, whole=True)
        if self.clip.seconds * self.mel.sample_rate < 2 * self.mel.n_fft:
            raise UserError(f"clip.seconds={self.clip.seconds} is too short for the mel; give at least 0.1")


def settings_from(cfg: DictConfig) -> CorpusSettings:
    """The settings in a configuration composed from `conf/prepare.yaml`."""
    parts = {key: build(key, cfg[key]) for key in ("mel", "clip", "screening", "split")}
    return CorpusSettings(**parts, audio=str(cfg.audio), workers=cfg.workers)


def prepare_corpus(source: Source, folder: str | Path, settings: CorpusSettings) -> list[Row]:
    """Write the corpus, or bring it up to date with its source; returns the rows of the manifest.

    Files done before are only hashed; files that are gone leave the corpus. An interrupted run goes on.
    Files that cannot be read become rows with a reason and a warning.

    Raises:
        UserError: bad folders, an existing corpus with other settings or genres, nothing left of a genre, or
            the folder cannot be written.
    """
    folder = Path(folder)
    is_new = read_settings(folder) is None  # there is nothing, or an empty folder
    source_files = source.files()
    _require_same_settings(folder, settings, {file.genre for file in source_files})
    try:
        for part in ("mels", "audio", "tracks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        _write_json(folder / "corpus.json", _describe(source, source_files, settings))
        records = _make_tracks(folder, source_files, settings, source.split_by)
        if empty := _empty_genre(records):
            if is_new:
                shutil.rmtree(folder)
            raise UserError(empty)
        rows = _rows(records, settings, source.split_by)
        _write_manifest(folder, rows)
        _remove_stale(folder, rows, records, settings)
    except OSError as error:
        raise UserError(
            f"cannot write the corpus {folder} ({error.strerror or error}); choose another folder"
        ) from error
    _warn(records, settings.split, source.split_by)
    return rows


def _make_tracks(
    folder: Path, source_files: list[SourceFile], settings: CorpusSettings, split_by: str
) -> list[TrackRecord]:
    maker = TrackMaker(folder, settings.mel, settings.clip, settings.screening)
    records = _in_parallel(maker, source_files, settings.audio == "all", settings.workers)
    if settings.audio == "heldout":
        held_out = {
            row["array"] for row in _rows(records, settings, split_by) if row["split"] not in ("train", "")
        }
        wanted = [
            file for file, record in zip(source_files, records, strict=True) if record.array in held_out
        ]
        _in_parallel(maker, wanted, True, settings.workers)
    return records


def _rows(records: list[TrackRecord], settings: CorpusSettings, split_by: str) -> list[Row]:
    dropped = settings.screening.check_corpus(records)
    return manifest_rows(records, settings.clip.seconds, settings.split, split_by, dropped)


def _in_parallel(
    maker: TrackMaker, source_files: list[SourceFile], with_audio: bool, workers: int | None
) -> list[TrackRecord]:
    """Records in the order of the files. Threads: decoding and torch leave the interpreter's lock."""
    n_threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers or _n_cores())
    try:
        results: Iterable[TrackRecord] = pool.map(lambda file: maker.make(file, with_audio), source_files)
        bar = Console(stderr=True)
        return list(progress(results, "prepare", len(source_files), console=bar, transient=True))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _empty_genre(records: list[TrackRecord]) -> str:
    """What to say where a genre has no clip to train on, or ""."""
    for genre in sorted({record.genre for record in records}):
        own = [record for record in records if record.genre == genre and not record.score]
        if not any(record.has_arrays for record in own):
            reasons = Counter(r.reason for r in own if r.reason)
            reasons.update(clip["reason"] for r in own for clip in r.clips)
            said = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            return f"{genre}: none of {len(own)} files gives a clip ({said}); give other files"
    return ""


def _warn(records: list[TrackRecord], split: SplitSettings, split_by: str) -> None:
    for record in records:
        if record.reason:
            log.warning("warning: %s: %s is left out: %s", record.genre, record.source, record.reason)
    kinds = split_kinds(records, split, split_by)
    for genre in sorted(few_tracks(records)):
        if kinds[genre] == "block" and split_by != "block":
            log.warning(
                "warning: %s has fewer than %d different tracks: blocks of time stand for tracks, so "
                "training and test share recordings; give more files for honest scores",
                genre,
                MIN_TRACKS,
            )
    if "random" in kinds.values():
        log.warning(
            "warning: split.by=random puts clips of one song into training and test, so scores are too good; "
            "it is there to repeat the paper"
        )


def _require_same_settings(folder: Path, settings: CorpusSettings, genres: set[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"corpus={folder} is a file; choose another folder")
    there = read_settings(folder)
    if there is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(
                f"the folder {folder} is not empty and no corpus; choose another one for the corpus"
            )
        return
    settings.mel.require_same(MelSettings.from_dict(there["mel"]), "this command", f"the corpus {folder}")
    if there["clip"]["seconds"] != settings.clip.seconds:
        raise UserError(
            f"this command has clip.seconds {settings.clip.seconds}, the corpus {folder} has "
            f"{there['clip']['seconds']}; use the same, or choose another corpus folder"
        )
    if (folder / "manifest.parquet").is_file() and (left := set(there["genres"]) - genres):
        raise UserError(
            f"the corpus {folder} also has {', '.join(sorted(left))}; name all its genres again, "
            "or choose another corpus folder"
        )


def _describe(source: Source, source_files: list[SourceFile], settings: CorpusSettings) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "mel": settings.mel.to_dict(),
        "clip": dataclasses.asdict(settings.clip),
        "screening": dataclasses.asdict(settings.screening),
        "split": dataclasses.asdict(settings.split),
        "audio": settings.audio,
        "genres": sorted({file.genre for file in source_files}),
        "source": source.describe(),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, lambda handle: handle.write(text.encode()))


def _write_manifest(folder: Path, rows: list[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "manifest.parquet"
    with suppress(UserError):  # a damaged manifest is written anew
        if path.is_file() and read_manifest(folder) == rows:
            return
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    write_atomic(path, lambda handle: pq.write_table(table, handle))


def _remove_stale(
    folder: Path, rows: list[Row], records: list[TrackRecord], settings: CorpusSettings
) -> None:
    """Remove arrays and records that the manifest no longer names, and what an interrupted run left."""
    kept = {row["array"] for row in rows if row["kept"]}
    held_out = {row["array"] for row in rows if row["split"] not in ("train", "")}
    audio = {"all": kept, "heldout": held_out, "none": set()}[settings.audio]
    wanted = {"mels": kept, "audio": audio, "tracks": {record.array for record in records}}
    for part, names in wanted.items():
        for path in (folder / part).iterdir():
            if path.stem not in names and path.suffix in (".npy", ".json", ".tmp"):
                path.unlink()
