"""Work shared among cores: one piece a thread, and no threads within a piece.

The threads that torch starts within an operation wait for each other by spinning: on a busy machine two take
several times as long as one, and small operations gain little from them even on a free one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
MAX_WORKERS = 8  # each holds a window's activations


def n_workers(device: torch.device) -> int:
    """Pieces at once: as many as torch has threads, 8 at most; on a GPU one."""
    return min(torch.get_num_threads(), MAX_WORKERS) if device.type == "cpu" else 1


@contextmanager
def one_core() -> Iterator[None]:
    """No threads within operations."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def shared(function: Callable[[T], R], pieces: Sequence[T], workers: int) -> list[R]:
    """What a function makes of pieces that do not wait for each other, without gradients."""
    if min(workers, len(pieces)) < 2:
        return [function(piece) for piece in pieces]
    with one_core():  # outside too, as torch takes what one thread said for all new ones
        return list(_pool(workers).map(torch.no_grad()(function), pieces))


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1))
