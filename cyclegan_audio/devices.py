"""Where to compute, and how to share work among cores."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

from cyclegan_audio.errors import UserError

T = TypeVar("T")


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        UserError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there.get(name.split(":")[0], False):
        usable = ", ".join(kind for kind, usable in there.items() if usable)
        raise UserError(f"there is no device {name!r} here; use auto or one of {usable}")
    return torch.device(name)


def in_threads(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Results, in order, of calls that do not wait for each other: as many at once as torch has threads.

    Each has one thread to itself, so that the number of cores changes no number, and inherits inference mode.
    """
    before, mode = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def run(call: Callable[[], T]) -> T:
        with torch.inference_mode(mode):
            return call()

    try:
        with ThreadPoolExecutor(before, initializer=partial(torch.set_num_threads, 1)) as pool:
            return list(pool.map(run, calls))
    finally:
        torch.set_num_threads(before)  # torch takes what one thread said for all new ones
