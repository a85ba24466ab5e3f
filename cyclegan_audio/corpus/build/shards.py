"""One corpus by several machines: each takes a share of the files, and a merge checks that all are there."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.sources import SourceFile
from cyclegan_audio.corpus.track_record import TrackRecord, is_whole, read_record
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.atomic import atomic_write_text

FOLDER = "shards"


@dataclasses.dataclass(frozen=True)
class Shard:
    """Share `number` of `count`, counted from 0."""

    number: int
    count: int

    def __post_init__(self) -> None:
        check_number("num_shards", self.count, low=1, integer=True)
        check_number("shard", self.number, low=0, high=self.count - 1, integer=True)

    def share(self, files: Sequence[SourceFile]) -> list[SourceFile]:
        """This shard's files: by name, so that a file added later moves no other."""
        return [file for file in files if self._of(file) == self.number]

    def _of(self, file: SourceFile) -> int:
        name = json.dumps([file.genre, file.source, file.score]).encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % self.count

    def write(self, folder: Path, key: str, records: Sequence[TrackRecord]) -> None:
        """Note that this share is done: which records it has, and by which settings (`key`)."""
        unread = [dataclasses.asdict(record) for record in records if not record.content]
        arrays = [record.array for record in records if record.content]
        text = json.dumps({"settings": key, "records": arrays, "unread": unread}, indent=0)
        (folder / FOLDER).mkdir(exist_ok=True)
        atomic_write_text(self._path(folder), text)

    def _path(self, folder: Path) -> Path:
        return folder / FOLDER / f"{self.number:04d}_of_{self.count:04d}.json"

    @staticmethod
    def merge(folder: Path, count: int, key: str, with_audio: bool) -> list[TrackRecord]:
        """The records of all shards, sorted by genre and source; no source file is needed.

        Raises:
            UserError: a shard is missing, has other settings, or lacks arrays.
        """
        check_number("num_shards", count, low=1, integer=True)
        shards = [Shard(number, count) for number in range(count)]
        if missing := [str(s.number) for s in shards if not s._path(folder).is_file()]:
            raise UserError(
                f"{folder} lacks the shards {', '.join(missing)} of {count}; run prepare shard=N "
                f"num_shards={count} for these, and copy what it wrote here"
            )
        records = [record for shard in shards for record in shard._read(folder, key, with_audio)]
        return sorted(records, key=lambda record: (record.genre, record.source))

    def _read(self, folder: Path, key: str, with_audio: bool) -> list[TrackRecord]:
        again = f"run prepare shard={self.number} num_shards={self.count} again"
        try:
            noted = json.loads(self._path(folder).read_text(encoding="utf-8"))
            arrays, settings = list(noted["records"]), noted["settings"]
            records = [TrackRecord(**values) for values in noted["unread"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path(folder)} cannot be read ({error}); {again}") from error
        if settings != key:
            raise UserError(f"shard {self.number} of {folder} was made with other settings; {again}")
        for array in arrays:
            record = read_record(folder / "tracks" / f"{array}.json")
            if record is None or not is_whole(folder, record, with_audio):
                raise UserError(f"{folder} lacks what shard {self.number} made of {array}; {again}")
            records.append(record)
        return records
