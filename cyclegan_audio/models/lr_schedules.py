"""The learning rate over a run: constant, then linearly or by a cosine to zero, or constant to the end."""

import math
from dataclasses import dataclass

from cyclegan_audio.utils.errors import UserError, check_number


@dataclass(frozen=True)
class LinearDecay:
    """Constant for `n_epochs`, then linear to zero over `n_epochs_decay` (Zhu et al. 2017, appendix 7.1).

    As in the public code, the last epoch still learns: its factor is 1 / (n_epochs_decay + 1). With
    `max_minutes` the run also ends by the clock, and the same share of the time, at its end, decays to zero.
    """

    n_epochs: int
    n_epochs_decay: int
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        check_number("n_epochs", self.n_epochs, low=0, integer=True)
        check_number("n_epochs_decay", self.n_epochs_decay, low=0, integer=True)
        if self.total_epochs < 1:
            raise UserError("n_epochs and n_epochs_decay must give at least one epoch together")
        if self.max_minutes is not None:
            check_number("max_minutes", self.max_minutes, low=0)
        if self.max_minutes == 0:
            raise UserError("max_minutes=0 leaves no time; give more, or null for no limit")

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.n_epochs + self.n_epochs_decay

    def factor(self, epoch: int, elapsed_s: float = 0.0) -> float:
        """What multiplies the learning rate in `epoch` (from 0), `elapsed_s` seconds after the start."""
        by_epoch = self.shape(max(0, epoch + 1 - self.n_epochs) / (self.n_epochs_decay + 1))
        if self.max_minutes is None or self.n_epochs_decay == 0:
            return by_epoch
        left = 1.0 - elapsed_s / (60 * self.max_minutes)
        decay_share = self.n_epochs_decay / self.total_epochs
        return min(by_epoch, self.shape(1.0 - max(0.0, min(1.0, left / decay_share))))

    def shape(self, decayed: float) -> float:
        """The factor when the share `decayed` of the decay is behind, 1 at 0."""
        return 1.0 - decayed

    def progress(self, epoch: float, elapsed_s: float = 0.0) -> float:
        """The share of the run that is behind, by epochs or by the clock, whichever is further."""
        by_clock = elapsed_s / (60 * self.max_minutes) if self.max_minutes is not None else 0.0
        return min(1.0, max(epoch / self.total_epochs, by_clock))

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the time is up."""
        return self.max_minutes is not None and elapsed_s >= 60 * self.max_minutes


class CosineDecay(LinearDecay):
    """As `LinearDecay`, falling along half a cosine (Loshchilov and Hutter 2017, without restarts)."""

    def shape(self, decayed: float) -> float:
        """1 at 0, 1/2 at 1/2, 0 at 1."""
        return 0.5 * (1.0 + math.cos(math.pi * decayed))


class Constant(LinearDecay):
    """The full learning rate to the end; `n_epochs_decay` only counts."""

    def shape(self, decayed: float) -> float:
        """1."""
        return 1.0
