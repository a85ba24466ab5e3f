"""Exclude held-out clips that overlap the music that a run was trained on."""

from collections.abc import Iterable, Mapping

from cyclegan_audio.corpus.corpus import Clip, Corpus

Intervals = dict[str, list[list[float]]]


def training_intervals(clips: Iterable[Clip]) -> Intervals:
    """Return the merged intervals [start_s, end_s] of clips, by content hash of their file."""
    intervals: Intervals = {}
    for clip in sorted(clips, key=lambda clip: clip.content):
        intervals.setdefault(clip.content, []).append([clip.start_s, clip.start_s + clip.duration_s])
    return {content: _merged(times) for content, times in intervals.items()}


def merge_intervals(one: Intervals, other: Intervals) -> Intervals:
    """Merge the intervals of two runs, by content hash."""
    return {content: _merged(one.get(content, []) + other.get(content, [])) for content in {**one, **other}}


def _merged(times: list[list[float]]) -> list[list[float]]:
    """Sort intervals [start_s, end_s] and merge those that touch or overlap."""
    merged: list[list[float]] = []
    for start_s, end_s in sorted(times):
        if merged and start_s <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end_s)
        else:
            merged.append([start_s, end_s])
    return merged


def overlaps_training(clip: Clip, intervals: Mapping[str, Iterable[Iterable[float]]]) -> bool:
    """Return whether any part of the clip lies in `intervals`."""
    end_s = clip.start_s + clip.duration_s
    return any(start < end_s and clip.start_s < end for start, end in intervals.get(clip.content, ()))


def exclude_training_clips(
    corpus: Corpus, intervals: Mapping[str, Iterable[Iterable[float]]]
) -> tuple[Corpus, int]:
    """Return the corpus without held-out clips that overlap `intervals`, and their number.

    Files that were added, removed or renamed after a run can move clips that it was trained on to another
    split.
    """
    kept = corpus.select(lambda clip: clip.split == "train" or not overlaps_training(clip, intervals))
    return kept, corpus.n_clips - kept.n_clips
