"""Keep the recent part of an endless signal."""

from collections import deque

import torch
from torch import Tensor


class RollingBuffer:
    """Values (..., n) that grow at the end and are forgotten at the start; places count from the first value.

    Attributes:
        start: place of the first value that can be read.
        stop: place after the last value.
    """

    def __init__(self) -> None:
        self.start = self.stop = 0
        self._blocks: deque[Tensor] = deque()
        self._first = 0  # place where the first block begins

    def append(self, values: Tensor) -> None:
        """Add the next values (..., n); they are kept by reference and must not be changed afterwards."""
        if values.shape[-1]:
            self._blocks.append(values)
            self.stop += values.shape[-1]

    def between(self, start: int, stop: int) -> Tensor:
        """Copy the values from place `start` to before `stop`, as far as there are any; (..., m).

        Raises:
            ValueError: values before `self.start` are gone, and before the first `append` there are none.
        """
        if start < self.start or not self._blocks:
            raise ValueError(f"the buffer holds {self.start} to {self.stop}, so not {start} to {stop}")
        parts, place = [self._blocks[-1][..., :0]], self._first
        for block in self._blocks:
            end = place + block.shape[-1]
            if place < stop and start < end:
                parts.append(block[..., max(start - place, 0) : stop - place])
            place = end
        return torch.cat(parts, -1)

    def forget(self, before: int) -> None:
        """Give up the values before a place; blocks that are not needed any more are freed."""
        self.start = min(max(self.start, before), self.stop)
        while len(self._blocks) > 1 and self._first + self._blocks[0].shape[-1] <= self.start:
            self._first += self._blocks.popleft().shape[-1]
