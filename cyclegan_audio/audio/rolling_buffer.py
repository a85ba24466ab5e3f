"""Keep the recent part of a stream of tensors."""

from collections import deque

import torch
from torch import Tensor


class RollingBuffer:
    """A buffer of values (..., n) that grows at the end and is discarded from the start.

    Positions count from the first value that was ever appended.

    Attributes:
        start: position of the first value that can be read.
        stop: position after the last value.
    """

    def __init__(self) -> None:
        self.start = self.stop = 0
        self._blocks: deque[Tensor] = deque()
        self._first = 0  # position of the first block

    def append(self, values: Tensor) -> None:
        """Append the next values (..., n), by reference: do not change them afterwards."""
        if values.shape[-1]:
            self._blocks.append(values)
            self.stop += values.shape[-1]

    def read(self, start: int, stop: int) -> Tensor:
        """Copy the values from position `start` up to `stop` or the end of the buffer, (..., m).

        Raises:
            ValueError: `start` is before `self.start`, or nothing has been appended yet.
        """
        if start < self.start or not self._blocks:
            raise ValueError(f"cannot read {start} to {stop}: the buffer holds {self.start} to {self.stop}")
        parts, position = [self._blocks[-1][..., :0]], self._first
        for block in self._blocks:
            end = position + block.shape[-1]
            if position < stop and start < end:
                parts.append(block[..., max(start - position, 0) : stop - position])
            position = end
        return torch.cat(parts, -1)

    def discard_before(self, position: int) -> None:
        """Discard the values before a position and free the blocks that are no longer needed."""
        self.start = min(max(self.start, position), self.stop)
        while len(self._blocks) > 1 and self._first + self._blocks[0].shape[-1] <= self.start:
            self._first += self._blocks.popleft().shape[-1]
