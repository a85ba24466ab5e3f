"""Choose the device, check its bf16 support, and share work among CPU threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from cyclegan_audio.utils.errors import UserError

T = TypeVar("T")
MAX_WORKERS = 8  # each keeps the activations of a window in memory
BF16_FLAGS = ("avx512_bf16", "amx_bf16")
CPU_INFO = Path("/proc/cpuinfo")


def choose_device(name: str = "auto") -> torch.device:
    """Return a device by name; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises:
        UserError: the device is not available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in available.items() if usable))
    if not available.get(name.split(":")[0], False):
        usable = ", ".join(kind for kind, usable in available.items() if usable)
        raise UserError(f"device {name!r} is not available; use auto or one of {usable}")
    return torch.device(name)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's parameters or buffers; the CPU if it has neither."""
    return next(chain(network.parameters(), network.buffers()), torch.empty(0)).device


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether bf16 is native: on CUDA devices that support it, on CPUs with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not cpu_flags().isdisjoint(BF16_FLAGS)


def cpu_flags() -> set[str]:
    """Return the CPU's instruction sets, from torch or, for a torch without this list, from Linux."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, value in torch.cpu.get_capabilities().items() if value is True}
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # not Linux
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def n_workers(device: torch.device) -> int:
    """Return how many windows of a song run at once: on a CPU torch's threads, at most 8; on a GPU one."""
    return min(torch.get_num_threads(), MAX_WORKERS) if device.type == "cpu" else 1


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run torch operations on one thread within the block.

    Threads of one operation wait for each other by spinning: on a busy machine two threads take several times
    as long as one, and on an idle machine small operations gain little.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parallel_map(calls: Iterable[Callable[[], T]], workers: int | None = None) -> list[T]:
    """Run independent calls in parallel and return their results in order.

    Each call runs on one torch thread, so that results do not depend on the number of workers, and keeps the
    caller's gradient mode and CPU autocast. A call must not use `parallel_map` itself: it would deadlock.

    Args:
        calls: functions without arguments.
        workers: how many run at once; by default the number of torch's threads.
    """
    call_list, workers = list(calls), workers or torch.get_num_threads()
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run(call: Callable[[], T]) -> T:
        modes = torch.inference_mode(inference), torch.set_grad_enabled(grad)
        with modes[0], modes[1], torch.autocast("cpu", dtype, enabled=half):
            return call()

    with single_threaded():  # also here: new threads inherit the setting
        if min(workers, len(call_list)) < 2:
            return [call() for call in call_list]
        return list(_pool(workers).map(run, call_list))


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1))
