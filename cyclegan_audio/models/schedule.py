"""The learning rate over a run: constant, then linearly to zero."""

from dataclasses import dataclass

from cyclegan_audio.errors import UserError, require_number


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
        require_number("n_epochs", self.n_epochs, low=0, whole=True)
        require_number("n_epochs_decay", self.n_epochs_decay, low=0, whole=True)
        if self.total_epochs < 1:
            raise UserError("n_epochs and n_epochs_decay must give at least one epoch together")
        if self.max_minutes is not None:
            require_number("max_minutes", self.max_minutes, low=0)
        if self.max_minutes == 0:
            raise UserError("max_minutes=0 leaves no time; give more, or null for no limit")

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.n_epochs + self.n_epochs_decay

    def factor(self, epoch: int, elapsed_s: float = 0.0) -> float:
        """What multiplies the learning rate in `epoch` (from 0), `elapsed_s` seconds after the start."""
        by_epoch = 1.0 - max(0, epoch + 1 - self.n_epochs) / (self.n_epochs_decay + 1)
        if self.max_minutes is None or self.n_epochs_decay == 0:
            return by_epoch
        left = 1.0 - elapsed_s / (60 * self.max_minutes)
        decay_share = self.n_epochs_decay / self.total_epochs
        return min(by_epoch, max(0.0, min(1.0, left / decay_share)))

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the time is up."""
        return self.max_minutes is not None and elapsed_s >= 60 * self.max_minutes
