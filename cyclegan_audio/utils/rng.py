"""Random numbers whose state is part of a module's, so that a resumed run goes on exactly."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SeededRNG(nn.Module):
    """A random generator on the CPU: the same numbers on every device.

    Args:
        seed: of the first draw.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.source = torch.Generator().manual_seed(seed)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1), on the CPU."""
        return torch.rand(*shape, generator=self.source)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `x`."""
        return torch.randn(x.shape, generator=self.source).to(x)

    def places(self, n: int, size: int) -> Tensor:
        """`n` different whole numbers below `size` (all of them where there are fewer), on the CPU."""
        return torch.randperm(size, generator=self.source)[:n]

    def get_extra_state(self) -> Any:
        return self.source.get_state()

    def set_extra_state(self, state: Any) -> None:
        self.source.set_state(state.cpu())
