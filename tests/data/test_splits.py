import pytest

from cyclegan_audio.data.rows import reason_counts, split_counts
from cyclegan_audio.data.splits import SplitSettings, Track, assign_splits


def tracks_of(genre: str, contents: range, paired: bool = False) -> list[Track]:
    return [Track(f"{genre}{n}", genre, f"content {genre} {n}", paired) for n in contents]


def sizes(splits: dict[str, str]) -> dict[str, int]:
    return {split: list(splits.values()).count(split) for split in ("train", "val", "test", "paired")}


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (24, (20, 2, 2)), (100, (80, 10, 10))],
)
def test_shares(n, expected):
    found = sizes(assign_splits(tracks_of("lofi", range(n)), SplitSettings()))
    assert (found["train"], found["val"], found["test"]) == expected


def test_each_genre_gets_its_shares():
    splits = assign_splits(tracks_of("lofi", range(3)) + tracks_of("trap", range(50)), SplitSettings())
    assert {splits[f"lofi{n}"] for n in range(3)} == {"train", "val", "test"}
    assert sizes(splits)["test"] == 1 + 5


def test_equal_content_stays_together_within_and_across_genres():
    tracks = tracks_of("lofi", range(10))
    doubles = [Track(f"copy{t.track}", "lofi", t.content) for t in tracks]
    other = [Track(f"trap{t.track}", "trap", t.content) for t in tracks] + tracks_of("trap", range(10))
    splits = assign_splits(tracks + doubles + other, SplitSettings())
    for track in tracks:
        assert splits[track.track] == splits[f"copy{track.track}"] == splits[f"trap{track.track}"]
    assert sizes(assign_splits(tracks, SplitSettings())) == {"train": 8, "val": 1, "test": 1, "paired": 0}


def test_a_training_file_that_equals_a_paired_one_is_not_trained_on():
    paired = tracks_of("lofi", range(2), paired=True)
    double = Track("double", "lofi", paired[0].content)
    splits = assign_splits([*paired, double, *tracks_of("lofi", range(2, 9))], SplitSettings())
    assert splits["lofi0"] == splits["lofi1"] == splits["double"] == "paired"
    assert sizes(splits)["val"] == sizes(splits)["test"] == 1


def test_order_is_nothing_and_the_seed_something():
    tracks = tracks_of("lofi", range(50))
    splits = assign_splits(tracks, SplitSettings())
    assert assign_splits(tracks[::-1], SplitSettings()) == splits
    assert assign_splits(tracks, SplitSettings(seed=1)) != splits


def test_an_added_track_moves_at_most_one_other_at_each_end():
    before = assign_splits(tracks_of("lofi", range(30)), SplitSettings())
    for added in range(30, 60):
        after = assign_splits(
            [*tracks_of("lofi", range(30)), *tracks_of("lofi", range(added, added + 1))], SplitSettings()
        )
        moved = {track: (before[track], after[track]) for track in before if before[track] != after[track]}
        assert set(moved.values()) <= {("test", "train"), ("val", "train")}
        assert len(moved) <= 1


def test_counts_by_genre_reason_and_split():
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
