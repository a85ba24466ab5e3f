"""Build the rows of the manifest from track records: splits, guard intervals, repeats, subsampling."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from cyclegan_audio.corpus.manifest_file import COLUMNS, SPLITS
from cyclegan_audio.corpus.splits import SplitGroup, SplitSettings, assign_splits, hash_rank
from cyclegan_audio.corpus.track_files import TrackRecord

MIN_TRACKS = 3  # one each for training, validation and test
MIN_BLOCKS = 10
MAX_GUARD_SHARE = 0.1  # of a block at each of its ends
GUARD_REASON = "guard interval"
NOT_SAMPLED = "not sampled"
NOT_SCREENED = ("", GUARD_REASON, NOT_SAMPLED)
_SPLIT_RANK = {"train": 0, "val": 1, "test": 2}  # next to each other, the lower one loses clips

Row = dict[str, Any]
CorpusCheck = Callable[[Mapping[str, str]], Mapping[str, str]]


def build_manifest(
    records: list[TrackRecord],
    clip_s: float,
    split: SplitSettings,
    source_split_by: str = "track",
    check_corpus: CorpusCheck | None = None,
) -> list[Row]:
    """Build the rows of the manifest: a row per clip, or one for a file without clips.

    Args:
        records: one per source file.
        clip_s: length of a clip.
        split: how to split and subsample.
        source_split_by: what `split.by=auto` means for this source: `track` or `block`.
        check_corpus: returns reasons by clip_id for clips dropped because of others, from the split of each
            kept clip by its clip_id.
    """
    rows = [
        _row(record, clip, clip_s)
        for record in records
        for clip in record.clips or [{"start_s": 0.0, "reason": record.reason}]
    ]
    kept = [row for row in rows if row["kept"]]
    for genre, by in split_units(records, split, source_split_by).items():
        unpaired = [row for row in kept if row["genre"] == genre and not row["score"]]
        _set_track_names(unpaired, by, _block_length_s(unpaired, clip_s, split))
    splits = assign_splits(_split_groups(kept, _repeats(kept, split, check_corpus)), split)
    for row in kept:
        row["split"] = splits[row["track"]]
    for genre, by in split_units(records, split, source_split_by).items():
        if by == "block":
            unpaired = _in_splits(kept, genre)
            block_s = _block_length_s(unpaired, clip_s, split)
            _drop_in_guard_intervals(unpaired, min(split.guard_s, MAX_GUARD_SHARE * block_s))
    _drop_repeats(kept, check_corpus)
    for genre in {row["genre"] for row in kept}:
        _subsample_clips(_in_splits(kept, genre), split)
    return rows


def _repeats(kept: list[Row], split: SplitSettings, check_corpus: CorpusCheck | None) -> Container[str]:
    """Return the clip_ids that do not count towards `test_clips`, as they repeat others."""
    if split.test_clips is None or check_corpus is None:
        return ()
    return check_corpus({row["clip_id"]: "test" for row in kept})


def _drop_repeats(kept: list[Row], check_corpus: CorpusCheck | None) -> None:
    """Drop clips because of others, now that the splits are known."""
    if check_corpus is None:
        return
    reasons = check_corpus({row["clip_id"]: row["split"] for row in kept if row["kept"]})
    for row in kept:
        if reason := reasons.get(row["clip_id"]):
            _drop(row, reason)


def _in_splits(rows: list[Row], genre: str) -> list[Row]:
    """Return the rows of a genre that are still kept, without its paired set."""
    return [row for row in rows if row["kept"] and row["genre"] == genre and row["split"] in _SPLIT_RANK]


def reason_counts(rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Count clips: the genres, and for `kept` and each reason a row with its clips per genre.

    A file without clips counts as one.
    """
    counts = Counter((row["genre"], row["reason"]) for row in rows)
    genres = sorted({genre for genre, _ in counts})
    return genres, [
        [reason or "kept", *(str(counts[genre, reason]) for genre in genres)]
        for reason in sorted({reason for _, reason in counts})
    ]


def most_dropped_files(rows: Iterable[Row], count: int = 3) -> list[str]:
    """Describe the `count` files with most clips dropped by screening, a line each with all reasons."""
    files: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        files[row["genre"], row["source"]].append(row)
    reasons_by_file = {
        name: reasons
        for name, file_rows in files.items()
        if (reasons := Counter(r["reason"] for r in file_rows if r["reason"] not in NOT_SCREENED))
    }
    ordered = sorted(reasons_by_file.items(), key=lambda item: (-item[1].total(), item[0]))
    return [
        f"{genre}: {source} lost {reasons.total()} of {len(files[genre, source])} clips: "
        + ", ".join(f"{number} x {reason}" for reason, number in reasons.most_common())
        for (genre, source), reasons in ordered[:count]
    ]


def dc_offset_line(rows: Iterable[Row], count: int = 3) -> str:
    """Describe from how many files a DC offset was subtracted, and the `count` largest; "" for none."""
    offsets: dict[tuple[str, str], float] = {}
    for row in rows:
        if (offset := row.get("dc_offset")) is not None:
            name = row["genre"], row["source"]
            offsets[name] = max(offsets.get(name, 0.0), offset, key=abs)
    if not offsets:
        return ""
    ordered = sorted(offsets.items(), key=lambda item: (-abs(item[1]), item[0]))
    largest = ", ".join(f"{genre}: {source} ({offset:+.3f})" for (genre, source), offset in ordered[:count])
    files = "one file:" if len(offsets) == 1 else f"{len(offsets)} files, the largest from"
    return f"DC offset subtracted from {files} {largest}"


def split_counts(rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Count splits: the genres with kept clips, and per split a row with its tracks / clips by genre."""
    kept = [row for row in rows if row["kept"]]
    genres = sorted({row["genre"] for row in kept})
    clips = Counter((row["split"], row["genre"]) for row in kept)
    tracks = Counter((s, genre) for s, genre, _ in {(r["split"], r["genre"], r["track"]) for r in kept})
    splits_present = [split for split in SPLITS if any(clips[split, genre] for genre in genres)]
    return genres, [
        [split, *(f"{tracks[split, genre]} / {clips[split, genre]}" for genre in genres)]
        for split in splits_present
    ]


def split_units(records: list[TrackRecord], split: SplitSettings, source_split_by: str) -> dict[str, str]:
    """Return the unit of the splits by genre: `track`, `block` or `random` (single clips)."""
    if split.by != "auto":
        return {record.genre: split.by for record in records}
    few = genres_with_few_tracks(records)
    return {record.genre: "block" if record.genre in few else source_split_by for record in records}


def genres_with_few_tracks(records: list[TrackRecord]) -> set[str]:
    """Return the genres with too few different tracks for three splits."""
    contents = defaultdict(set)
    for record in records:
        if record.has_arrays and not record.score:
            contents[record.genre].add(record.content)
    return {genre for genre, hashes in contents.items() if len(hashes) < MIN_TRACKS}


def _row(record: TrackRecord, clip: Row, clip_s: float) -> Row:
    columns = {key: clip.get(key, record.info.get(key)) for key in COLUMNS}
    values = {key: getattr(record, key) for key in ("genre", "source", "score", "array", "content")}
    identity = {
        "clip_id": record.clip_id(clip),
        "duration_s": clip.get("duration_s", clip_s) if record.clips else record.duration_s,
        "track": record.array,
    }
    row = columns | values | identity | {"index": clip.get("index", -1), "kept": True, "split": ""}
    if clip["reason"]:
        _drop(row, clip["reason"])
    else:
        row["reason"] = ""
    return row


def _drop(row: Row, reason: str) -> None:
    row |= {"kept": False, "reason": reason, "index": -1, "split": ""}


def _set_track_names(rows: list[Row], by: str, block_s: float) -> None:
    """Set each row's track, until now its file, to the unit of the splits."""
    for row in rows:
        if by == "block":
            row["track"] += f".{int(row['start_s'] // block_s):04d}"
        elif by == "random":
            row["track"] = row["clip_id"]


def _split_groups(rows: list[Row], repeats: Container[str]) -> Iterable[SplitGroup]:
    """Yield the units of the splits, with their clips but `repeats`; equal files have equal groups."""
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row["track"]] += row["clip_id"] not in repeats
    first = {row["track"]: row for row in rows}
    for track, row in first.items():
        part = track.removeprefix(row["array"])
        yield SplitGroup(track, row["genre"], row["content"] + part, bool(row["score"]), sizes[track])


def _block_length_s(rows: list[Row], clip_s: float, split: SplitSettings) -> float:
    """Compute the length of a block: whole clips, at most `block_s`, short enough for ten blocks."""
    ends_s: dict[str, float] = defaultdict(float)
    for row in rows:
        ends_s[row["content"]] = max(ends_s[row["content"]], row["start_s"] + row["duration_s"])
    n_in_block = min(split.block_s, sum(ends_s.values()) / MIN_BLOCKS) // clip_s
    return max(n_in_block, 1) * clip_s


def _drop_in_guard_intervals(rows: list[Row], guard_s: float) -> None:
    """Drop clips that overlap a clip of a higher split in the same file, or lie within `guard_s` of one."""
    by_content = defaultdict(list)
    for row in rows:
        by_content[row["content"]].append(row)
    for file_rows in by_content.values():
        file_rows.sort(key=lambda row: row["start_s"])
        for ordered in (file_rows, file_rows[::-1]):
            _drop_near_higher_splits(ordered, guard_s)


def _drop_near_higher_splits(ordered: list[Row], guard_s: float) -> None:
    """Drop clips that follow too closely, in the order given, after a clip of a higher split."""
    last: dict[str, Row] = {}
    for row in ordered:
        rank = _SPLIT_RANK.get(row["split"], -1)
        for other in last.values():
            if rank < _SPLIT_RANK[other["split"]] and rank >= 0 and _gap_s(row, other) < max(guard_s, 1e-6):
                _drop(row, GUARD_REASON)
                break
        if row["kept"]:
            last[row["split"]] = row


def _gap_s(one: Row, other: Row) -> float:
    first, second = sorted((one, other), key=lambda row: row["start_s"])
    return second["start_s"] - first["start_s"] - first["duration_s"]


def _subsample_clips(rows: list[Row], split: SplitSettings) -> None:
    """Keep the clips with the lowest hashes: `test_clips` test clips, and others up to `max_clips`."""
    by_split: dict[str, list[Row]] = {name: [] for name in _SPLIT_RANK}
    for row in sorted(rows, key=lambda row: hash_rank(f"{row['content']}:{row['start_s']}", split.seed)):
        by_split[row["split"]].append(row)
    _keep_first(by_split["test"], split.test_clips)
    if split.max_clips is None:
        return
    n_test = sum(row["kept"] for row in by_split["test"])
    n_others = len(by_split["train"]) + len(by_split["val"])
    budget = max(split.max_clips - n_test, 1)
    n_val = round(budget * len(by_split["val"]) / max(n_others, 1))
    n_val = max(n_val, 1) if by_split["val"] and budget > 1 else 0
    _keep_first(by_split["val"], n_val)
    _keep_first(by_split["train"], budget - n_val)


def _keep_first(ordered: list[Row], count: int | None) -> None:
    for row in ordered[count:] if count is not None else []:
        _drop(row, NOT_SAMPLED)
