"""How to compute on this machine: what it can do, and what a short probe of the run's own generator shows."""

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

from cyclegan_audio.models.acceleration import SCALED
from cyclegan_audio.utils.devices import has_fast_bf16
from cyclegan_audio.utils.errors import UserError

PRECISIONS = ("auto", "32-true", "bf16-mixed", SCALED)
PROBE_FRAMES = 64
PROBE_ROUNDS = 3
WORTH_IT = 0.9

Build = Callable[[], Any]  # to a network with `training_input`, as `models.protocols.Generator` has it


def choose_precision(wanted: str, device: torch.device) -> str:
    """Lightning's name of the precision to train in; `auto` takes bf16 where the device is fast at it.

    Raises:
        UserError: `wanted` is not one of `PRECISIONS`.
    """
    if wanted not in PRECISIONS:
        raise UserError(f"precision={wanted} is not known; choose one of {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return wanted
    return "bf16-mixed" if has_fast_bf16(device) else "32-true"


def choose_threads(wanted: str | int, generator: Build) -> int:
    """Threads to compute with on a CPU.

    `auto` takes a thread a core where a pass gains by it, else one: on a machine with other work, threads
    that wait for each other were six times slower than one. OMP_NUM_THREADS decides where it is set.

    Raises:
        UserError: `wanted` is not `auto` or a number above 0.
    """
    if wanted != "auto":
        if not str(wanted).isdigit() or int(wanted) < 1:
            raise UserError(f"threads must be auto or an integer >= 1, got {wanted!r}")
        return int(wanted)
    many = torch.get_num_threads()
    if many == 1 or "OMP_NUM_THREADS" in os.environ:
        return many
    return many if thread_ratio(many, generator) < WORTH_IT else 1


def thread_ratio(many: int, generator: Build) -> float:
    """Median time of a training pass with `many` threads over that with one."""
    network, mel = _network_and_mel(generator)
    before = torch.get_num_threads()

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        return _pass_s(network, mel)

    try:
        return _ratio(lambda: seconds(many), lambda: seconds(1))
    finally:
        torch.set_num_threads(before)


def _network_and_mel(generator: Build) -> tuple[nn.Module, torch.Tensor]:
    """A generator and its input, on the CPU; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        network = generator()
        mel = torch.rand(1, 1, 128, PROBE_FRAMES) * 2 - 1
        return network, network.training_input(mel)[..., :PROBE_FRAMES]


def _pass_s(network: nn.Module, mel: torch.Tensor) -> float:
    """Seconds of one forward and backward pass."""
    start = time.perf_counter()
    network(mel).square().mean().backward()
    return time.perf_counter() - start


def _ratio(one: Callable[[], float], other: Callable[[], float]) -> float:
    """Ratio of the medians of interleaved rounds, after one of each to warm up."""
    one(), other()
    rounds = [(one(), other()) for _ in range(PROBE_ROUNDS)]
    return median(first for first, _ in rounds) / median(second for _, second in rounds)
