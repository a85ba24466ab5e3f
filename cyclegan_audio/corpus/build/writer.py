"""Source files to a corpus on disk: what is done already stays, and the manifest comes last."""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.config import build
from cyclegan_audio.corpus.corpus import (COLUMNS, DESCRIPTION, FORMAT_VERSION, MANIFEST, read_manifest, read_settings)
from cyclegan_audio.corpus.build.clip_stream import ClipSettings
from cyclegan_audio.corpus.manifest import MIN_TRACKS, Row, few_tracks, build_manifest, split_kinds
from cyclegan_audio.corpus.screening import ScreeningRules
from cyclegan_audio.corpus.build.shards import FOLDER as SHARDS
from cyclegan_audio.corpus.build.shards import Shard
from cyclegan_audio.corpus.sources import MelRecording, Source, SourceFile
from cyclegan_audio.corpus.splits import SplitSettings
from cyclegan_audio.corpus.track_record import TrackRecord
from cyclegan_audio.corpus.build.track_processor import TrackProcessor
from cyclegan_audio.corpus.build.worker_pool import hash_files, process_tracks
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.atomic import atomic_path, atomic_write_text

log = logging.getLogger(__name__)

AUDIO_CHOICES = ("all", "heldout", "none")


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Everything but the source and the folder. `audio`: all, heldout (all but training) or none."""

    mel: MelSpectrogram
    clip: ClipSettings = dataclasses.field(default_factory=ClipSettings)
    screening: ScreeningRules = dataclasses.field(default_factory=ScreeningRules)
    split: SplitSettings = dataclasses.field(default_factory=SplitSettings)
    audio: str = "all"
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.audio not in AUDIO_CHOICES:
            raise UserError(f"audio={self.audio} is unknown; choose one of {', '.join(AUDIO_CHOICES)}")
        if self.workers is not None:
            check_number("workers", self.workers, low=1, integer=True)
        if self.clip.seconds * self.mel.sample_rate < 2 * self.mel.n_fft:
            raise UserError(f"clip.seconds={self.clip.seconds} is too short for the mel; give at least 0.1")

    @property
    def key(self) -> str:
        """A hash of all that the arrays depend on beside their files."""
        parts = [FORMAT_VERSION, self.mel.hash, dataclasses.asdict(self.clip)]
        values = json.dumps([*parts, dataclasses.asdict(self.screening)])
        return hashlib.sha256(values.encode()).hexdigest()


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
    source_files = _files(source)
    with _writing(folder):
        _begin(folder, source, settings, {file.genre for file in source_files})
        maker = _maker(folder, settings)
        hashed = hash_files(maker, source_files, settings.workers)
        records = process_tracks(maker, hashed, settings.audio == "all", settings.workers)
        if is_new and _empty_genre(records):
            shutil.rmtree(folder)
        rows = _rows(records, settings, source.split_by)
        if settings.audio == "heldout":
            held_out = _held_out(rows)
            wanted = [file for file, r in zip(hashed, records, strict=True) if r.array in held_out]
            process_tracks(maker, wanted, True, settings.workers)
        _finish(folder, source, settings, records, rows)
    return rows


def prepare_shard(source: Source, folder: str | Path, settings: CorpusSettings, shard: Shard) -> int:
    """Do one share of the files, without a manifest; returns how many. See `prepare_corpus`."""
    folder = Path(folder)
    source_files = _files(source)
    with _writing(folder):
        _begin(folder, source, settings, {file.genre for file in source_files})
        maker = _maker(folder, settings)
        hashed = hash_files(maker, shard.share(source_files), settings.workers)
        records = process_tracks(maker, hashed, settings.audio != "none", settings.workers)
        shard.write(folder, settings.key, records)
    return len(records)


def merge_shards(source: Source, folder: str | Path, settings: CorpusSettings, count: int) -> list[Row]:
    """Make the corpus of all shards, without their source files; returns the rows of the manifest.

    Raises:
        UserError: a shard is missing, damaged or of other settings; and as `prepare_corpus`.
    """
    folder = Path(folder)
    if read_settings(folder) is None:
        raise UserError(f"{folder} holds no shards; run prepare shard=N num_shards={count} first")
    with _writing(folder):
        records = Shard.merge(folder, count, settings.key, settings.audio != "none")
        _check_same_settings(
            folder, settings.mel, settings.clip.seconds, {record.genre for record in records}
        )
        rows = _rows(records, settings, source.split_by)
        _finish(folder, source, settings, records, rows)
    return rows


def _files(source: Source) -> list[SourceFile]:
    """The source's files, once it is certain that they can be processed.

    Raises:
        UserError: there are recordings, and torchaudio does not load.
    """
    source_files = source.files()
    if not all(isinstance(file, MelRecording) for file in source_files):
        torchaudio_functional()
    return source_files


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write the corpus {folder} ({error.strerror or error}); make room, or take another folder"
        ) from error


def _check_same_settings(folder: Path, mel: MelSpectrogram, clip_s: float, genres: set[str]) -> None:
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
    mel.check_compatible(MelSpectrogram.from_dict(there["mel"]), "this command", f"the corpus {folder}")
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


def _begin(folder: Path, source: Source, settings: CorpusSettings, genres: set[str]) -> None:
    _check_same_settings(folder, settings.mel, settings.clip.seconds, genres)
    for part in ("mels", "audio", "tracks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not (folder / DESCRIPTION).is_file():  # an older one stays until the new one is whole
        _write_json(folder / DESCRIPTION, _describe(source, genres, settings))


def _finish(
    folder: Path, source: Source, settings: CorpusSettings, records: list[TrackRecord], rows: list[Row]
) -> None:
    """Write description and manifest, which make the folder a corpus, and remove what belongs to neither."""
    _write_json(folder / DESCRIPTION, _describe(source, {record.genre for record in records}, settings))
    _write_manifest(folder, rows)
    _remove_stale(folder, rows, records, settings)
    _warn(records, settings.split, source.split_by)


def _maker(folder: Path, settings: CorpusSettings) -> TrackProcessor:
    return TrackProcessor(folder, settings.mel, settings.clip, settings.screening)


def _rows(records: list[TrackRecord], settings: CorpusSettings, split_by: str) -> list[Row]:
    """Make the rows of the manifest; the search for near-duplicates, the slow part, runs here alone.

    Raises:
        UserError: a genre has no clip to train on.
    """
    if empty := _empty_genre(records):
        raise UserError(empty)
    dropped = settings.screening.check_corpus(records)
    return build_manifest(records, settings.clip.seconds, settings.split, split_by, dropped)


def _held_out(rows: list[Row]) -> set[str]:
    """List the arrays with kept clips outside of training."""
    return {row["array"] for row in rows if row["split"] not in ("train", "")}


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


def _describe(source: Source, genres: set[str], settings: CorpusSettings) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "mel": settings.mel.to_dict(),
        "clip": dataclasses.asdict(settings.clip),
        "screening": dataclasses.asdict(settings.screening),
        "split": dataclasses.asdict(settings.split),
        "audio": settings.audio,
        "genres": sorted(genres),
        "source": source.describe(),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        atomic_write_text(path, text)


def _write_manifest(folder: Path, rows: list[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / MANIFEST
    with suppress(UserError):  # a damaged manifest is written anew
        if path.is_file() and read_manifest(folder) == rows:
            return
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    with atomic_path(path) as part:
        pq.write_table(table, part)


def _remove_stale(
    folder: Path, rows: list[Row], records: list[TrackRecord], settings: CorpusSettings
) -> None:
    """Remove arrays and records that the manifest no longer names, and what an interrupted run left."""
    kept = {row["array"] for row in rows if row["kept"]}
    audio = {"all": kept, "heldout": _held_out(rows), "none": set()}[settings.audio]
    wanted = {"mels": kept, "audio": audio, "tracks": {record.array for record in records}}
    for part, names in wanted.items():
        for path in (folder / part).iterdir():
            if path.stem not in names and path.suffix in (".npy", ".json"):
                path.unlink(missing_ok=True)
    for path in folder.glob(".*.part.*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
