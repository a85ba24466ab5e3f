"""Prepare a corpus on several machines: deal the files to shards, and merge the shards' records."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.sources import SourceFile
from cyclegan_audio.corpus.track_files import TRACKS, StoredArrays, TrackRecord, read_record, record_from_dict
from cyclegan_audio.utils.checked_json import read_checked_json, write_checked_json
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
        (folder / SHARDS_FOLDER).mkdir(exist_ok=True)
        values = {"settings": settings_hash, "records": arrays, "unread": unread}
        write_checked_json(self._path(folder), values)

    def _path(self, folder: Path) -> Path:
        return folder / SHARDS_FOLDER / f"{self.number:04d}_of_{self.count:04d}.json"

    @staticmethod
    def merge(stored: StoredArrays, count: int, settings_hash: str, with_audio: bool) -> list[TrackRecord]:
        """Read the records of all shards, sorted by genre and source; source files are not needed.

        Raises:
            UserError: a shard is missing, has other settings, or its arrays are missing or damaged.
        """
        check_number("num_shards", count, low=1, integer=True)
        folder, shards = stored.folder, [Shard(number, count) for number in range(count)]
        if missing := [str(s.number) for s in shards if not s._path(folder).is_file()]:
            raise UserError(
                f"{folder} lacks the shards {', '.join(missing)} of {count}; run prepare shard=N "
                f"num_shards={count} for these, and copy their files here"
            )
        records = [
            record for shard in shards for record in shard._read_records(stored, settings_hash, with_audio)
        ]
        return sorted(records, key=lambda record: (record.genre, record.source))

    def _read_records(self, stored: StoredArrays, settings_hash: str, with_audio: bool) -> list[TrackRecord]:
        remedy = f"run prepare shard={self.number} num_shards={self.count} again"
        folder = stored.folder
        try:
            saved = read_checked_json(self._path(folder))
            arrays, settings = [str(array) for array in saved["records"]], saved["settings"]
            records = [record_from_dict(values) for values in saved["unread"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path(folder)} cannot be read ({error}); {remedy}") from error
        if settings != settings_hash:
            raise UserError(f"shard {self.number} of {folder} was made with other settings; {remedy}")
        for array in arrays:
            record = read_record(folder / TRACKS / f"{array}.json")
            if record is None or stored.damaged_files(record, with_audio):
                raise UserError(
                    f"files of {array}, which shard {self.number} made, are missing or damaged in {folder}; "
                    f"{remedy}"
                )
            records.append(record)
        return records
