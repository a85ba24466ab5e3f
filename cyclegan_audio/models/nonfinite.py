"""Guard against NaN and infinity: skip optimizer updates whose loss or gradients are not finite."""

from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor


class NonFiniteGuard:
    """Step optimizers, but skip updates that are not finite; count them without waiting for the device.

    After a skipped update the rest of that batch is skipped too.

    Attributes:
        skipped: batches of the run with a skipped update; an integer tensor.
        in_a_row: how many of them in a row up to the last batch.
        scaled: whether a loss scaler checks the gradients. It expects infinities: it skips such updates
            itself, and finds its scale by them.
    """

    def __init__(self) -> None:
        self.skipped = self.in_a_row = torch.zeros((), dtype=torch.int64)
        self.is_bad = torch.zeros((), dtype=torch.bool)
        self.scaled = False

    def start(self, device: torch.device) -> None:
        """Start a batch."""
        self.skipped, self.in_a_row = self.skipped.to(device), self.in_a_row.to(device)
        self.is_bad = torch.zeros((), dtype=torch.bool, device=device)

    def step(self, optimizer: Any, loss: Tensor) -> None:
        """Step `optimizer` if `loss` (scalar) and its parameters' gradients are finite."""
        inner: Any = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        gradients = [p.grad for group in inner.param_groups for p in group["params"] if p.grad is not None]
        total = loss.detach().float()
        if gradients and not self.scaled:
            total = total + torch.nn.utils.get_total_norm(gradients)
        self.is_bad = self.is_bad | ~total.isfinite()
        if not self.scaled and all(group.get("fused") for group in inner.param_groups):
            inner.found_inf = self.is_bad.float()  # the fused kernel reads it: no wait for the device
            optimizer.step()
        elif not bool(self.is_bad):
            optimizer.step()

    def end(self) -> None:
        """End a batch."""
        self.skipped = self.skipped + self.is_bad
        self.in_a_row = (self.in_a_row + 1) * self.is_bad

    def reset_in_a_row(self) -> None:
        """Count the batches in a row from 0 again."""
        self.in_a_row = torch.zeros_like(self.in_a_row)

    def state(self) -> dict[str, int]:
        """Return the counts as plain numbers, for a checkpoint."""
        return {"skipped": int(self.skipped), "in_a_row": int(self.in_a_row)}

    def restore(self, state: dict[str, int]) -> None:
        """Set the counts to those of `state`; missing ones are 0."""
        self.skipped, self.in_a_row = (torch.tensor(state.get(name, 0)) for name in ("skipped", "in_a_row"))
