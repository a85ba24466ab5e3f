"""Provide synthetic audio with known events, and settings of a genre classifier that trains in seconds."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.metrics.genre_classifier.network import GenreNetSettings

SECONDS = 4.0


def noise_bursts(times_s: Sequence[float], rate: int, level: float = 0.3, seed: int = 0) -> Tensor:
    """Generate bursts of white noise (T,) that decay in about 10 ms."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(SECONDS * rate)) / rate
    since = np.full(len(time_s), np.inf)
    for start in times_s:
        since = np.where(time_s >= start, time_s - start, since)
    return torch.from_numpy(level * rng.standard_normal(len(time_s)) * np.exp(-100 * since)).float()


def tones(notes: Sequence[tuple[float, float, float]], rate: int) -> Tensor:
    """Generate tones (T,) from (start_s, end_s, hz), each with three overtones."""
    time_s = np.arange(int(SECONDS * rate)) / rate
    out = np.zeros(len(time_s))
    for start, end, hz in notes:
        on = (time_s >= start) & (time_s < end)
        fade = np.minimum(1, np.minimum(time_s - start, end - time_s) / 0.01) * on
        out += 0.1 * fade * sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in (1, 2, 3, 4))
    return torch.from_numpy(out).float()


@pytest.fixture(scope="session")
def bursts() -> Callable[..., Tensor]:
    return noise_bursts


@pytest.fixture(scope="session")
def melody() -> Callable[..., Tensor]:
    return tones


def small_genre_net(views: int, batches: int) -> GenreNetSettings:
    """Return settings that train in seconds."""
    default = GenreNetSettings(widths=(4, 8, 8, 8), views=views)
    branches = {
        name: dataclasses.replace(getattr(default, name), min_batches=batches, max_batches=batches)
        for name in ("statistics", "convolutions")
    }
    return dataclasses.replace(default, **branches)


@pytest.fixture(scope="session")
def small_settings() -> Callable[[int, int], GenreNetSettings]:
    return small_genre_net
