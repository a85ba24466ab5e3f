"""Find near-duplicates by audio fingerprints: the same recording twice, in one file or in several.

A loop in both training and test is a leak, so clips that share a passage are kept in one split only.
Fingerprints are those of Haitsma and Kalker (A highly robust audio fingerprinting system, 2002): a bit tells
whether the difference of two neighbouring bands grew since the previous frame; gain, equaliser, codec and
sample rate change few bits. An index of words finds candidates, by equal words and, as in the paper, by those
with one other bit: the cost grows linearly with the number of clips.
"""

import base64
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.utils.errors import check_number

WORD_BITS = 16
FRAME_S = 0.046  # approximate duration of a word
SMOOTHING_FRAMES = 8  # 0.37 s as in the paper, so that half a frame of shift changes few bits
LOWEST_BAND, HIGHEST_BAND = 0.04, 0.85  # as shares of the mel's bands


def fingerprint(mel_db: Tensor, duration_s: float) -> np.ndarray:
    """Fingerprint a mel in dB (M, F) of `duration_s`: 16-bit words (N,) uint16, one per 46 ms but nine."""
    n_mels, n_frames = mel_db.shape
    pool = max(1, round(FRAME_S * n_frames / duration_s))
    edges = torch.linspace(LOWEST_BAND * n_mels, HIGHEST_BAND * n_mels, WORD_BITS + 2).round().long().tolist()
    power = torch.pow(10.0, mel_db[edges[0] : edges[-1]] / 10)
    sizes = [b - a for a, b in itertools.pairwise(edges)]
    bands = torch.stack([band.mean(0) for band in power.split(sizes)])
    frames = F.avg_pool1d(bands[None], pool)
    if frames.shape[-1] <= SMOOTHING_FRAMES:
        return np.zeros(0, np.uint16)
    window = torch.hann_window(SMOOTHING_FRAMES + 2)[1:-1].expand(WORD_BITS + 1, 1, -1)
    level_db = 10 * (F.conv1d(frames, window, groups=WORD_BITS + 1)[0] + 1e-12).log10()
    bits = level_db.diff(dim=0).diff(dim=1) < 0
    weights = 2 ** torch.arange(WORD_BITS)
    return (bits.long() * weights[:, None]).sum(0).numpy().astype(np.uint16)


def encode_fingerprint(words: np.ndarray) -> str:
    """Encode words as text for JSON."""
    return base64.b64encode(words.astype("<u2").tobytes()).decode("ascii")


def decode_fingerprint(text: str) -> np.ndarray:
    """Decode the words of `encode_fingerprint`."""
    return np.frombuffer(base64.b64decode(text), "<u2")


def compare_fingerprints(one: np.ndarray, other: np.ndarray, offset: int) -> tuple[float, float]:
    """Return the share of differing bits and of shared time, with `other` shifted by `offset` words.

    Unrelated music differs in half of the bits.
    """
    a, b = one[max(offset, 0) :], other[max(-offset, 0) :]
    n = min(len(a), len(b))
    frames = max(len(one), len(other)) + SMOOTHING_FRAMES  # of a clip, less one
    if n <= 0:
        return math.nan, 0.0
    differing = int(np.bitwise_count(a[:n] ^ b[:n]).sum())
    return differing / (n * WORD_BITS), 1 - abs(offset) / frames


MIN_VOTES = 3
MIN_WORDS = 16  # fewer are equal by chance
MAX_CANDIDATES = 8
MAX_POSITIONS = 16  # per word in the index
SIMILAR = np.array([0, *(1 << bit for bit in range(WORD_BITS))], np.uint16)  # differences of similar words


class FingerprintIndex:
    """The positions of words in numbered fingerprints, which are found by similar words."""

    _STRIDE = 1 << 32  # a number and a position, or an offset, in one integer

    def __init__(self) -> None:
        self._places = np.zeros((1 << WORD_BITS, MAX_POSITIONS), np.int64)
        self._n_places = np.zeros(1 << WORD_BITS, np.int64)

    def add(self, number: int, words: np.ndarray) -> None:
        """Add a fingerprint."""
        for position, word in enumerate(words.tolist()):
            if (n := self._n_places[word]) < MAX_POSITIONS:
                self._places[word, n] = number * self._STRIDE + position
                self._n_places[word] += 1

    def candidates(self, words: np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield number and offset of fingerprints with `MIN_VOTES` similar words, those with most first."""
        similar = words[:, None] ^ SIMILAR
        is_used = np.arange(MAX_POSITIONS) < self._n_places[similar][..., None]
        moved = self._places[similar] - np.arange(len(words))[:, None, None]
        votes, counts = np.unique(moved[is_used] + self._STRIDE // 2, return_counts=True)
        votes, counts = votes[counts >= MIN_VOTES], counts[counts >= MIN_VOTES]
        for vote in votes[np.argsort(-counts, kind="stable")].tolist():
            number, offset = divmod(vote, self._STRIDE)
            yield number, offset - self._STRIDE // 2


PRECEDENCE = ("paired", "test", "val", "train")  # of alike clips in two splits the earlier one is kept


@dataclasses.dataclass(frozen=True)
class FingerprintedClip:
    """A clip with its fingerprint.

    Attributes:
        array: identifies its file; copies of a file differ in it.
        content: hash of its file.
        protected: whether it is kept in any case.
    """

    clip_id: str
    genre: str
    split: str
    array: str
    content: str
    start_s: float
    duration_s: float
    fingerprint: str
    protected: bool = False


class _Original(NamedTuple):
    """A clip that repeats no other, and how many clips of each genre are kept of it and its repeats."""

    clip: FingerprintedClip
    words: np.ndarray
    n_kept: Counter[str]


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """Finds clips that repeat other clips.

    Attributes:
        bit_errors: largest share of differing bits between fingerprints of one recording.
        same_file_overlap: share of a clip that must repeat in the same file and split; a loop that returns at
            another position of a clip is kept.
        other_file_overlap: share of a clip that must repeat in another file or split.
        max_alike: alike clips that are kept in the training split of a genre.
    """

    reason = "near-duplicate"
    enabled: bool = True
    bit_errors: float = 0.2
    same_file_overlap: float = 0.9
    other_file_overlap: float = 0.5
    max_alike: int = 2

    def __post_init__(self) -> None:
        check_number("screening.near_duplicates.max_alike", self.max_alike, low=1, integer=True)

    def find(self, clips: Iterable[FingerprintedClip]) -> set[str]:
        """Return the clip_ids to drop.

        Kept are one of all alike clips in validation and test, none in training that is alike to them, and
        `max_alike` others in the training split of each genre. The paired set comes first, then test,
        validation and training; then clips by content hash, so that files added later change little.
        """
        index = FingerprintIndex()
        originals: list[_Original] = []
        dropped = set()
        for clip in sorted(clips, key=_precedence):
            words = decode_fingerprint(clip.fingerprint)
            repeated = [] if clip.protected else self._find_repeated(clip, words, index, originals)
            if any(self._is_full(original, clip) for original in repeated):
                dropped.add(clip.clip_id)
                continue
            for original in repeated:
                original.n_kept[clip.genre] += 1
            if not repeated:
                index.add(len(originals), words)
                originals.append(_Original(clip, words, Counter([clip.genre])))
        return dropped

    def _is_full(self, original: _Original, clip: FingerprintedClip) -> bool:
        """Return whether a repeat of an original is one too many."""
        return original.clip.split != "train" or original.n_kept[clip.genre] >= self.max_alike

    def _find_repeated(
        self,
        clip: FingerprintedClip,
        words: np.ndarray,
        index: FingerprintIndex,
        originals: list[_Original],
    ) -> list[_Original]:
        """Return the originals that a clip repeats, until `MAX_CANDIDATES` others have been compared."""
        repeated: dict[int, _Original] = {}
        n_unlike = 0
        for number, offset in index.candidates(words):
            other, other_words, _ = originals[number]
            if number in repeated or _are_overlapping_cuts(clip, other):
                continue
            is_near = clip.array == other.array and clip.split == other.split
            min_overlap = self.same_file_overlap if is_near else self.other_file_overlap
            min_overlap = max(min_overlap, _reliable_overlap(min(len(words), len(other_words))))
            near = (compare_fingerprints(other_words, words, offset + step) for step in (-1, 0, 1))
            errors = [errors for errors, overlap in near if overlap >= min_overlap]
            if errors and min(errors) <= self.bit_errors:
                repeated[number] = originals[number]
            elif errors and (n_unlike := n_unlike + 1) == MAX_CANDIDATES:
                break
        return list(repeated.values())


def _reliable_overlap(n_words: int) -> float:
    """Return the overlap at which `MIN_WORDS` words, or all of a shorter fingerprint, are compared."""
    return 1 - max(n_words - MIN_WORDS, 0) / (n_words + SMOOTHING_FRAMES)


def _precedence(clip: FingerprintedClip) -> tuple[bool, int, str, float, str]:
    return not clip.protected, PRECEDENCE.index(clip.split), clip.content, clip.start_s, clip.clip_id


def _are_overlapping_cuts(one: FingerprintedClip, other: FingerprintedClip) -> bool:
    """Return whether both clips are cut from one passage of a file."""
    distance_s = abs(one.start_s - other.start_s)
    return one.array == other.array and distance_s < max(one.duration_s, other.duration_s) - 1e-6
