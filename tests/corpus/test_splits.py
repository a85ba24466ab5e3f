"""Tests of splits: shares, equal content, stability, test clips."""

import pytest

from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.manifest import reason_counts, split_counts
from cyclegan_audio.corpus.splits import SplitGroup, SplitSettings, assign_splits, hash_rank
from cyclegan_audio.utils.errors import UserError


def tracks_of(genre: str, contents: range, paired: bool = False) -> list[SplitGroup]:
    return [SplitGroup(f"{genre}{n}", genre, f"content {genre} {n}", paired) for n in contents]


def sizes(splits: dict[str, str]) -> dict[str, int]:
    return {split: list(splits.values()).count(split) for split in ("train", "val", "test", "paired")}


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (24, (20, 2, 2)), (100, (80, 10, 10))],
)
def test_splits_have_the_set_shares(n, expected):
    counts = sizes(assign_splits(tracks_of("lofi", range(n)), SplitSettings()))
    assert (counts["train"], counts["val"], counts["test"]) == expected


def test_each_genre_gets_its_shares():
    splits = assign_splits(tracks_of("lofi", range(3)) + tracks_of("trap", range(50)), SplitSettings())
    assert {splits[f"lofi{n}"] for n in range(3)} == {"train", "val", "test"}
    assert sizes(splits)["test"] == 1 + 5


def test_equal_content_stays_together_within_and_across_genres():
    tracks = tracks_of("lofi", range(10))
    copies = [SplitGroup(f"copy{t.track}", "lofi", t.content) for t in tracks]
    other_genre = [SplitGroup(f"trap{t.track}", "trap", t.content) for t in tracks]
    other_genre += tracks_of("trap", range(10))
    splits = assign_splits(tracks + copies + other_genre, SplitSettings())
    for track in tracks:
        assert splits[track.track] == splits[f"copy{track.track}"] == splits[f"trap{track.track}"]
    assert sizes(assign_splits(tracks, SplitSettings())) == {"train": 8, "val": 1, "test": 1, "paired": 0}


def test_a_training_file_that_equals_a_paired_one_is_not_trained_on():
    paired = tracks_of("lofi", range(2), paired=True)
    copy = SplitGroup("double", "lofi", paired[0].content)
    splits = assign_splits([*paired, copy, *tracks_of("lofi", range(2, 9))], SplitSettings())
    assert splits["lofi0"] == splits["lofi1"] == splits["double"] == "paired"
    assert sizes(splits)["val"] == sizes(splits)["test"] == 1


def test_splits_depend_on_the_seed_and_not_on_order():
    tracks = tracks_of("lofi", range(50))
    splits = assign_splits(tracks, SplitSettings())
    assert assign_splits(tracks[::-1], SplitSettings()) == splits
    assert assign_splits(tracks, SplitSettings(seed=1)) != splits


def test_an_added_track_moves_at_most_one_other():
    before = assign_splits(tracks_of("lofi", range(30)), SplitSettings())
    for added in range(30, 60):
        after = assign_splits(
            [*tracks_of("lofi", range(30)), *tracks_of("lofi", range(added, added + 1))], SplitSettings()
        )
        changes = {track: (before[track], after[track]) for track in before if before[track] != after[track]}
        assert set(changes.values()) <= {("test", "train"), ("val", "train")}
        assert len(changes) <= 1


def test_counts_by_genre_reason_and_split_by_hand():
    rows = [
        {"genre": "lofi", "reason": "", "kept": True, "split": "val", "track": "t"},
        {"genre": "lofi", "reason": "", "kept": True, "split": "train", "track": "u"},
        {"genre": "lofi", "reason": "", "kept": True, "split": "train", "track": "u"},
        {"genre": "trap", "reason": "silence", "kept": False, "split": "", "track": "v"},
        {"genre": "rnb", "reason": "", "kept": True, "split": "val", "track": "t"},
    ]
    assert reason_counts(rows) == (
        ["lofi", "rnb", "trap"],
        [["kept", "3", "1", "0"], ["silence", "0", "0", "1"]],
    )
    assert split_counts(rows) == (["lofi", "rnb"], [["train", "1 / 2", "0 / 0"], ["val", "1 / 1", "1 / 1"]])


@pytest.mark.parametrize(
    ("n", "share", "expected"),
    [
        (10, 0.9, (2, 4, 4)),  # most of what val leaves, and of what test leaves, is trained on
        (11, 0.9, (1, 5, 5)),
        (2, 0.9, (1, 0, 1)),
        (3, 0.9, (1, 1, 1)),
        (5, 0.5, (1, 2, 2)),
        (16, 0.2, (10, 3, 3)),
        (10, 0.0, (10, 0, 0)),
    ],
)
def test_large_and_zero_shares(n, share, expected):
    actual = sizes(assign_splits(tracks_of("lofi", range(n)), SplitSettings(val=share, test=share)))
    assert (actual["train"], actual["val"], actual["test"]) == expected


@pytest.mark.parametrize(
    ("n_clips", "test_clips", "n_test"),
    [
        ([3, 2, 9, 9, 9, 9], 1, 1),
        ([3, 2, 9, 9, 9, 9], 3, 1),
        ([3, 2, 9, 9, 9, 9], 4, 2),
        ([3, 2, 9, 9, 9, 9], 5, 2),
        ([3, 2, 9, 9, 9, 9], 6, 2),  # most tracks are left to training
        ([1, 1, 1, 1, 1, 1, 1], 3, 3),
        ([1, 1, 1, 1, 1, 1, 1], 9, 3),
        ([1, 5, 5], 4, 1),
        ([5, 5], 1, 1),
        ([5, 5], 9, 1),
        ([5], 1, 0),
    ],
)
def test_test_clips_come_from_as_few_tracks_as_possible(n_clips, test_clips, n_test):
    contents = sorted(
        (f"content {n}" for n in range(len(n_clips))), key=lambda content: hash_rank(content, 7)
    )
    tracks = [SplitGroup(c, "lofi", c, n_clips=n) for c, n in zip(contents, n_clips, strict=True)]
    splits = assign_splits(tracks[::-1], SplitSettings(seed=7, test_clips=test_clips))
    assert [track for track, split in splits.items() if split == "test"][::-1] == contents[:n_test]
    assert [track for track, split in splits.items() if split == "val"] == contents[-1:] * (len(contents) > 2)


def test_contents_shared_with_another_genre_count_for_the_shares():
    lofi = tracks_of("lofi", range(10))
    splits = assign_splits(lofi, SplitSettings())
    held_out = [t for t in lofi if splits[t.track] != "train"]
    trained = [t for t in lofi if splits[t.track] == "train"]
    for shared, expected in ((held_out, (8, 1, 1)), (trained, (12, 2, 2))):
        trap = tracks_of("trap", range(8)) + [SplitGroup(f"as {t.track}", "trap", t.content) for t in shared]
        after = assign_splits(lofi + trap, SplitSettings())
        actual = sizes({t.track: after[t.track] for t in trap})
        assert (actual["train"], actual["val"], actual["test"]) == expected


def test_defaults_equal_the_configuration():
    assert build("split", compose("prepare").split) == SplitSettings()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("val", 1.1), ("test", -0.1), ("block_s", -1), ("guard_s", -1), ("test_clips", 0), ("max_clips", 0)],
)
def test_invalid_settings_are_refused(setting, value):
    with pytest.raises(UserError, match=rf"split\.{setting} must be .*, got {value}"):
        SplitSettings(**{setting: value})


def test_limits_of_settings_are_allowed():
    SplitSettings(val=0, test=1, block_s=0, guard_s=0, test_clips=1, max_clips=1)


def test_a_track_counts_as_one_clip_by_default():
    splits = assign_splits(tracks_of("lofi", range(10)), SplitSettings(test_clips=3))
    assert sizes(splits)["test"] == 3
