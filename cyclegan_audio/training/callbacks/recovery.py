"""Callback that restores the last checkpoint when losses or gradients are NaN or infinite too often."""

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl

from cyclegan_audio.inference.checkpoints import read_checkpoint
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.fields import Range, check_value


class NonFiniteRecovery(pl.Callback):
    """Check the counts of the `NonFiniteGuard`; a single skipped update is harmless.

    After `max_in_a_row` skipped batches, networks, optimizers and pools are restored from the last
    checkpoint, and training continues with the next clips, not with those of the failure.

    Args:
        run_dir: the run's folder.
        every_batches: interval of the check, which waits for the device.
        max_in_a_row: skipped batches in a row that trigger the recovery.
        max_returns: number of recoveries before the run stops.

    Raises:
        UserError: there is no checkpoint, or the recoveries did not help.
    """

    def __init__(
        self, run_dir: str, every_batches: int = 10, max_in_a_row: int = 5, max_returns: int = 2
    ) -> None:
        for name, value, low in (
            ("every_batches", every_batches, 1),
            ("max_in_a_row", max_in_a_row, 1),
            ("max_returns", max_returns, 0),
        ):
            check_number(f"callbacks.recovery.{name}", value, low=low, integer=True)
        self.last_checkpoint = Path(run_dir) / CHECKPOINTS / LAST
        self.every_batches, self.max_in_a_row, self.max_returns = every_batches, max_in_a_row, max_returns
        self.n_returns = self.n_reported = 0

    def state_dict(self) -> dict[str, Any]:
        return {"n_returns": self.n_returns, "n_reported": self.n_reported}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in ("n_returns", "n_reported"):
            check_value(f"callbacks.NonFiniteRecovery.{name}", state_dict[name], Annotated[int, Range(0)])
        self.n_returns, self.n_reported = state_dict["n_returns"], state_dict["n_reported"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        if pl_module.batches % self.every_batches:
            return
        counts = pl_module.nonfinite_guard.state()
        if counts["skipped"] > self.n_reported:
            self.n_reported = counts["skipped"]
            rank_zero_print(
                f"warning: {self.n_reported} of {pl_module.batches} batches skipped "
                "(loss or gradients not finite)"
            )
            for logger in trainer.loggers:
                logger.log_metrics({"progress/skipped": self.n_reported}, pl_module.batches)
        if counts["in_a_row"] >= self.max_in_a_row:
            self.restore_last_checkpoint(trainer, pl_module, counts["in_a_row"])

    def restore_last_checkpoint(self, trainer: pl.Trainer, module: BaseModule, in_a_row: int) -> None:
        """Restore networks, pools and optimizers from the last checkpoint; the position in the data stays."""
        reason = f"training diverged: losses or gradients of {in_a_row} batches in a row are not finite"
        advice = "train with precision=32-true or a smaller model.optimizer.lr"
        if not self.last_checkpoint.is_file():
            raise UserError(f"{reason} at batch {module.batches}, before the first checkpoint; {advice}")
        if self.n_returns == self.max_returns:
            raise UserError(
                f"{reason} at batch {module.batches}, after {self.n_returns} recoveries; {advice}"
            )
        content = read_checkpoint(self.last_checkpoint, module.device)
        module.load_state_dict(content["state_dict"])
        for optimizer, state in zip(trainer.optimizers, content["optimizer_states"], strict=True):
            optimizer.load_state_dict(state)
        module.nonfinite_guard.reset_in_a_row()
        self.n_returns += 1
        rank_zero_print(f"warning: {reason}; restored batch {content['cyclegan_audio']['batches']}")
