"""Near-duplicates: the same recording twice, whole or shifted, in one file or in several.

A loop in training and test is a leak, so of two clips that share a passage only one stays, whatever the
splits become. Candidates come from an index of words (Haitsma and Kalker 2002): the cost grows with the
number of clips and not with its square.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from cyclegan_audio.corpus.screening.fingerprint import bit_errors, from_text

MIN_VOTES = 3
MAX_CANDIDATES = 8
MAX_PLACES = 16  # of one word in the index


@dataclasses.dataclass(frozen=True)
class FingerprintedClip:
    """A clip with its fingerprint; `content` names its file's bytes, `protected` clips are never dropped."""

    clip_id: str
    content: str
    start_s: float
    duration_s: float
    fingerprint: str
    protected: bool = False


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """Clips that repeat others.

    Attributes:
        bit_errors: fingerprints that differ in at most this share of their bits are of one recording.
        same_file_overlap: share of a clip that must repeat within a file: a loop that comes back in another
            place of the clip is kept.
        other_file_overlap: share that must repeat in another file.
    """

    reason = "near-duplicate"
    enabled: bool = True
    bit_errors: float = 0.2
    same_file_overlap: float = 0.9
    other_file_overlap: float = 0.5

    def find(self, clips: Iterable[FingerprintedClip]) -> set[str]:
        """Identities of the clips to drop: all but the first of those that repeat each other.

        Protected clips come first, then the order of content hashes, so that files added later displace few.
        """
        index: dict[int, list[tuple[int, int]]] = defaultdict(list)
        kept: list[tuple[FingerprintedClip, np.ndarray]] = []
        dropped = set()
        for clip in sorted(clips, key=lambda c: (not c.protected, c.content, c.start_s, c.clip_id)):
            words = from_text(clip.fingerprint)
            if not clip.protected and self._repeats(clip, words, index, kept):
                dropped.add(clip.clip_id)
                continue
            for place, word in enumerate(words.tolist()):
                places = index[word]
                if len(places) < MAX_PLACES:
                    places.append((len(kept), place))
            kept.append((clip, words))
        return dropped

    def _repeats(
        self,
        clip: FingerprintedClip,
        words: np.ndarray,
        index: dict[int, list[tuple[int, int]]],
        kept: list[tuple[FingerprintedClip, np.ndarray]],
    ) -> bool:
        votes: Counter[tuple[int, int]] = Counter()
        for place, word in enumerate(words.tolist()):
            votes.update((number, there - place) for number, there in index.get(word, ()))
        for (number, offset), count in votes.most_common(MAX_CANDIDATES):
            if count < MIN_VOTES:
                break
            other, its_words = kept[number]
            if any(self._is_same(clip, words, other, its_words, offset + near) for near in (-1, 0, 1)):
                return True
        return False

    def _is_same(
        self,
        clip: FingerprintedClip,
        words: np.ndarray,
        other: FingerprintedClip,
        its_words: np.ndarray,
        offset: int,
    ) -> bool:
        errors, overlap = bit_errors(its_words, words, offset)
        in_one_file = clip.content == other.content
        if in_one_file and abs(clip.start_s - other.start_s) < max(clip.duration_s, other.duration_s) - 1e-6:
            return False  # they share time by the way they are cut
        enough = self.same_file_overlap if in_one_file else self.other_file_overlap
        return overlap >= enough and errors <= self.bit_errors
