"""Tests of excluding clips that a run was trained on from held-out ones."""

import dataclasses

import pytest

from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.corpus.leakage import (
    exclude_training_clips,
    merge_intervals,
    overlaps_training,
    training_intervals,
)


def clip(content: str, start_s: float, split: str = "train") -> Clip:
    return Clip(
        f"{content}-{start_s}", "lofi", content, start_s, 4.0, content, content, content, 0, None, split,
        -20.0, -80.0, 0.0,
    )  # fmt: skip


def test_intervals_of_adjacent_and_overlapping_clips_merge():
    clips = [clip("x", 4), clip("x", 0), clip("y", 8), clip("x", 20), clip("x", 22)]
    assert training_intervals(clips) == {"x": [[0, 8], [20, 26]], "y": [[8, 12]]}


@pytest.mark.parametrize(
    ("start_s", "overlaps"), [(4, False), (4.1, True), (8, True), (11.9, True), (12, False), (0, False)]
)
def test_any_overlap_counts(start_s, overlaps):
    assert overlaps_training(clip("x", start_s), {"x": [[8, 12]]}) is overlaps
    assert not overlaps_training(clip("y", start_s), {"x": [[8, 12]]})


def test_merged_intervals_cover_both_runs():
    merged = merge_intervals({"x": [[0, 4]]}, {"x": [[8, 12]], "y": [[0, 4]]})
    assert merged == {"x": [[0, 4], [8, 12]], "y": [[0, 4]]}
    assert overlaps_training(clip("x", 9), merged)
    assert merge_intervals(merged, merged) == merged
    assert merge_intervals({"x": [[8, 12], [0, 4]]}, {"x": [[4, 6], [9, 10]]}) == {"x": [[0, 6], [8, 12]]}


def test_held_out_clips_that_were_trained_on_are_excluded(corpus):
    test = corpus.clips("lofi", "test")
    moved = [
        dataclasses.replace(one, split="train") for one in test[:1]
    ]  # in training before the split changed
    kept, n_excluded = exclude_training_clips(
        corpus, training_intervals([*corpus.clips("lofi", "train"), *moved])
    )
    assert n_excluded == 1
    assert kept.clips("lofi", "test") == test[1:]
    assert kept.clips("lofi", "train") == corpus.clips("lofi", "train")
    assert exclude_training_clips(corpus, {})[1] == 0
