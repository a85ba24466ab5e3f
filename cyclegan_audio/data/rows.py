"""Records of source files to the rows of the manifest: tracks, or blocks of time, and their splits."""

from typing import Any

from cyclegan_audio.data.corpus import COLUMNS
from cyclegan_audio.data.splits import SplitSettings, Track, assign_splits
from cyclegan_audio.data.tracks import TrackRecord

MIN_TRACKS = 3  # one each for training, validation and test
MIN_BLOCKS = 10

Row = dict[str, Any]


def manifest_rows(records: list[TrackRecord], clip_s: float, split: SplitSettings) -> list[Row]:
    """Rows of the manifest with tracks, or blocks of time, and splits."""
    block_s = {
        genre: _block_s(n_clips, clip_s, split) for genre, n_clips in genres_in_blocks(records).items()
    }
    tracks: dict[str, Track] = {}
    rows = []
    for record in records:
        for clip in record.clips or [{"start_s": 0.0, "reason": record.reason}]:
            row = _row(record, clip, clip_s)
            content = record.content
            if record.genre in block_s and not record.score:
                block = int(clip["start_s"] // block_s[record.genre])
                row["track"] += f".{block:04d}"
                content += f":{block}"
            rows.append(row)
            if row["kept"]:
                tracks[row["track"]] = Track(row["track"], record.genre, content, bool(record.score))
    splits = assign_splits(tracks.values(), split)
    for row in rows:
        row["split"] = splits[row["track"]] if row["kept"] else ""
    return rows


def _row(record: TrackRecord, clip: Row, clip_s: float) -> Row:
    values = (
        dict.fromkeys(COLUMNS)
        | clip
        | {key: getattr(record, key) for key in ("genre", "source", "score", "array", "content")}
    )
    kept = not clip["reason"]
    identity = {
        "clip_id": f"{record.array}-{round(clip['start_s'] * 1000):09d}",
        "duration_s": clip_s if record.clips else record.duration_s,
        "track": record.array,
    }
    return values | identity | {"kept": kept, "index": clip.get("index", -1)}


def genres_in_blocks(records: list[TrackRecord]) -> dict[str, int]:
    """Genres with too few different tracks for three splits, with their kept clips' number."""
    kept = [record for record in records if record.has_arrays and not record.score]
    few = {}
    for genre in {record.genre for record in kept}:
        by_content = {r.content: r for r in kept if r.genre == genre}
        if len(by_content) < MIN_TRACKS:
            few[genre] = sum(not clip["reason"] for r in by_content.values() for clip in r.clips)
    return few


def _block_s(n_clips: int, clip_s: float, split: SplitSettings) -> float:
    """Length of a block: whole clips, at most `block_s`, and short enough for ten blocks."""
    n_in_block = min(split.block_s // clip_s, n_clips // MIN_BLOCKS)
    return max(n_in_block, 1) * clip_s
