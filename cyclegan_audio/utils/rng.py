"""Seeded random numbers whose state is saved with a module, so that a resumed run continues exactly."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SeededRNG(nn.Module):
    """Random generator on the CPU, which gives the same numbers for every device.

    Args:
        seed: the initial seed.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw numbers in [0, 1) of this shape, on the CPU."""
        return torch.rand(*shape, generator=self.generator)

    def normal_like(self, x: Tensor) -> Tensor:
        """Draw standard normal numbers with the shape, dtype and device of `x`."""
        return torch.randn(x.shape, generator=self.generator).to(x)

    def sample_indices(self, n: int, size: int) -> Tensor:
        """Draw min(n, size) different integers below `size`, on the CPU."""
        return torch.randperm(size, generator=self.generator)[:n]

    def get_extra_state(self) -> Any:
        return self.generator.get_state()

    def set_extra_state(self, state: Any) -> None:
        self.generator.set_state(state.cpu())
