"""Training, validation and test by track, by content hashes, so that files added later displace few."""

import dataclasses
import hashlib
from collections.abc import Iterable

from cyclegan_audio.utils.errors import UserError, check_number

SPLIT_BY = ("auto", "track", "block", "random")


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How clips are drawn and tracks are shared out.

    Attributes:
        by: what a split keeps together: `track` (a file), `block` (of time in a file), `random` (nothing:
            clips are drawn one by one, as the paper did), `auto` (as the source needs it; blocks also for a
            genre with fewer than three tracks).
        val: share of each genre's tracks for validation (at least one track).
        test: share for test (at least one track).
        test_clips: this many test clips a genre, from as few tracks as hold them, instead of the share.
        max_clips: at most this many clips a genre in all, drawn at random; None keeps all.
        block_s: length of a block at most; at least ten blocks where the genre's clips allow.
        guard_s: next to a held-out block, clips that begin or end less than this from it are dropped (at most
            a tenth of a block).
        seed: other seeds give other splits and draws.
    """

    by: str = "auto"
    val: float = 0.1
    test: float = 0.1
    test_clips: int | None = None
    max_clips: int | None = None
    block_s: float = 300.0
    guard_s: float = 12.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in SPLIT_BY:
            raise UserError(f"split.by={self.by} is unknown; choose one of {', '.join(SPLIT_BY)}")
        for name in ("val", "test"):
            check_number(f"split.{name}", getattr(self, name), low=0, high=1)
        for name in ("block_s", "guard_s"):
            check_number(f"split.{name}", getattr(self, name), low=0)
        for name in ("test_clips", "max_clips"):
            if (value := getattr(self, name)) is not None:
                check_number(f"split.{name}", value, low=1, integer=True)
        check_number("seed", self.seed, integer=True)


@dataclasses.dataclass(frozen=True)
class SplitGroup:
    """What a split keeps together; tracks of equal `content` (a hash) go to the same split."""

    track: str
    genre: str
    content: str
    paired: bool = False
    n_clips: int = 1


def assign_splits(tracks: Iterable[SplitGroup], settings: SplitSettings) -> dict[str, str]:
    """The split of each track: train, val, test, or paired.

    Within a genre the contents with the lowest hashes are for test, those with the highest for validation: a
    track added later moves few others. With too few tracks training comes first, then test.
    """
    tracks = list(tracks)
    split_of_content = {track.content: "paired" for track in tracks if track.paired}
    for genre in sorted({track.genre for track in tracks}):
        sizes = {
            track.content: track.n_clips for track in tracks if track.genre == genre and not track.paired
        }
        _assign_genre(sizes, split_of_content, settings)
    return {track.track: split_of_content[track.content] for track in tracks}


def _assign_genre(sizes: dict[str, int], split_of_content: dict[str, str], settings: SplitSettings) -> None:
    """Add the contents of one genre (with their clips' number) to `split_of_content`; those there stay."""
    n_test = _quota(settings.test, len(sizes), 2)
    n_val = _quota(settings.val, len(sizes), 3)
    free = sorted(set(sizes) - set(split_of_content), key=lambda content: hash_rank(content, settings.seed))
    there = [split_of_content[content] for content in sizes if content in split_of_content]
    n_test = max(n_test - there.count("test"), 0)
    n_val = max(n_val - there.count("val"), 0)
    if settings.test_clips is not None:
        n_test = _tracks_that_hold(settings.test_clips, [sizes[content] for content in free], len(sizes))
    for place, content in enumerate(free):
        is_val = place >= len(free) - n_val
        split_of_content[content] = "test" if place < n_test else "val" if is_val else "train"


def _quota(share: float, n_contents: int, needed: int) -> int:
    """How many of `n_contents` a split gets: none with fewer than `needed`, else at least one."""
    if n_contents < needed or share <= 0:
        return 0
    return min(max(1, round(share * n_contents)), max(1, (n_contents - 1) // 2))


def _tracks_that_hold(n_clips: int, sizes: list[int], n_contents: int) -> int:
    """How many of the first tracks hold `n_clips`, leaving most tracks to training."""
    most = (n_contents - 1) // 2 if n_contents > 2 else n_contents - 1
    held = 0
    for place, size in enumerate(sizes[:most]):
        held += size
        if held >= n_clips:
            return place + 1
    return max(min(most, len(sizes)), 0)


def hash_rank(content: str, seed: int) -> str:
    """A hash that stands for a random number: the lowest are drawn first."""
    return hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()
