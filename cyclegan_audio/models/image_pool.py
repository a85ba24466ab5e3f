"""The history of translated mels that the discriminators also see."""

from typing import Any

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps up to `size` past fakes; once full, each new fake is exchanged for a past one half of the time.

    Shrivastava et al. 2017, section 2.3, in the form of Zhu et al. 2017. Draws come from a generator of its
    own, and both the draws' state and the stored fakes are part of the module's state, so that a resumed run
    goes on exactly.

    Args:
        size: fakes to keep (50 in the paper); 0 returns every batch as it is.
        seed: of the draws.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.stored: Tensor | None = None
        self.n_stored = 0
        self.draws = torch.Generator().manual_seed(seed)

    def forward(self, fakes: Tensor) -> Tensor:
        """Fakes (B, C, M, F) in, as many out, each either itself or a past one; detached.

        What is not finite becomes 0, so that one broken batch does not come back later.
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
        if torch.rand((), generator=self.draws) < 0.5:
            return fake
        place = int(torch.randint(self.size, (), generator=self.draws))
        past = stored[place].clone()
        stored[place] = fake
        return past

    def get_extra_state(self) -> dict[str, Any]:
        stored = None if self.stored is None else self.stored[: self.n_stored].clone()
        return {"stored": stored, "draws": self.draws.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.draws.set_state(state["draws"].cpu())
        stored = state["stored"]
        self.stored, self.n_stored = None, 0
        if stored is not None and self.size:
            self.n_stored = min(len(stored), self.size)
            self.stored = stored.new_zeros((self.size, *stored.shape[1:]))
            self.stored[: self.n_stored] = stored[: self.n_stored]
