"""Pools and random generators of a model: their seeds and states in each rank of a training."""

from typing import Any

import torch.distributed as dist
from torch import nn

from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.utils.rng import SeededRNG

INPUTS = "inputs."  # where a model has the random generators that `seed_rank` seeds, beside the pools


def rank_modules(model: nn.Module) -> dict[str, ImagePool | SeededRNG]:
    """Return the modules whose state differs between ranks, by name: pools and random generators."""
    named = model.named_modules()
    return {name: module for name, module in named if isinstance(module, ImagePool | SeededRNG)}


def seed_rank(model: nn.Module, seed: int, rank: int) -> None:
    """Seed pools and inputs, each by another number, and by others than those of other ranks.

    The random generators of phases keep the seeds of their options in the first rank.

    Args:
        model: the model, alike in every rank.
        seed: seed of the run.
        rank: the rank, from 0.
    """
    modules = rank_modules(model)
    rngs = [module.rng for module in modules.values() if isinstance(module, ImagePool)]
    rngs += [
        module.generator
        for name, module in modules.items()
        if isinstance(module, SeededRNG) and (name.startswith(INPUTS) or rank > 0)
    ]
    for index, rng in enumerate(rngs):
        rng.manual_seed(seed + len(rngs) * rank + index)


def phases_draw(model: nn.Module) -> bool:
    """Return whether the phases of a step draw random numbers, which a CUDA graph would repeat."""
    modules = rank_modules(model).items()
    return any(isinstance(module, SeededRNG) and not name.startswith(INPUTS) for name, module in modules)


def gather_rank_states(model: nn.Module) -> list[dict[str, Any]]:
    """Return the states of `rank_modules` of every rank, in order; empty if there is only one rank."""
    if _world_size() == 1:
        return []
    state = {name: module.get_extra_state() for name, module in rank_modules(model).items()}
    states: list[Any] = [None] * _world_size()
    dist.all_gather_object(states, state)
    return states


def restore_rank_state(model: nn.Module, states: list[dict[str, Any]], seed: int) -> None:
    """Restore this rank's part of `gather_rank_states`.

    If the number of ranks has changed, all have the state of rank 0 from the checkpoint; the others then seed
    their random generators again, so that no two ranks draw the same numbers.

    Args:
        model: the model.
        states: what `gather_rank_states` returned; empty in a new run.
        seed: seed of the run.
    """
    if _world_size() == 1:
        return
    if len(states) == _world_size():
        for name, module in rank_modules(model).items():
            module.set_extra_state(states[dist.get_rank()][name])
    elif dist.get_rank() > 0:
        seed_rank(model, seed, dist.get_rank())


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
