"""What a run does when its losses or gradients stop being finite: go back, and in the end give up."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from cyclegan_audio.inference.checkpoints import read_checkpoint
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST
from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.training.distributed import say
from cyclegan_audio.utils.errors import UserError, check_number


class NonFiniteRecovery(pl.Callback):
    """Looks at the guard's counts; a skipped update alone does no harm.

    After `max_in_a_row` skipped batches networks, optimisers and pools go back to the last checkpoint, and
    training goes on with the clips that come next, not with those that broke it.

    Args:
        run_dir: the run's folder.
        every_batches: how often to look, which waits for the device.
        max_in_a_row: skipped batches in a row that are too many.
        max_returns: times that the run goes back before it stops.

    Raises:
        UserError: there is nothing to go back to, or it has not helped.
    """

    def __init__(
        self, run_dir: str, every_batches: int = 10, max_in_a_row: int = 5, max_returns: int = 2
    ) -> None:
        for name, value, low in (
            ("every_batches", every_batches, 1),
            ("max_in_a_row", max_in_a_row, 1),
            ("max_returns", max_returns, 0),
        ):
            check_number(f"callbacks.nonfinite_recovery.{name}", value, low=low, integer=True)
        self.last = Path(run_dir) / CHECKPOINTS / LAST
        self.every_batches, self.max_in_a_row, self.max_returns = every_batches, max_in_a_row, max_returns
        self.returns = self.told = 0

    def state_dict(self) -> dict[str, Any]:
        return {"returns": self.returns, "told": self.told}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.returns, self.told = state_dict["returns"], state_dict["told"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        if pl_module.batches % self.every_batches:
            return
        counts = pl_module.guard.state()
        if counts["skipped"] > self.told:
            self.told = counts["skipped"]
            say(f"warning: {self.told} batches skipped so far, by batch {pl_module.batches}: not finite")
            for logger in trainer.loggers:
                logger.log_metrics({"progress/skipped": self.told}, pl_module.batches)
        if counts["in_a_row"] >= self.max_in_a_row:
            self.go_back(trainer, pl_module, counts["in_a_row"])

    def go_back(self, trainer: pl.Trainer, module: RunModule, in_a_row: int) -> None:
        """Take networks, pools and optimisers from the last checkpoint; the place in the data stays."""
        reason = f"training broke down: losses or gradients of {in_a_row} batches in a row are not finite"
        mend = "train with precision=32-true or a smaller model.optimizer.lr"
        if not self.last.is_file():
            raise UserError(f"{reason}, by batch {module.batches}, before the first checkpoint; {mend}")
        if self.returns == self.max_returns:
            raise UserError(
                f"{reason}, by batch {module.batches}, after {self.returns} returns to a checkpoint; {mend}"
            )
        content = read_checkpoint(self.last, module.device)
        module.load_state_dict(content["state_dict"])
        for optimizer, state in zip(trainer.optimizers, content["optimizer_states"], strict=True):
            optimizer.load_state_dict(state)
        module.guard.forgive()
        self.returns += 1
        say(f"warning: {reason}; back to batch {content['cyclegan_audio']['batches']}")
