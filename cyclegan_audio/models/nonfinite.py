"""Updates that are left out where the loss or a gradient is not finite."""

from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor


class NonFiniteGuard:
    """Steps optimisers, and skips what would spoil the weights; counts without waiting for the device.

    Once a part of a batch is not finite, the rest of that batch is skipped as well.

    Attributes:
        skipped: batches of the run of which an update was skipped; an integer tensor.
        in_a_row: how many of them ended with the last batch.
        scaled: whether a loss scaler looks after the gradients, in which infinities are its daily work: it
            skips such updates itself and only so finds its scale.
    """

    def __init__(self) -> None:
        self.skipped = self.in_a_row = torch.zeros((), dtype=torch.int64)
        self.bad = torch.zeros((), dtype=torch.bool)
        self.scaled = False

    def start(self, device: torch.device) -> None:
        """Begin a batch."""
        self.skipped, self.in_a_row = self.skipped.to(device), self.in_a_row.to(device)
        self.bad = torch.zeros((), dtype=torch.bool, device=device)

    def step(self, optimizer: Any, loss: Tensor) -> None:
        """Update, if `loss` (scalar) and the gradients are finite.

        Args:
            optimizer: whose parameters have their gradients.
            loss: that was differentiated.
        """
        plain: Any = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        gradients = [p.grad for group in plain.param_groups for p in group["params"] if p.grad is not None]
        total = loss.detach().float()
        if gradients and not self.scaled:
            total = total + torch.nn.utils.get_total_norm(gradients)
        self.bad = self.bad | ~total.isfinite()
        if not self.scaled and all(group.get("fused") for group in plain.param_groups):
            plain.found_inf = self.bad.float()  # read by the kernel: no wait for the device
            optimizer.step()
        elif not bool(self.bad):
            optimizer.step()

    def end(self) -> None:
        """End a batch."""
        self.skipped = self.skipped + self.bad
        self.in_a_row = (self.in_a_row + 1) * self.bad

    def forgive(self) -> None:
        """Count from 0 again how many batches were skipped in a row."""
        self.in_a_row = torch.zeros_like(self.in_a_row)

    def state(self) -> dict[str, int]:
        """Plain counts, for a checkpoint."""
        return {"skipped": int(self.skipped), "in_a_row": int(self.in_a_row)}

    def restore(self, state: dict[str, int]) -> None:
        """Go on from `state`; what it lacks is 0."""
        self.skipped, self.in_a_row = (torch.tensor(state.get(name, 0)) for name in ("skipped", "in_a_row"))
