"""Prepare a corpus on several machines: deal the files to shards, and merge the shards' records."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.sources import SourceFile
from cyclegan_audio.corpus.track_files import TrackRecord, arrays_complete, read_record
from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.errors import UserError, check_number

SHARDS_FOLDER = "shards"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of `count` shares of the files; `number` counts from 0."""

    number: int
    count: int

    def __post_init__(self) -> None:
        check_number("num_shards", self.count, low=1, integer=True)
        check_number("shard", self.number, low=0, high=self.count - 1, integer=True)

    def select_files(self, files: Sequence[SourceFile]) -> list[SourceFile]:
        """Select this shard's files by a hash of their names, so that a file added later moves no other."""
        return [file for file in files if self._shard_of(file) == self.number]

    def _shard_of(self, file: SourceFile) -> int:
        name = json.dumps([file.genre, file.source, file.score]).encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % self.count

    def write_record(self, folder: Path, settings_hash: str, records: Sequence[TrackRecord]) -> None:
        """Record that this shard is done: its records, and the hash of the settings."""
        unread = [dataclasses.asdict(record) for record in records if not record.content]
        arrays = [record.array for record in records if record.content]
        text = json.dumps({"settings": settings_hash, "records": arrays, "unread": unread}, indent=0)
        (folder / SHARDS_FOLDER).mkdir(exist_ok=True)
        atomic_write_text(self._path(folder), text)

    def _path(self, folder: Path) -> Path:
        return folder / SHARDS_FOLDER / f"{self.number:04d}_of_{self.count:04d}.json"

    @staticmethod
    def merge(folder: Path, count: int, settings_hash: str, with_audio: bool) -> list[TrackRecord]:
        """Read the records of all shards, sorted by genre and source; source files are not needed.

        Raises:
            UserError: a shard is missing, has other settings, or lacks arrays.
        """
        check_number("num_shards", count, low=1, integer=True)
        shards = [Shard(number, count) for number in range(count)]
        if missing := [str(s.number) for s in shards if not s._path(folder).is_file()]:
            raise UserError(
                f"{folder} lacks the shards {', '.join(missing)} of {count}; run prepare shard=N "
                f"num_shards={count} for these, and copy their files here"
            )
        records = [
            record for shard in shards for record in shard._read_records(folder, settings_hash, with_audio)
        ]
        return sorted(records, key=lambda record: (record.genre, record.source))

    def _read_records(self, folder: Path, settings_hash: str, with_audio: bool) -> list[TrackRecord]:
        remedy = f"run prepare shard={self.number} num_shards={self.count} again"
        try:
            saved = json.loads(self._path(folder).read_text(encoding="utf-8"))
            arrays, settings = list(saved["records"]), saved["settings"]
            records = [TrackRecord(**values) for values in saved["unread"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path(folder)} cannot be read ({error}); {remedy}") from error
        if settings != settings_hash:
            raise UserError(f"shard {self.number} of {folder} was made with other settings; {remedy}")
        for array in arrays:
            record = read_record(folder / "tracks" / f"{array}.json")
            if record is None or not arrays_complete(folder, record, with_audio):
                raise UserError(f"{folder} lacks files of {array}, which shard {self.number} made; {remedy}")
            records.append(record)
        return records
