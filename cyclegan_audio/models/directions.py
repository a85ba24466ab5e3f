"""The two directions of translation between genres A and B."""

from collections.abc import Sequence
from typing import TypeVar

DIRECTIONS = ("ab", "ba")  # ab: from genre A to genre B
T = TypeVar("T")


def ordered(both: Sequence[T], direction: str) -> tuple[T, T]:
    """Source and target of a direction, from what belongs to A and to B."""
    a, b = both
    return (a, b) if direction == DIRECTIONS[0] else (b, a)
