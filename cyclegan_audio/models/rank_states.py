"""States of modules that differ between the ranks of a training, for checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def seed_rank(rngs: Sequence[torch.Generator], seed: int, rank: int) -> None:
    """Seed the random generators of a rank, each by another number, and by others than those of other ranks.

    Args:
        rngs: generators, as many in every rank.
        seed: seed of the run.
        rank: the rank, from 0.
    """
    for index, rng in enumerate(rngs):
        rng.manual_seed(seed + len(rngs) * rank + index)


def gather_rank_states(modules: Mapping[str, nn.Module]) -> list[dict[str, Any]]:
    """Return the extra states of `modules` of every rank, in order; empty if there is only one rank."""
    if _world_size() == 1:
        return []
    state = {name: module.get_extra_state() for name, module in modules.items()}
    states: list[Any] = [None] * _world_size()
    dist.all_gather_object(states, state)
    return states


def restore_rank_state(
    modules: Mapping[str, nn.Module],
    states: list[dict[str, Any]],
    rngs: Sequence[torch.Generator],
    seed: int,
) -> None:
    """Restore this rank's part of `gather_rank_states`.

    If the number of ranks has changed, all have the state of rank 0 from the checkpoint; the others then seed
    their random generators again, so that ranks do not draw the same numbers.

    Args:
        modules: modules whose state differs between ranks.
        states: what `gather_rank_states` returned; empty in a new run.
        rngs: the generators of `seed_rank`.
        seed: seed of the run.
    """
    if _world_size() == 1:
        return
    rank = dist.get_rank()
    if len(states) == _world_size():
        for name, module in modules.items():
            module.set_extra_state(states[rank][name])
    elif rank > 0:
        seed_rank(rngs, seed, rank)


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
