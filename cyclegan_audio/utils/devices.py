"""Where to compute, and how to share work among cores."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import torch

from cyclegan_audio.utils.errors import UserError

T = TypeVar("T")
MAX_WORKERS = 8  # each holds a window's activations
BF16_FLAGS = ("avx512_bf16", "amx_bf16")
CPU_INFO = Path("/proc/cpuinfo")


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


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 by what the device can do, whatever else runs on it now.

    CUDA devices that have bf16 themselves, and CPUs with AVX-512 BF16 or AMX.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not cpu_flags().isdisjoint(BF16_FLAGS)


def cpu_flags() -> set[str]:
    """What the CPU can do, by torch's names; of a torch that does not say so, by Linux's, which are alike."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, value in torch.cpu.get_capabilities().items() if value is True}
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # no Linux
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def n_workers(device: torch.device) -> int:
    """Pieces of a song at once: as many as torch has threads, 8 at most; on a GPU one."""
    return min(torch.get_num_threads(), MAX_WORKERS) if device.type == "cpu" else 1


@contextmanager
def single_threaded() -> Iterator[None]:
    """No threads within operations.

    Those that torch starts there wait for each other by spinning: on a busy machine two take several times as
    long as one, and small operations gain little from them even on a free one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parallel_map(calls: Iterable[Callable[[], T]], workers: int | None = None) -> list[T]:
    """Results, in order, of calls that do not wait for each other: `workers`, or torch's threads, at once.

    Each has one core to itself, so that their number changes no result, and keeps the caller's modes of
    gradients and of autocast on the CPU. A call must not share out work to several workers itself: they would
    wait for each other.
    """
    made, workers = list(calls), workers or torch.get_num_threads()
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run(call: Callable[[], T]) -> T:
        modes = torch.inference_mode(inference), torch.set_grad_enabled(grad)
        with modes[0], modes[1], torch.autocast("cpu", dtype, enabled=half):
            return call()

    with single_threaded():  # here too, as torch takes what one thread said for all new ones
        if min(workers, len(made)) < 2:
            return [call() for call in made]
        return list(_pool(workers).map(run, made))


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1))
