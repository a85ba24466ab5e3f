"""Which music a run was trained on, so that clips it has seen are never taken for held-out ones."""

from collections.abc import Iterable, Mapping

from cyclegan_audio.corpus.corpus import Clip, Corpus

Intervals = dict[str, list[list[float]]]


def training_intervals(clips: Iterable[Clip]) -> Intervals:
    """Times [start_s, end_s] that the clips cover, by content of their file, joined where they meet."""
    spans: Intervals = {}
    for clip in sorted(clips, key=lambda clip: clip.content):
        spans.setdefault(clip.content, []).append([clip.start_s, clip.start_s + clip.duration_s])
    return {content: _merged(times) for content, times in spans.items()}


def merge_intervals(one: Intervals, other: Intervals) -> Intervals:
    """What either covers, joined where they meet."""
    return {content: _merged(one.get(content, []) + other.get(content, [])) for content in {**one, **other}}


def _merged(times: list[list[float]]) -> list[list[float]]:
    """Times [start_s, end_s] in order, those that meet or overlap as one."""
    merged: list[list[float]] = []
    for start_s, end_s in sorted(times):
        if merged and start_s <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end_s)
        else:
            merged.append([start_s, end_s])
    return merged


def overlaps_training(clip: Clip, spans: Mapping[str, Iterable[Iterable[float]]]) -> bool:
    """Whether any part of the clip lies in `spans`."""
    end_s = clip.start_s + clip.duration_s
    return any(start < end_s and clip.start_s < end for start, end in spans.get(clip.content, ()))


def exclude_training_clips(
    corpus: Corpus, spans: Mapping[str, Iterable[Iterable[float]]]
) -> tuple[Corpus, int]:
    """The corpus without clips outside of training that lie in `spans`, and how many these are.

    Files that were added, removed or renamed after a run may have moved clips that it was trained on to
    another split.
    """
    kept = corpus.only(lambda clip: clip.split == "train" or not overlaps_training(clip, spans))
    return kept, corpus.n_clips - kept.n_clips
