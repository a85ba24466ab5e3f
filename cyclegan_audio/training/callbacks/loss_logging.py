"""Losses while a run goes: to a CSV and the loggers."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.inference.run_paths import LOSSES
from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.training.csv_log import CSVLog

PLACE = ("batch", "epoch", "elapsed_s", "lr")  # the columns before the losses


class LossLog(pl.Callback):
    """Every `every_batches` and at each epoch's end: means to `losses.csv` and the loggers.

    Sums stay on the device until then. Batches that are not finite are left out; `models.guard` counts them.
    A resumed run cuts rows that are later than its checkpoint.
    """

    def __init__(self, run_dir: str, every_batches: int = 50) -> None:
        self.table = CSVLog(Path(run_dir) / LOSSES)
        self.every_batches = every_batches
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of each loss, and how many batches were summed
        self.count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.table.start((*PLACE, *pl_module.loss_terms), pl_module.batches)

    def state_dict(self) -> dict[str, Any]:
        sums = None if self.sums is None else self.sums.cpu()
        return {"names": self.names, "sums": sums, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.names, self.sums, self.count = (state_dict[key] for key in ("names", "sums", "count"))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        names = list(pl_module.losses)
        if self.count and names != self.names:  # a term has been left out since
            self._flush(trainer, pl_module)
        self.names = names
        losses = torch.stack([*pl_module.losses.values()]).float()  # MPS knows no double
        good = losses.isfinite().all()
        row = torch.where(good, torch.cat([losses, torch.ones_like(losses[:1])]), 0.0)
        self.sums = row if self.sums is None else self.sums.to(row) + row
        self.count += 1
        if self.count >= self.every_batches:
            self._flush(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if self.count:
            self._flush(trainer, pl_module)

    def _flush(self, trainer: pl.Trainer, module: RunModule) -> None:
        means = self._means(trainer)
        self.sums, self.count = None, 0
        if not means:
            return
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        place = {"batch": module.batches, "epoch": trainer.current_epoch, "lr": lr}
        if trainer.is_global_zero:
            self.table.add({**place, "elapsed_s": round(module.elapsed_s, 2), **means})
        grouped = {f"{module.loss_terms[name]}/{name}": value for name, value in means.items()}
        for logger in trainer.loggers:
            logger.log_metrics(
                {**grouped, "progress/lr": lr, "progress/epoch": place["epoch"]}, place["batch"]
            )

    def _means(self, trainer: pl.Trainer) -> dict[str, float]:
        """Means since the last row, over all processes; none where no batch was finite."""
        assert self.sums is not None
        sums = trainer.strategy.reduce(self.sums) if trainer.world_size > 1 else self.sums
        *values, n_good = sums.tolist()
        return (
            {name: value / n_good for name, value in zip(self.names, values, strict=True)} if n_good else {}
        )
