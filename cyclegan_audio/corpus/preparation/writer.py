"""Prepare a corpus from a source, or update it: process new files, build the manifest, remove stale files."""

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.config import build
from cyclegan_audio.corpus.manifest import (
    MIN_TRACKS,
    Row,
    build_manifest,
    genres_with_few_tracks,
    split_units,
)
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE, read_manifest, write_manifest
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.shards import SHARDS_FOLDER as SHARDS
from cyclegan_audio.corpus.preparation.shards import Shard
from cyclegan_audio.corpus.preparation.track_processor import TrackProcessor
from cyclegan_audio.corpus.preparation.worker_pool import hash_files, process_tracks
from cyclegan_audio.corpus.screening import ScreeningRules
from cyclegan_audio.corpus.settings_file import (
    FORMAT_VERSION,
    SETTINGS_FILE,
    DamagedSettingsError,
    read_settings,
    write_settings,
)
from cyclegan_audio.corpus.sources import MelRecording, Source, SourceFile
from cyclegan_audio.corpus.splits import SplitSettings
from cyclegan_audio.corpus.track_files import AUDIO, MELS, TRACKS, TrackRecord
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.locks import LockedError, process_lock
from cyclegan_audio.utils.printing import get_logger

log = get_logger(__name__)

AUDIO_CHOICES = ("all", "heldout", "none")
LOCK = ".prepare.lock"


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Settings of a corpus.

    Attributes:
        mel: mel-spectrogram settings.
        clip: how files are cut.
        screening: which clips are dropped.
        split: how tracks are split and clips subsampled.
        audio: whose audio is stored: `all`, `heldout` (all but training) or `none`.
        workers: number of processes; None: one per core.
    """

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
    def arrays_hash(self) -> str:
        """Hash all settings that the arrays depend on."""
        parts = [FORMAT_VERSION, self.mel.hash, dataclasses.asdict(self.clip)]
        values = json.dumps([*parts, dataclasses.asdict(self.screening)])
        return hashlib.sha256(values.encode()).hexdigest()


def build_settings(cfg: DictConfig) -> CorpusSettings:
    """Build the settings from a configuration composed of `conf/prepare.yaml`."""
    parts = {key: build(key, cfg[key]) for key in ("mel", "clip", "screening", "split")}
    return CorpusSettings(**parts, audio=str(cfg.audio), workers=cfg.workers)


def prepare_corpus(source: Source, folder: str | Path, settings: CorpusSettings) -> list[Row]:
    """Write a corpus, or update it from its source; return the rows of the manifest.

    Complete files are only hashed, and their arrays compared with their checksums; damaged ones are processed
    again. Files that left the source leave the corpus. An interrupted run continues. Files that cannot be
    read become rows with a reason, and log a warning.

    Raises:
        UserError: a folder is invalid, the corpus has other settings or more genres, a genre has no clips
            left, another process prepares the corpus, or the folder is not writable.
    """
    folder = Path(folder)
    source_files = _list_files(source)
    with _writing(folder):
        is_new = _is_empty(folder)
        _start_corpus(folder, source, settings, {file.genre for file in source_files})
        processor = _track_processor(folder, settings)
        hashed = hash_files(processor, source_files, settings.workers)
        records = process_tracks(processor, hashed, settings.audio == "all", settings.workers)
        if is_new and _empty_genre_message(records):
            shutil.rmtree(folder)
        rows = _build_rows(records, settings, source.split_by)
        if settings.audio == "heldout":
            held_out = _held_out_arrays(rows)
            files = [file for file, r in zip(hashed, records, strict=True) if r.array in held_out]
            process_tracks(processor, files, True, settings.workers)
        _finish_corpus(folder, source, settings, records, rows)
    return rows


def prepare_shard(source: Source, folder: str | Path, settings: CorpusSettings, shard: Shard) -> int:
    """Process one shard of the files, without a manifest; return their number. See `prepare_corpus`.

    Several shards may be processed at once, also in one folder.
    """
    folder = Path(folder)
    source_files = _list_files(source)
    with _writing(folder, shared=True):
        _start_corpus(folder, source, settings, {file.genre for file in source_files})
        processor = _track_processor(folder, settings)
        hashed = hash_files(processor, shard.select_files(source_files), settings.workers)
        records = process_tracks(processor, hashed, settings.audio != "none", settings.workers)
        shard.write_record(folder, settings.arrays_hash, records)
    return len(records)


def merge_shards(source: Source, folder: str | Path, settings: CorpusSettings, count: int) -> list[Row]:
    """Write the corpus of all shards, without their source files; return the rows of the manifest.

    Raises:
        UserError: a shard is missing, damaged or of other settings; and as `prepare_corpus`.
    """
    folder = Path(folder)
    if not (folder / SETTINGS_FILE).exists():
        raise UserError(f"{folder} holds no shards; run prepare shard=N num_shards={count} first")
    with _writing(folder):
        arrays = _track_processor(folder, settings).arrays
        records = Shard.merge(arrays, count, settings.arrays_hash, settings.audio != "none")
        _check_folder(folder, settings.mel, settings.clip.seconds, {record.genre for record in records})
        rows = _build_rows(records, settings, source.split_by)
        _finish_corpus(folder, source, settings, records, rows)
    return rows


def _list_files(source: Source) -> list[SourceFile]:
    """List the source's files, and check that audio can be processed.

    Raises:
        UserError: there are audio files, and torchaudio does not load.
    """
    source_files = source.files()
    if not all(isinstance(file, MelRecording) for file in source_files):
        torchaudio_functional()
    return source_files


@contextmanager
def _writing(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep other processes from writing a corpus within the block; an empty new folder is removed again.

    Raises:
        UserError: the folder is a file, cannot be written, or another process writes the corpus.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"corpus={folder} is a file; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with process_lock(folder / LOCK, shared=shared):
            yield
    except LockedError as error:
        raise UserError(
            f"another process prepares the corpus {folder}; wait until it ends, or stop it, then try again"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write the corpus {folder} ({error.strerror or error}); "
            "free disk space, or choose another folder"
        ) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # fails unless it is empty


def _check_folder(folder: Path, mel: MelSpectrogram, clip_s: float, genres: set[str]) -> None:
    """Check that a folder can hold a corpus with these settings.

    Raises:
        UserError: it has other content, or a corpus with another mel, clip length or more genres.
    """
    for part in (MELS, AUDIO, TRACKS):  # stale files in them are deleted
        if (folder / part).is_symlink():
            raise UserError(f"{folder / part} is a link; replace it by a folder, or link the whole corpus")
    try:
        existing = read_settings(folder)
    except DamagedSettingsError:
        existing = None
    if existing is not None:
        _check_settings(folder, existing, mel, clip_s)
        if (folder / MANIFEST_FILE).is_file():
            _check_genres(folder, set(existing["genres"]), genres)
    elif _looks_like_corpus(folder):
        log.warning("warning: %s is written again, as it is damaged", folder / SETTINGS_FILE)
        _check_genres(folder, _manifest_genres(folder), genres)
    elif not _is_empty(folder):
        raise UserError(
            f"the folder {folder} is not empty and not a corpus; choose another folder for the corpus"
        )


def _looks_like_corpus(folder: Path) -> bool:
    """Return whether a folder without valid settings is a corpus nevertheless."""
    has_file = any((folder / name).exists() for name in (SETTINGS_FILE, MANIFEST_FILE))
    return has_file and all((folder / part).is_dir() for part in (MELS, AUDIO, TRACKS))


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds at most the lock and empty parts, as a full disk leaves them."""
    parts = [folder / part for part in (MELS, AUDIO, TRACKS)]
    return all(
        path.name == LOCK or (path in parts and path.is_dir() and not any(path.iterdir()))
        for path in folder.iterdir()
    )


def _check_settings(folder: Path, existing: dict[str, Any], mel: MelSpectrogram, clip_s: float) -> None:
    mel.check_compatible(MelSpectrogram.from_dict(existing["mel"]), "this command", f"the corpus {folder}")
    if existing["clip"]["seconds"] != clip_s:
        raise UserError(
            f"this command has clip.seconds {clip_s}, the corpus {folder} has "
            f"{existing['clip']['seconds']}; use the same, or choose another corpus folder"
        )


def _manifest_genres(folder: Path) -> set[str]:
    with suppress(UserError):
        return {row["genre"] for row in read_manifest(folder)}
    return set()


def _check_genres(folder: Path, existing: set[str], genres: set[str]) -> None:
    if missing_genres := existing - genres:
        raise UserError(
            f"the corpus {folder} also has {', '.join(sorted(missing_genres))}; name all its genres again, "
            "or choose another corpus folder"
        )


def _start_corpus(folder: Path, source: Source, settings: CorpusSettings, genres: set[str]) -> None:
    _check_folder(folder, settings.mel, settings.clip.seconds, genres)
    for part in (MELS, AUDIO, TRACKS):
        (folder / part).mkdir(exist_ok=True)
    if not (folder / SETTINGS_FILE).is_file():  # an older one stays until the new corpus is complete
        write_settings(folder, _corpus_settings(source, genres, settings))


def _finish_corpus(
    folder: Path, source: Source, settings: CorpusSettings, records: list[TrackRecord], rows: list[Row]
) -> None:
    """Write settings and manifest, which make the folder a corpus, and remove stale files."""
    write_settings(folder, _corpus_settings(source, {record.genre for record in records}, settings))
    write_manifest(folder, rows)
    _remove_stale(folder, rows, records, settings)
    _log_warnings(records, settings.split, source.split_by)


def _track_processor(folder: Path, settings: CorpusSettings) -> TrackProcessor:
    return TrackProcessor(folder, settings.mel, settings.clip, settings.screening)


def _build_rows(records: list[TrackRecord], settings: CorpusSettings, split_by: str) -> list[Row]:
    """Build the rows of the manifest; only here is the slow search for near-duplicates run.

    Raises:
        UserError: a genre has no clip to train on.
    """
    if empty := _empty_genre_message(records):
        raise UserError(empty)
    check_corpus = partial(settings.screening.check_corpus, records)
    return build_manifest(records, settings.clip.seconds, settings.split, split_by, check_corpus)


def _held_out_arrays(rows: list[Row]) -> set[str]:
    """Return the arrays with kept clips outside of training."""
    return {row["array"] for row in rows if row["split"] not in ("train", "")}


def _empty_genre_message(records: list[TrackRecord]) -> str:
    """Return an error message if a genre has no clip to train on, else ""."""
    for genre in sorted({record.genre for record in records}):
        genre_records = [record for record in records if record.genre == genre and not record.score]
        if not any(record.has_arrays for record in genre_records):
            reasons = Counter(r.reason for r in genre_records if r.reason)
            reasons.update(clip["reason"] for r in genre_records for clip in r.clips)
            summary = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            return (
                f"{genre}: none of {len(genre_records)} files has a usable clip ({summary}); add other files"
            )
    return ""


def _log_warnings(records: list[TrackRecord], split: SplitSettings, split_by: str) -> None:
    for record in records:
        if record.reason:
            log.warning("warning: %s: %s is left out: %s", record.genre, record.source, record.reason)
    units = split_units(records, split, split_by)
    for genre in sorted(genres_with_few_tracks(records)):
        if units[genre] == "block" and split_by != "block":
            log.warning(
                "warning: %s has fewer than %d different tracks, so it is split by blocks of time, and "
                "training and test share recordings; add files for unbiased scores",
                genre,
                MIN_TRACKS,
            )
    if "random" in units.values():
        log.warning(
            "warning: split.by=random puts clips of one song into training and test, so scores are too high; "
            "use it only to repeat the paper"
        )


def _corpus_settings(source: Source, genres: set[str], settings: CorpusSettings) -> dict[str, Any]:
    return {
        "mel": settings.mel.to_dict(),
        "clip": dataclasses.asdict(settings.clip),
        "screening": dataclasses.asdict(settings.screening),
        "split": dataclasses.asdict(settings.split),
        "audio": settings.audio,
        "genres": sorted(genres),
        "source": source.describe(),
    }


def _remove_stale(
    folder: Path, rows: list[Row], records: list[TrackRecord], settings: CorpusSettings
) -> None:
    """Remove arrays and records that the manifest does not name, and files of interrupted runs."""
    kept = {row["array"] for row in rows if row["kept"]}
    audio = {"all": kept, "heldout": _held_out_arrays(rows), "none": set()}[settings.audio]
    wanted = {MELS: kept, AUDIO: audio, TRACKS: {record.array for record in records}}
    for part, names in wanted.items():
        for path in (folder / part).iterdir():
            if path.stem not in names and path.suffix in (".npy", ".json"):
                path.unlink(missing_ok=True)
    for path in folder.glob(".*.part.*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
