"""Pool of past translations that the discriminators see again."""

from typing import Any

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keep up to `size` past fakes; once full, swap each new fake for a past one with probability 1/2.

    Shrivastava et al. 2017, section 2.3, in the form of Zhu et al. 2017. The module's state holds the stored
    fakes and its random generator, so that a resumed run continues exactly.

    Args:
        size: fakes to keep (50 in the paper); 0 returns every batch unchanged.
        seed: seed of the random generator.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.stored: Tensor | None = None
        self.n_stored = 0
        self.rng = torch.Generator().manual_seed(seed)

    def forward(self, fakes: Tensor) -> Tensor:
        """Replace some of the fakes (B, C, M, F) by past ones; detached.

        Values that are not finite become 0, so that a broken batch does not come back later.
        """
        fakes = fakes.detach().nan_to_num(0.0, 0.0, 0.0)
        if self.size == 0:
            return fakes
        if self.stored is None or self.stored.shape[1:] != fakes.shape[1:]:
            self.stored = fakes.new_zeros((self.size, *fakes.shape[1:]))
            self.n_stored = 0
        self.stored = self.stored.to(fakes)
        return torch.stack([self._exchange(fake, self.stored) for fake in fakes])

    def _exchange(self, fake: Tensor, stored: Tensor) -> Tensor:
        if self.n_stored < self.size:
            stored[self.n_stored] = fake
            self.n_stored += 1
            return fake
        if torch.rand((), generator=self.rng) < 0.5:
            return fake
        index = int(torch.randint(self.size, (), generator=self.rng))
        past = stored[index].clone()
        stored[index] = fake
        return past

    def get_extra_state(self) -> dict[str, Any]:
        stored = None if self.stored is None else self.stored[: self.n_stored].clone()
        return {"stored": stored, "rng": self.rng.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.rng.set_state(state["rng"].cpu())
        stored = state["stored"]
        self.stored, self.n_stored = None, 0
        if stored is not None and self.size:
            self.n_stored = min(len(stored), self.size)
            self.stored = stored.new_zeros((self.size, *stored.shape[1:]))
            self.stored[: self.n_stored] = stored[: self.n_stored]
