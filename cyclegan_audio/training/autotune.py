"""Choose precision and CPU threads by the hardware and a short timing of the run's generator."""

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from cyclegan_audio.models.acceleration import FP16_MIXED
from cyclegan_audio.utils.devices import choose_device, has_fast_bf16
from cyclegan_audio.utils.errors import UserError, check_number

PRECISIONS = ("auto", "32-true", "bf16-mixed", FP16_MIXED)
MAX_THREADS = 1024  # with far more the OpenMP library aborts the process
PROBE_BANDS, PROBE_FRAMES = 128, 64
PROBE_ROUNDS = 3
MAX_TIME_RATIO = 0.9  # several threads are used if they take at most this share of one thread's time

GeneratorFactory = Callable[
    [], Any
]  # builds a network with `training_input`, as `protocols.Generator` has it


def choose_precision_and_threads(cfg: DictConfig, generator: GeneratorFactory) -> None:
    """Replace `auto` in `threads` and `precision`; the configuration keeps the choice, for resuming."""
    accelerator = str(cfg.trainer.accelerator)
    if accelerator == "gpu":  # Lightning's name for CUDA or MPS
        accelerator = "mps" if torch.backends.mps.is_available() else "cuda"
    device = choose_device(accelerator)
    if device.type == "cpu":
        cfg.threads = choose_threads(cfg.threads, generator)
        torch.set_num_threads(cfg.threads)
    cfg.precision = choose_precision(cfg.precision, device)


def choose_precision(requested: str, device: torch.device) -> str:
    """Return Lightning's name of the precision; `auto` is bf16 if the device is fast at it.

    Raises:
        UserError: `requested` is not one of `PRECISIONS`.
    """
    if requested not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}, got {requested}")
    if requested != "auto":
        return requested
    return "bf16-mixed" if has_fast_bf16(device) else "32-true"


def choose_threads(requested: str | int, generator: GeneratorFactory) -> int:
    """Return the number of CPU threads.

    `auto` is one thread for each core if a training pass is faster by it, otherwise one: on a machine with
    other work, threads that wait for each other took six times as long as one. OMP_NUM_THREADS has priority.

    Raises:
        UserError: `requested` is neither `auto` nor an integer from 1 to `MAX_THREADS`.
    """
    if requested != "auto":
        if not str(requested).isdigit() or int(requested) < 1:
            raise UserError(f"threads must be an integer >= 1 or auto, got {requested}")
        check_number("threads", int(requested), 1, MAX_THREADS, integer=True)
        return int(requested)
    n_threads = torch.get_num_threads()
    if n_threads == 1 or "OMP_NUM_THREADS" in os.environ:
        return n_threads
    return n_threads if thread_ratio(n_threads, generator) < MAX_TIME_RATIO else 1


def thread_ratio(n_threads: int, generator: GeneratorFactory) -> float:
    """Measure the median time of a training pass with `n_threads` as a share of that with one thread."""
    network, mel = _network_and_mel(generator)
    before = torch.get_num_threads()

    def time_pass(threads: int) -> float:
        torch.set_num_threads(threads)
        return _pass_s(network, mel)

    try:
        return _ratio(lambda: time_pass(n_threads), lambda: time_pass(1))
    finally:
        torch.set_num_threads(before)


def _network_and_mel(generator: GeneratorFactory) -> tuple[nn.Module, torch.Tensor]:
    """Build a generator and its input on the CPU, without changing the global random state."""
    with torch.random.fork_rng(devices=[]):
        network = generator()
        mel = torch.rand(1, 1, getattr(network, "n_mels", PROBE_BANDS), PROBE_FRAMES) * 2 - 1
        return network, network.training_input(mel)[..., :PROBE_FRAMES]


def _pass_s(network: nn.Module, mel: torch.Tensor) -> float:
    """Time one forward and, if it is trained, backward pass, in seconds."""
    start = time.perf_counter()
    loss = network(mel).square().mean()
    if loss.requires_grad:
        loss.backward()
    return time.perf_counter() - start


def _ratio(one: Callable[[], float], other: Callable[[], float]) -> float:
    """Return the ratio of the medians of interleaved rounds, after one warm-up of each."""
    one(), other()
    rounds = [(one(), other()) for _ in range(PROBE_ROUNDS)]
    return median(first for first, _ in rounds) / median(second for _, second in rounds)
