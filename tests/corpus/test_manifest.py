"""Tests of building the manifest: tracks or blocks, splits, guard intervals and subsampling, by hand."""

from collections import Counter

import pytest

from cyclegan_audio.corpus.manifest import (
    GUARD_REASON,
    NOT_SAMPLED,
    build_manifest,
    genres_with_few_tracks,
    most_dropped_files,
    split_units,
)
from cyclegan_audio.corpus.preparation.track_processor import TrackRecord
from cyclegan_audio.corpus.splits import SplitSettings, hash_rank

BLOCKS = SplitSettings(by="block", seed=19)  # of blocks 0 to 9 of content "c", 2 is test and 3 is val


def rows(genre: str, source: str, *reasons: str) -> list[dict[str, str]]:
    return [{"genre": genre, "source": source, "reason": reason} for reason in reasons]


def record(
    content: str = "c", n_clips: int = 4, genre: str = "lofi", step_s: float = 1.0, **changes
) -> TrackRecord:
    """Return the record of a file with a clip every `step_s`."""
    clips = [{"start_s": number * step_s, "reason": "", "index": number} for number in range(n_clips)]
    values = {"array": f"{genre}-{content}", "genre": genre, "source": f"{content}.wav", "score": None}
    values |= {"content": content, "duration_s": n_clips * step_s, "reason": "", "clips": clips}
    return TrackRecord(**values | changes)


def dropped_at(actual: list[dict], reason: str) -> list[float]:
    return [row["start_s"] for row in actual if row["reason"] == reason]


def test_files_with_most_dropped_clips_are_described():
    dropped_rows = [
        *rows("trap", "a.mp3", "", "silence", "silence", "voice"),
        *rows("trap", "b.mp3", *[NOT_SAMPLED] * 9, GUARD_REASON),  # not dropped by screening
        *rows("lofi", "a.mp3", "silence", ""),
        *rows("lofi", "c.mp3", "cannot be read"),
        *rows("lofi", "d.mp3", "silence", "voice", "voice", "voice", "voice"),
        *rows("lofi", "e.mp3", ""),
    ]
    assert most_dropped_files(dropped_rows) == [
        "lofi: d.mp3 lost 5 of 5 clips: 4 x voice, 1 x silence",
        "trap: a.mp3 lost 3 of 4 clips: 2 x silence, 1 x voice",
        "lofi: a.mp3 lost 1 of 2 clips: 1 x silence",
    ]
    assert most_dropped_files(dropped_rows, 1) == ["lofi: d.mp3 lost 5 of 5 clips: 4 x voice, 1 x silence"]
    assert most_dropped_files(rows("lofi", "e.mp3", "")) == []


def test_a_row_has_all_data_of_its_clip():
    clips = [
        {"start_s": 1.5, "duration_s": 3.5, "reason": "", "index": 0, "level_db": -12.0},
        {"start_s": 5.0, "reason": "silence", "index": -1},
        {"start_s": 6.0, "reason": "", "index": 1},
    ]
    actual = build_manifest(
        [
            record(clips=clips, info={"codec": "flac"}),
            record("d", clips=[], reason="too short", duration_s=0.5),
        ],
        2.0,
        SplitSettings(by="track"),
        check_corpus=lambda splits: {"lofi-c-000006000": "near-duplicate"},
    )
    keys = ("clip_id", "start_s", "duration_s", "index", "kept", "reason", "split", "track")
    assert [tuple(row[key] for key in keys) for row in actual] == [
        ("lofi-c-000001500", 1.5, 3.5, 0, True, "", "train", "lofi-c"),
        ("lofi-c-000005000", 5.0, 2.0, -1, False, "silence", "", "lofi-c"),
        ("lofi-c-000006000", 6.0, 2.0, -1, False, "near-duplicate", "", "lofi-c"),
        ("lofi-d-000000000", 0.0, 0.5, -1, False, "too short", "", "lofi-d"),
    ]
    assert actual[0]["level_db"] == -12.0
    assert actual[0]["codec"] == "flac"
    assert actual[0]["score"] is None


def test_split_units_by_genre():
    two = [record("c"), record("d")]
    songs = [
        *two,
        record("d", source="copy.wav"),  # equal content counts once,
        record("e", score="x"),  # scores and files without a clip not at all
        record("f", clips=[{"start_s": 0.0, "reason": "silence"}]),
        *(record(content, genre="trap") for content in "cde"),
    ]
    assert genres_with_few_tracks(songs) == {"lofi"}
    auto = SplitSettings()
    assert split_units(songs, auto, "track") == {"lofi": "block", "trap": "track"}
    assert split_units(songs, auto, "random") == {"lofi": "block", "trap": "random"}
    assert split_units(two, SplitSettings(by="random"), "track") == {"lofi": "random"}
    actual = build_manifest(two, 1.0, SplitSettings(by="random"))
    assert [row["track"] for row in actual] == [row["clip_id"] for row in actual]


@pytest.mark.parametrize(
    ("n_clips", "clip_s", "block_s", "expected_s"),
    [
        (40, 1.0, 300.0, 4.0),  # ten blocks
        (40, 1.0, 3.9, 3.0),  # of whole clips
        (29, 2.0, 300.0, 4.0),
        (5, 1.0, 300.0, 1.0),  # at least one clip
    ],
)
def test_blocks_are_whole_clips_and_at_least_ten_per_genre(n_clips, clip_s, block_s, expected_s):
    split = SplitSettings(by="block", block_s=block_s)
    actual = build_manifest([record(n_clips=n_clips, step_s=clip_s)], clip_s, split)
    for row in actual:
        assert row["track"] == f"lofi-c.{int(row['start_s'] // expected_s):04d}"


def test_ten_blocks_cover_all_files_of_a_genre():
    actual = build_manifest([record("c", 20), record("d", 30), record("e", 9, "trap")], 1.0, BLOCKS)
    assert {row["track"] for row in actual if row["content"] == "c"} == {f"lofi-c.{n:04d}" for n in range(4)}
    assert {row["track"] for row in actual if row["content"] == "d"} == {f"lofi-d.{n:04d}" for n in range(6)}


def test_guard_intervals_drop_clips_of_the_lower_split():
    assert sorted(range(10), key=lambda n: hash_rank(f"c.{n:04d}", 19))[::9] == [2, 3]
    actual = build_manifest([record(n_clips=150)], 1.0, BLOCKS)  # blocks of 15 s, so 1.5 s of guard
    assert dropped_at(actual, GUARD_REASON) == [
        28,
        29,
        45,
        46,
        60,
        61,
    ]  # val loses clips next to test, train next to both
    splits = {row["start_s"]: row["split"] for row in actual}
    assert [splits[s] for s in (27, 30, 44, 47, 59, 62)] == ["train", "test", "test", "val", "val", "train"]
    assert all(row["index"] == -1 and not row["kept"] for row in actual if row["reason"])


@pytest.mark.parametrize(
    ("guard_s", "clip_s", "dropped"),
    [(0.5, 1.0, [29, 45, 60]), (0.0, 0.99, []), (0.0, 1.01, [29, 45, 60])],
)
def test_the_guard_interval_has_the_set_width(guard_s, clip_s, dropped):
    song = record(n_clips=150)
    clips = [clip | {"duration_s": clip_s} for clip in song.clips]
    split = SplitSettings(by="block", seed=19, guard_s=guard_s)
    assert dropped_at(build_manifest([record(clips=clips)], 1.0, split), GUARD_REASON) == dropped


@pytest.mark.parametrize(
    ("max_clips", "test_clips", "train", "val", "test"),
    [
        (None, None, 32, 4, 4),
        (None, 2, 32, 4, 2),
        (22, None, 16, 2, 4),  # 18 beside the test clips, of which a ninth for val
        (22, 2, 18, 2, 2),
        (6, None, 1, 1, 4),
        (3, None, 1, 0, 4),
        (100, None, 32, 4, 4),
    ],
)
def test_subsampling_keeps_the_lowest_hashes(max_clips, test_clips, train, val, test):
    songs = [record(f"song {number}") for number in range(10)]
    split = SplitSettings(by="track", max_clips=max_clips, test_clips=test_clips, seed=3)
    actual = build_manifest(songs, 1.0, split)
    whole = build_manifest(songs, 1.0, SplitSettings(by="track", seed=3))
    for name, count in (("train", train), ("val", val), ("test", test)):
        in_split = [row for row in whole if row["split"] == name]
        in_split.sort(key=lambda row: hash_rank(f"{row['content']}:{row['start_s']}", 3))
        expected = {row["clip_id"] for row in in_split[:count]}
        assert {row["clip_id"] for row in actual if row["split"] == name} == expected
        assert len(expected) == count
    assert {row["reason"] for row in actual if not row["kept"]} <= {NOT_SAMPLED}


def test_genres_are_subsampled_separately_and_the_paired_set_stays():
    split = SplitSettings(by="track", max_clips=22, test_clips=2, seed=3)
    lofi = [record(f"song {number}") for number in range(10)]
    trap = [record(f"beat {number}", genre="trap", n_clips=6) for number in range(8)]
    alone = [row for songs in (lofi, trap) for row in build_manifest(songs, 1.0, split)]
    together = build_manifest([*lofi, *trap, record("paired", score="one")], 1.0, split)
    assert together[:-4] == alone
    assert [(row["split"], row["kept"]) for row in together[-4:]] == [("paired", True)] * 4


def test_repeats_are_looked_for_after_the_guard_intervals_and_before_sampling():
    seen = []

    def check_corpus(splits):
        seen.append(dict(splits))
        return {name: "near-duplicate" for name, split in splits.items() if split == "val"}

    split = SplitSettings(by="block", seed=19, max_clips=20)
    actual = build_manifest([record(n_clips=150)], 1.0, split, check_corpus=check_corpus)
    (splits,) = seen
    assert len(splits) == 150 - 6  # without the guard intervals
    assert Counter(splits.values()) == {"train": 116, "val": 13, "test": 15}
    assert len(dropped_at(actual, "near-duplicate")) == 13
    assert Counter(row["split"] for row in actual if row["kept"]) == {"train": 5, "test": 15}


def test_test_tracks_are_chosen_by_their_clips_without_repeats():
    """All songs have four clips; the one that the hash would choose first repeats itself in three of them."""
    songs = [record(f"song {number}") for number in range(10)]
    first = min(songs, key=lambda song: hash_rank(song.content, 0))
    split = SplitSettings(by="track", test_clips=4)

    def check_corpus(splits):
        repeats = {first.clip_id(clip) for clip in first.clips[1:]}
        return dict.fromkeys(repeats & set(splits), "near-duplicate")

    assert Counter(row["split"] for row in build_manifest(songs, 1.0, split))["test"] == 4
    actual = build_manifest(songs, 1.0, split, check_corpus=check_corpus)
    in_test = [row for row in actual if row["split"] == "test"]
    assert len(in_test) == 4
    assert (
        len({row["source"] for row in actual if row["split"] == "test" or row["reason"] == NOT_SAMPLED}) == 2
    )
