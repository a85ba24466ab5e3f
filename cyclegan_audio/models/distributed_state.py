"""What each of several training processes has for itself: its pools and draws."""

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist
from torch import nn


def gathered(modules: Mapping[str, nn.Module]) -> list[dict[str, Any]]:
    """The extra states of `modules` on each process, in order of rank; empty where there is only one."""
    if _n_ranks() == 1:
        return []
    own = {name: module.get_extra_state() for name, module in modules.items()}
    states: list[Any] = [None] * _n_ranks()
    dist.all_gather_object(states, own)
    return states


def take_own(modules: Mapping[str, nn.Module], states: list[dict[str, Any]]) -> None:
    """Go on with this process's part of what `gathered` gave; with another number of them nothing changes."""
    if _n_ranks() > 1 and len(states) == _n_ranks():
        for name, module in modules.items():
            module.set_extra_state(states[dist.get_rank()][name])


def _n_ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
