"""Training, validation and test by track, by content hashes, so that files added later displace few."""

import dataclasses
import hashlib
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How tracks are shared out.

    Attributes:
        val: share of each genre's tracks for validation (at least one track).
        test: share for test (at least one track).
        block_s: a genre with fewer than three tracks is cut into blocks of at most this length in seconds, at
            least ten of them where its clips allow, and blocks then stand for tracks.
        seed: other seeds give other splits.
    """

    val: float = 0.1
    test: float = 0.1
    block_s: float = 60.0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Track:
    """What a split keeps together; tracks of equal `content` (a hash) go to the same split."""

    track: str
    genre: str
    content: str
    paired: bool = False


def assign_splits(tracks: Iterable[Track], settings: SplitSettings) -> dict[str, str]:
    """The split of each track: train, val, test, or paired.

    Within a genre the contents with the lowest hashes are for test, those with the highest for validation: a
    track added later moves few others. With too few tracks training comes first, then test.
    """
    tracks = list(tracks)
    split_of_content = {track.content: "paired" for track in tracks if track.paired}
    for genre in sorted({track.genre for track in tracks}):
        contents = {track.content for track in tracks if track.genre == genre and not track.paired}
        _assign_genre(contents, split_of_content, settings)
    return {track.track: split_of_content[track.content] for track in tracks}


def _assign_genre(contents: set[str], split_of_content: dict[str, str], settings: SplitSettings) -> None:
    """Add the contents of one genre to `split_of_content`; those there already keep their split."""
    counts = {
        split: _quota(share, len(contents), needed)
        for split, share, needed in (("test", settings.test, 2), ("val", settings.val, 3))
    }
    for split in counts:
        counts[split] -= sum(split_of_content.get(content) == split for content in contents)
    free = sorted(contents - set(split_of_content), key=lambda content: _draw(content, settings.seed))
    n_test, n_val = max(counts["test"], 0), max(counts["val"], 0)
    for place, content in enumerate(free):
        is_val = place >= len(free) - n_val
        split_of_content[content] = "test" if place < n_test else "val" if is_val else "train"


def _quota(share: float, n_contents: int, needed: int) -> int:
    """How many of `n_contents` a split gets: none with fewer than `needed`, else at least one."""
    if n_contents < needed or share <= 0:
        return 0
    return min(max(1, round(share * n_contents)), max(1, (n_contents - 1) // 2))


def _draw(content: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()
