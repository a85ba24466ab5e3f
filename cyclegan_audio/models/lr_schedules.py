"""Learning rate schedules: constant, then a linear or cosine decay to zero, or no decay."""

import math
from dataclasses import dataclass

from cyclegan_audio.utils.errors import UserError, check_number


@dataclass(frozen=True)
class LinearDecay:
    """Constant for `n_epochs`, then linear to zero over `n_epochs_decay` (Zhu et al. 2017, appendix 7.1).

    As in the public code, the last epoch still learns: its factor is 1 / (n_epochs_decay + 1). With
    `max_minutes` the run also ends by the clock, and the decay takes the same share of that time. Over the
    first `warm_up_batches` the rate rises linearly.
    """

    n_epochs: int
    n_epochs_decay: int
    max_minutes: float | None = None
    warm_up_batches: int = 0

    def __post_init__(self) -> None:
        check_number("n_epochs", self.n_epochs, low=0, integer=True)
        check_number("n_epochs_decay", self.n_epochs_decay, low=0, integer=True)
        check_number("warm_up_batches", self.warm_up_batches, low=0, integer=True)
        if self.total_epochs < 1:
            raise UserError("n_epochs + n_epochs_decay must be at least 1, got 0")
        if self.max_minutes is not None:
            check_number("max_minutes", self.max_minutes, low=0)
        if self.max_minutes == 0:
            raise UserError("max_minutes must be greater than 0, or null for no limit, got 0")

    @property
    def total_epochs(self) -> int:
        """Return the epochs of the whole run."""
        return self.n_epochs + self.n_epochs_decay

    def lr_factor(self, epoch: int, elapsed_s: float = 0.0) -> float:
        """Return the factor of the learning rate in `epoch` (from 0), `elapsed_s` seconds after the start."""
        by_epoch = self.decay_factor(max(0, epoch + 1 - self.n_epochs) / (self.n_epochs_decay + 1))
        if self.max_minutes is None or self.n_epochs_decay == 0:
            return by_epoch
        left = 1.0 - elapsed_s / (60 * self.max_minutes)
        decay_share = self.n_epochs_decay / self.total_epochs
        return min(by_epoch, self.decay_factor(1.0 - max(0.0, min(1.0, left / decay_share))))

    def warm_up_factor(self, batches: int) -> float:
        """Return the factor of the learning rate after this many batches of the run; 1 after the warm-up."""
        return min(1.0, (batches + 1) / self.warm_up_batches) if self.warm_up_batches else 1.0

    def decay_factor(self, decayed: float) -> float:
        """Return the factor after the share `decayed` (0 to 1) of the decay; 1 at 0."""
        return 1.0 - decayed

    def progress(self, epoch: float, elapsed_s: float = 0.0) -> float:
        """Return the share of the run that is done, by epochs or by the clock, whichever is larger."""
        by_clock = elapsed_s / (60 * self.max_minutes) if self.max_minutes is not None else 0.0
        return min(1.0, max(epoch / self.total_epochs, by_clock))

    def is_over(self, elapsed_s: float) -> bool:
        """Return whether `max_minutes` are over."""
        return self.max_minutes is not None and elapsed_s >= 60 * self.max_minutes


class CosineDecay(LinearDecay):
    """`LinearDecay` with half a cosine as the decay (Loshchilov and Hutter 2017, without restarts)."""

    def decay_factor(self, decayed: float) -> float:
        """Return 1 at 0, 1/2 at 1/2, 0 at 1."""
        return 0.5 * (1.0 + math.cos(math.pi * decayed))


class NoDecay(LinearDecay):
    """Constant learning rate to the end; `n_epochs_decay` only adds epochs."""

    def decay_factor(self, decayed: float) -> float:
        """Return 1."""
        return 1.0
