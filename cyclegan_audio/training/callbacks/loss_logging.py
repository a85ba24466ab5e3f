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

POSITION_COLUMNS = ("batch", "epoch", "elapsed_s", "lr")  # before the losses; lr of the first optimizer
RATES = ("progress/lr", "progress/lr_disc")  # of each optimizer, in the loggers


class LossLog(pl.Callback):
    """Log means every `every_batches` and at each epoch's end, each over the batches that computed the loss.

    Sums stay on the device until then. Batches with losses that are not finite are left out;
    `models.nonfinite` counts them. A loss of no batch has an empty cell. A resumed run drops rows that are
    later than its checkpoint.
    """

    def __init__(self, run_dir: str, every_batches: int = 50) -> None:
        self.csv = CSVLog(Path(run_dir) / LOSSES)
        self.every_batches = every_batches
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of each loss, and the number of its finite batches, (2, losses)
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
        is_row = isinstance(sums, Tensor) and sums.shape == (2, len(names))
        if not (is_row if count else sums is None):
            raise UserError("callbacks.LossLog.sums must have a sum for each name, and a count")
        self.names, self.sums, self.count = names, sums, count

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        names, computed = list(pl_module.loss_terms), pl_module.losses
        if not computed:  # a model that is not trained
            return
        if names != self.names:
            self.names, self.sums, self.count = names, None, 0
        zero, one = torch.zeros((), device=pl_module.device), torch.ones((), device=pl_module.device)
        losses = torch.stack([computed.get(name, zero).float() for name in names])  # MPS has no float64
        counts = torch.stack([one if name in computed else zero for name in names])  # no copy from the host
        row = torch.where(losses.isfinite().all(), torch.stack([losses, counts]), 0.0)
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
        rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        position = {"batch": module.batches, "epoch": trainer.current_epoch, "lr": rates[0]}
        if trainer.is_global_zero:
            self.csv.add({**position, "elapsed_s": round(module.elapsed_s, 2), **means})
        grouped = {f"{module.loss_terms[name]}/{name}": value for name, value in means.items()}
        progress = {"progress/epoch": position["epoch"], **dict(zip(RATES, rates, strict=False))}
        for logger in trainer.loggers:
            logger.log_metrics({**grouped, **progress}, position["batch"])

    def _means(self, trainer: pl.Trainer) -> dict[str, float]:
        """Average the losses since the last row over all ranks; without those of no finite batch."""
        assert self.sums is not None
        sums = trainer.strategy.reduce(self.sums) if trainer.world_size > 1 else self.sums
        rows = zip(self.names, *sums.tolist(), strict=True)
        return {name: total / count for name, total, count in rows if count}
