"""The two domains, `a` and `b`, and the two directions of translation, `ab` and `ba`."""

from collections.abc import Sequence
from typing import TypeVar

DOMAINS = ("a", "b")
DIRECTIONS = ("ab", "ba")  # ab: from genre A to genre B
T = TypeVar("T")


def source_and_target(pair: Sequence[T], direction: str) -> tuple[T, T]:
    """Return the source's and the target's item of `pair`, which holds one of A and one of B."""
    a, b = pair
    return (a, b) if direction == DIRECTIONS[0] else (b, a)
