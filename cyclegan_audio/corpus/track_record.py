"""What a corpus keeps of each source file beside its arrays: `tracks/<array>.json`."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from cyclegan_audio.corpus.npy_writer import holds_rows


@dataclasses.dataclass(frozen=True)
class TrackRecord:
    """What is known of a source file, as kept in `tracks/<array>.json`.

    Attributes:
        array: file name, without suffix, of its arrays; follows from genre, source, content and settings.
        content: SHA-256 of the file's bytes, "" where they cannot be read.
        duration_s: length of the whole file, 0 where it cannot be read.
        reason: why the file gives no clip at all, or "".
        clips: a dict a clip with start_s, duration_s, reason ("" where kept), index (its row in the arrays,
            -1 without one), min_db, max_db, and the features that the screening records.
        facts: sample_rate, channels and codec of the file.
        rows: rows of its arrays.
    """

    array: str
    genre: str
    source: str
    score: str | None
    content: str
    duration_s: float
    reason: str
    clips: list[dict[str, Any]]
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: int = 0

    @property
    def has_arrays(self) -> bool:
        """Whether any clip is kept."""
        return any(not clip["reason"] for clip in self.clips)

    def clip_id(self, clip: dict[str, Any]) -> str:
        """The name of one of its clips in the corpus."""
        return clip_id(self.array, clip["start_s"])


def clip_id(array: str, start_s: float) -> str:
    """The name of a clip in its corpus."""
    return f"{array}-{round(start_s * 1000):09d}"


def read_record(path: Path) -> TrackRecord | None:
    """The record, or None where there is none or it is damaged."""
    try:
        return TrackRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_whole(folder: Path, record: TrackRecord, with_audio: bool) -> bool:
    """Whether the record's arrays are there in their full length; what came as mels has no audio."""
    parts = ["mels"] + ["audio"] * (with_audio and bool(record.info.get("sample_rate")))
    return not record.rows or all(holds_rows(folder / p / f"{record.array}.npy", record.rows) for p in parts)
