"""Which arithmetic to train in: bf16 only where a short probe on this machine shows that it pays."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from cyclegan_audio.errors import UserError

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
PROBE_FRAMES = 64
PROBE_ROUNDS = 3
WORTH_IT = 0.9


def choose_precision(wanted: str, device: torch.device, generator: Callable[[], nn.Module]) -> str:
    """Lightning's name of the precision to train in.

    `auto` times a forward and backward pass of the run's own generator in fp32 and under bf16 autocast (about
    two seconds for the small model) and takes bf16 where its median is under 0.9 of fp32. MPS stays at fp32.

    Raises:
        UserError: `wanted` is not one of `PRECISIONS`.
    """
    if wanted not in PRECISIONS:
        raise UserError(f"precision={wanted} is not known; choose one of {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return wanted
    if device.type == "mps" or (device.type == "cuda" and not torch.cuda.is_bf16_supported(False)):
        return "32-true"
    ratio = bf16_ratio(device, generator)
    return "bf16-mixed" if ratio < WORTH_IT else "32-true"


def bf16_ratio(device: torch.device, generator: Callable[[], nn.Module]) -> float:
    """Median time of a training pass under bf16 autocast over that in fp32; keeps the random state."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = generator().to(device)
        mel = torch.zeros(1, 1, 128, PROBE_FRAMES, device=device).uniform_(-1, 1)

    def seconds(bf16: bool) -> float:
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = network(mel).float().square().mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds(False), seconds(True)  # warm up
    rounds = [(seconds(True), seconds(False)) for _ in range(PROBE_ROUNDS)]
    return median(bf16 for bf16, _ in rounds) / median(full for _, full in rounds)
