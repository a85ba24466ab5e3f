"""Records of source files to the rows of the manifest: tracks, splits, and the draw of clips."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from cyclegan_audio.corpus.corpus import COLUMNS, SPLITS
from cyclegan_audio.corpus.splits import SplitGroup, SplitSettings, assign_splits, hash_rank
from cyclegan_audio.corpus.track_record import TrackRecord, clip_id

MIN_TRACKS = 3  # one each for training, validation and test
MIN_BLOCKS = 10
GUARD_SHARE = 0.1  # of a block, at most, is dropped at a side
GUARD = "too near to another split's block"
NOT_DRAWN = "not drawn"
_RANK = {"train": 0, "val": 1, "test": 2}  # where two splits meet, the lower one gives way

Row = dict[str, Any]


def build_manifest(
    records: list[TrackRecord],
    clip_s: float,
    split: SplitSettings,
    source_by: str = "track",
    dropped: Mapping[str, str] | None = None,
) -> list[Row]:
    """Rows of the manifest with tracks, or blocks of time, and splits.

    Args:
        records: what is known of each source file.
        clip_s: length of a clip.
        split: how to split and draw.
        source_by: what `split.by=auto` means for this source, track or block.
        dropped: reasons by clip_id of clips that are dropped for what other files hold.
    """
    rows = [
        _row(record, clip, clip_s, dropped or {})
        for record in records
        for clip in record.clips or [{"start_s": 0.0, "reason": record.reason}]
    ]
    kept = [row for row in rows if row["kept"]]
    for genre, by in split_kinds(records, split, source_by).items():
        own = [row for row in kept if row["genre"] == genre and not row["score"]]
        _name_tracks(own, by, _block_s(own, clip_s, split))
    splits = assign_splits(_tracks(kept), split)
    for row in kept:
        row["split"] = splits[row["track"]]
    for genre, by in split_kinds(records, split, source_by).items():
        own = [row for row in kept if row["genre"] == genre and row["split"] in _RANK]
        if by == "block":
            _drop_at_edges(own, min(split.guard_s, GUARD_SHARE * _block_s(own, clip_s, split)))
        _draw_clips([row for row in own if row["kept"]], split)
    return rows


def reason_counts(rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Genres, and a line for `kept` and each reason with its clips a genre; a file without one counts one."""
    counts = Counter((row["genre"], row["reason"]) for row in rows)
    genres = sorted({genre for genre, _ in counts})
    return genres, [
        [reason or "kept", *(str(counts[genre, reason]) for genre in genres)]
        for reason in sorted({reason for _, reason in counts})
    ]


def most_lost(rows: Iterable[Row], count: int = 3) -> list[str]:
    """A line for each of the `count` files that lost most clips to screening, with the main reason."""
    files: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        files[row["genre"], row["source"]].append(row)
    lost = {
        name: reasons
        for name, own in files.items()
        if (reasons := Counter(r["reason"] for r in own if r["reason"] not in ("", GUARD, NOT_DRAWN)))
    }
    worst = sorted(lost, key=lambda name: (-lost[name].total(), name))[:count]
    return [
        f"{genre}: {source} lost {lost[genre, source].total()} of {len(files[genre, source])} clips, "
        f"most for {lost[genre, source].most_common(1)[0][0]}"
        for genre, source in worst
    ]


def split_counts(rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Genres with kept clips, and a line for each split with its tracks / clips a genre."""
    kept = [row for row in rows if row["kept"]]
    genres = sorted({row["genre"] for row in kept})
    clips = Counter((row["split"], row["genre"]) for row in kept)
    tracks = Counter((s, genre) for s, genre, _ in {(r["split"], r["genre"], r["track"]) for r in kept})
    there = [split for split in SPLITS if any(clips[split, genre] for genre in genres)]
    return genres, [
        [split, *(f"{tracks[split, genre]} / {clips[split, genre]}" for genre in genres)] for split in there
    ]


def split_kinds(records: list[TrackRecord], split: SplitSettings, source_by: str) -> dict[str, str]:
    """What stands for a track, by genre: `track`, `block` or `random`."""
    if split.by != "auto":
        return {record.genre: split.by for record in records}
    few = few_tracks(records)
    return {record.genre: "block" if record.genre in few else source_by for record in records}


def few_tracks(records: list[TrackRecord]) -> set[str]:
    """Genres with too few different tracks for three splits."""
    contents = defaultdict(set)
    for record in records:
        if record.has_arrays and not record.score:
            contents[record.genre].add(record.content)
    return {genre for genre, own in contents.items() if len(own) < MIN_TRACKS}


def _row(record: TrackRecord, clip: Row, clip_s: float, dropped: Mapping[str, str]) -> Row:
    columns = {key: clip.get(key, record.info.get(key)) for key in COLUMNS}
    values = {key: getattr(record, key) for key in ("genre", "source", "score", "array", "content")}
    name = clip_id(record.array, clip["start_s"])
    identity = {
        "clip_id": name,
        "duration_s": clip.get("duration_s", clip_s) if record.clips else record.duration_s,
        "track": record.array,
    }
    row = columns | values | identity | {"index": clip.get("index", -1), "kept": True, "split": ""}
    if reason := clip["reason"] or dropped.get(name, ""):
        _drop(row, reason)
    else:
        row["reason"] = ""
    return row


def _drop(row: Row, reason: str) -> None:
    row |= {"kept": False, "reason": reason, "index": -1, "split": ""}


def _name_tracks(rows: list[Row], by: str, block_s: float) -> None:
    """Lengthen the names of tracks by what stands for a track within a file."""
    for row in rows:
        if by == "block":
            row["track"] += f".{int(row['start_s'] // block_s):04d}"
        elif by == "random":
            row["track"] = row["clip_id"]


def _tracks(rows: list[Row]) -> Iterable[SplitGroup]:
    """What the splits keep together; equal contents at equal times are equal."""
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row["track"]] += 1
    first = {row["track"]: row for row in rows}
    for track, row in first.items():
        part = track.removeprefix(row["array"])
        yield SplitGroup(track, row["genre"], row["content"] + part, bool(row["score"]), sizes[track])


def _block_s(rows: list[Row], clip_s: float, split: SplitSettings) -> float:
    """Length of a block: whole clips, at most `block_s`, and short enough for ten blocks."""
    ends_s: dict[str, float] = defaultdict(float)
    for row in rows:
        ends_s[row["content"]] = max(ends_s[row["content"]], row["start_s"] + row["duration_s"])
    n_in_block = min(split.block_s, sum(ends_s.values()) / MIN_BLOCKS) // clip_s
    return max(n_in_block, 1) * clip_s


def _drop_at_edges(rows: list[Row], guard_s: float) -> None:
    """Drop clips that overlap a clip of a higher split in the same file, or are nearer than `guard_s`."""
    by_content = defaultdict(list)
    for row in rows:
        by_content[row["content"]].append(row)
    for own in by_content.values():
        own.sort(key=lambda row: row["start_s"])
        for ordered in (own, own[::-1]):
            _drop_beside(ordered, guard_s)


def _drop_beside(ordered: list[Row], guard_s: float) -> None:
    """Look back along the file, in one direction, from each clip to the last one of each higher split."""
    last: dict[str, Row] = {}
    for row in ordered:
        rank = _RANK.get(row["split"], -1)
        for other in last.values():
            if rank < _RANK[other["split"]] and rank >= 0 and _gap_s(row, other) < max(guard_s, 1e-6):
                _drop(row, GUARD)
                break
        if row["kept"]:
            last[row["split"]] = row


def _gap_s(one: Row, other: Row) -> float:
    first, second = sorted((one, other), key=lambda row: row["start_s"])
    return second["start_s"] - first["start_s"] - first["duration_s"]


def _draw_clips(rows: list[Row], split: SplitSettings) -> None:
    """Keep the lowest hashes: `test_clips` for test, and of the others so many that `max_clips` are left."""
    parts: dict[str, list[Row]] = {name: [] for name in _RANK}
    for row in sorted(rows, key=lambda row: hash_rank(f"{row['content']}:{row['start_s']}", split.seed)):
        parts[row["split"]].append(row)
    _leave(parts["test"], split.test_clips)
    if split.max_clips is None:
        return
    n_test = sum(row["kept"] for row in parts["test"])
    n_others = len(parts["train"]) + len(parts["val"])
    budget = max(split.max_clips - n_test, 1)
    n_val = round(budget * len(parts["val"]) / max(n_others, 1))
    n_val = max(n_val, 1) if parts["val"] and budget > 1 else 0
    _leave(parts["val"], n_val)
    _leave(parts["train"], budget - n_val)


def _leave(ordered: list[Row], count: int | None) -> None:
    for row in ordered[count:] if count is not None else []:
        _drop(row, NOT_DRAWN)
