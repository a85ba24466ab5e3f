"""Callback that logs mean losses to `losses.csv` and the loggers."""

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.inference.run_paths import LOSSES
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.training.loggers import CSVLog
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import Range, check_value

POSITION_COLUMNS = ("batch", "epoch", "elapsed_s", "lr")  # before the losses


class LossLog(pl.Callback):
    """Log means every `every_batches` and at each epoch's end.

    Sums stay on the device until then. Batches with losses that are not finite are left out;
    `models.nonfinite` counts them. A resumed run drops rows that are later than its checkpoint.
    """

    def __init__(self, run_dir: str, every_batches: int = 50) -> None:
        self.csv = CSVLog(Path(run_dir) / LOSSES)
        self.every_batches = every_batches
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of each loss, and the number of finite batches
        self.count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: BaseModule) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.csv.start((*POSITION_COLUMNS, *pl_module.loss_terms), pl_module.batches)

    def state_dict(self) -> dict[str, Any]:
        sums = None if self.sums is None else self.sums.cpu()
        return {"names": self.names, "sums": sums, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        names, sums, count = (state_dict[key] for key in ("names", "sums", "count"))
        check_value("callbacks.LossLog.names", names, list[str])
        check_value("callbacks.LossLog.count", count, Annotated[int, Range(0)])
        is_row = isinstance(sums, Tensor) and sums.shape == (len(names) + 1,)
        if not (is_row if count else sums is None):
            raise UserError("callbacks.LossLog.sums must have a sum for each name, and a count")
        self.names, self.sums, self.count = names, sums, count

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        names = list(pl_module.losses)
        if not names:  # a model that is not trained
            return
        if self.count and names != self.names:  # a term has reached weight 0
            self._flush(trainer, pl_module)
        self.names = names
        losses = torch.stack([*pl_module.losses.values()]).float()  # MPS has no float64
        is_finite = losses.isfinite().all()
        row = torch.where(is_finite, torch.cat([losses, torch.ones_like(losses[:1])]), 0.0)
        self.sums = row if self.sums is None else self.sums.to(row) + row
        self.count += 1
        if self.count >= self.every_batches:
            self._flush(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: BaseModule) -> None:  # type: ignore[override]
        if self.count:
            self._flush(trainer, pl_module)

    def _flush(self, trainer: pl.Trainer, module: BaseModule) -> None:
        means = self._means(trainer)
        self.sums, self.count = None, 0
        if not means:
            return
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        position = {"batch": module.batches, "epoch": trainer.current_epoch, "lr": lr}
        if trainer.is_global_zero:
            self.csv.add({**position, "elapsed_s": round(module.elapsed_s, 2), **means})
        grouped = {f"{module.loss_terms[name]}/{name}": value for name, value in means.items()}
        for logger in trainer.loggers:
            logger.log_metrics(
                {**grouped, "progress/lr": lr, "progress/epoch": position["epoch"]}, position["batch"]
            )

    def _means(self, trainer: pl.Trainer) -> dict[str, float]:
        """Average the losses since the last row over all ranks; empty if no batch was finite."""
        assert self.sums is not None
        sums = trainer.strategy.reduce(self.sums) if trainer.world_size > 1 else self.sums
        *values, n_finite = sums.tolist()
        return (
            {name: value / n_finite for name, value in zip(self.names, values, strict=True)}
            if n_finite
            else {}
        )
