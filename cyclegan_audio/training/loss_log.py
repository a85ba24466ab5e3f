"""Losses while a run goes: a CSV, the loggers, the progress bar, and how long it will take."""

import csv
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch import Tensor

from cyclegan_audio.errors import UserError
from cyclegan_audio.models.run_module import RunModule

PLACE = ("batch", "epoch", "elapsed_s", "lr")  # the columns before the losses
FILE = "losses.csv"


class LossLog(pl.Callback):
    """Every `every_batches` and at each epoch's end: means to `losses.csv` and the loggers.

    Sums stay on the device until then. A resumed run cuts rows that are later than its checkpoint.

    Raises:
        UserError: a mean is not finite: training has broken down.
    """

    def __init__(self, run_dir: str, every_batches: int = 50) -> None:
        self.file = Path(run_dir) / FILE
        self.every_batches = every_batches
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if not trainer.is_global_zero:
            return
        rows = []
        if pl_module.batches and self.file.is_file():
            with self.file.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["batch"]) <= pl_module.batches]
        with self.file.open("w", newline="") as file:
            writer = csv.DictWriter(file, (*PLACE, *pl_module.loss_names))
            writer.writeheader()
            writer.writerows(rows)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": {name: value.cpu() for name, value in self.sums.items()}, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums, self.count = state_dict["sums"], state_dict["count"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        for name, loss in pl_module.losses.items():
            self.sums[name] = self.sums[name].to(loss) + loss if name in self.sums else loss.clone()
        self.count += 1
        if self.count >= self.every_batches:
            self._flush(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if self.count:
            self._flush(trainer, pl_module)

    def _flush(self, trainer: pl.Trainer, module: RunModule) -> None:
        means = self._means(trainer)
        self.sums, self.count = {}, 0
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        place = {"batch": module.batches, "epoch": trainer.current_epoch, "lr": lr}
        row = {**place, "elapsed_s": round(module.elapsed_s, 2), **means}
        if trainer.is_global_zero:
            with self.file.open("a", newline="") as file:
                csv.DictWriter(file, (*PLACE, *module.loss_names)).writerow(row)
        grouped = {f"{name.rsplit('_', 1)[0]}/{name}": value for name, value in means.items()}
        for logger in trainer.loggers:
            logger.log_metrics(
                {**grouped, "progress/lr": lr, "progress/epoch": place["epoch"]}, place["batch"]
            )
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise UserError(
                f"training broke down before batch {place['batch']}: {', '.join(broken)} not finite; go on "
                "from the last checkpoint with precision=32-true or a smaller learning rate"
            )

    def _means(self, trainer: pl.Trainer) -> dict[str, float]:
        """Means since the last row, over all processes."""
        means = torch.stack(list(self.sums.values())).float() / self.count
        if trainer.world_size > 1:
            means = trainer.strategy.reduce(means)
        return dict(zip(self.sums, means.tolist(), strict=True))


class LossBar(TQDMProgressBar):
    """Lightning's bar with the last step's losses."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: RunModule) -> dict[str, str]:  # type: ignore[override]
        losses = pl_module.losses
        return {name: f"{float(losses[name]):.3f}" for name in pl_module.shown_losses if name in losses}


class Estimate(pl.Callback):
    """After `after_batches` says when the run will end, and where it is long how to shorten it."""

    def __init__(self, after_batches: int = 20, long_hours: float = 2.0) -> None:
        self.after_batches = after_batches
        self.long_hours = long_hours
        self.start: tuple[int, float] | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        if self.start is None:  # the first batch warms up
            self.start = (pl_module.batches, pl_module.elapsed_s)
            return
        done, seconds = pl_module.batches - self.start[0], pl_module.elapsed_s - self.start[1]
        if done == self.after_batches and trainer.is_global_zero:
            print("\n" + self.text(trainer, pl_module, seconds / done))

    def text(self, trainer: pl.Trainer, module: RunModule, step_s: float) -> str:
        """The sentence for a run whose batches take `step_s` seconds."""
        left = step_s * max(
            0.0, int(trainer.num_training_batches) * module.schedule.total_epochs - module.batches
        )
        limit = module.schedule.max_minutes
        if limit is not None:
            left = min(left, 60 * limit - module.elapsed_s)
        end = datetime.now() + timedelta(seconds=left)
        text = f"{step_s:.2f} s a batch: training ends in about {_duration(left)}, at {end:%H:%M on %d %B}"
        if left > 3600 * self.long_hours and module.device.type == "cpu":
            text += (
                f"\nThat is long for a CPU: {module.small_model} is ten times faster; max_minutes=60 ends it"
            )
        return text


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
