"""Which music a run was trained on, so that clips it has seen are never taken for held-out ones."""

from collections.abc import Iterable, Mapping

from cyclegan_audio.data.corpus import Clip, Corpus

Spans = dict[str, list[list[float]]]


def training_spans(clips: Iterable[Clip]) -> Spans:
    """Times [start_s, end_s] that the clips cover, by content of their file, joined where they meet."""
    spans: Spans = {}
    for clip in sorted(clips, key=lambda clip: (clip.content, clip.start_s)):
        own = spans.setdefault(clip.content, [])
        end_s = clip.start_s + clip.duration_s
        if own and clip.start_s <= own[-1][1]:
            own[-1][1] = max(own[-1][1], end_s)
        else:
            own.append([clip.start_s, end_s])
    return spans


def join_spans(one: Spans, other: Spans) -> Spans:
    """What either covers; spans of one content may overlap."""
    return {content: one.get(content, []) + other.get(content, []) for content in {**one, **other}}


def is_seen(clip: Clip, spans: Mapping[str, Iterable[Iterable[float]]]) -> bool:
    """Whether any part of the clip lies in `spans`."""
    end_s = clip.start_s + clip.duration_s
    return any(start < end_s and clip.start_s < end for start, end in spans.get(clip.content, ()))


def without_seen(corpus: Corpus, spans: Mapping[str, Iterable[Iterable[float]]]) -> tuple[Corpus, int]:
    """The corpus without clips outside of training that lie in `spans`, and how many these are.

    Files that were added, removed or renamed after a run may have moved clips that it was trained on to
    another split.
    """
    kept = corpus.only(lambda clip: clip.split == "train" or not is_seen(clip, spans))
    return kept, corpus.n_clips - kept.n_clips
