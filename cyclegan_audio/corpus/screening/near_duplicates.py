"""Find near-duplicates by audio fingerprints: the same recording twice, in one file or in several.

A loop in both training and test is a leak, so only one of two clips that share a passage is kept.
Fingerprints are those of Haitsma and Kalker (A highly robust audio fingerprinting system, 2002): a bit tells
whether the difference of two neighbouring bands grew since the previous frame; gain, equaliser, codec and
sample rate change few bits. An index of words finds candidates: the cost grows linearly with the number of
clips.
"""

import base64
import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
MAX_CANDIDATES = 8
MAX_POSITIONS = 16  # per word in the index


@dataclasses.dataclass(frozen=True)
class FingerprintedClip:
    """A clip with its fingerprint; `content` is the hash of its file, `protected` clips are never dropped."""

    clip_id: str
    content: str
    start_s: float
    duration_s: float
    fingerprint: str
    protected: bool = False


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """Finds clips that repeat other clips.

    Attributes:
        bit_errors: largest share of differing bits between fingerprints of one recording.
        same_file_overlap: share of a clip that must repeat in the same file; a loop that returns at another
            position of a clip is kept.
        other_file_overlap: share of a clip that must repeat in another file.
    """

    reason = "near-duplicate"
    enabled: bool = True
    bit_errors: float = 0.2
    same_file_overlap: float = 0.9
    other_file_overlap: float = 0.5

    def find(self, clips: Iterable[FingerprintedClip]) -> set[str]:
        """Return the clip_ids to drop: all but the first of clips that repeat each other.

        Protected clips come first, then clips by content hash, so that files added later change little.
        """
        index: dict[int, list[tuple[int, int]]] = defaultdict(list)
        kept: list[tuple[FingerprintedClip, np.ndarray]] = []
        dropped = set()
        for clip in sorted(clips, key=lambda c: (not c.protected, c.content, c.start_s, c.clip_id)):
            words = decode_fingerprint(clip.fingerprint)
            if not clip.protected and self._repeats(clip, words, index, kept):
                dropped.add(clip.clip_id)
                continue
            for position, word in enumerate(words.tolist()):
                positions = index[word]
                if len(positions) < MAX_POSITIONS:
                    positions.append((len(kept), position))
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
        for position, word in enumerate(words.tolist()):
            votes.update((number, there - position) for number, there in index.get(word, ()))
        for (number, offset), count in votes.most_common(MAX_CANDIDATES):
            if count < MIN_VOTES:
                break
            other, other_words = kept[number]
            if any(self._is_same(clip, words, other, other_words, offset + near) for near in (-1, 0, 1)):
                return True
        return False

    def _is_same(
        self,
        clip: FingerprintedClip,
        words: np.ndarray,
        other: FingerprintedClip,
        other_words: np.ndarray,
        offset: int,
    ) -> bool:
        errors, overlap = compare_fingerprints(other_words, words, offset)
        in_one_file = clip.content == other.content
        if in_one_file and abs(clip.start_s - other.start_s) < max(clip.duration_s, other.duration_s) - 1e-6:
            return False  # overlapping cuts of the same passage
        min_overlap = self.same_file_overlap if in_one_file else self.other_file_overlap
        return overlap >= min_overlap and errors <= self.bit_errors
