"""Losses while a run goes: a CSV, the loggers, the progress bar, and how long it will take."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch import Tensor

from cyclegan_audio.models.run_folder import LOSSES
from cyclegan_audio.models.run_module import RunModule
from cyclegan_audio.training.table import Table

PLACE = ("batch", "epoch", "elapsed_s", "lr")  # the columns before the losses


class LossLog(pl.Callback):
    """Every `every_batches` and at each epoch's end: means to `losses.csv` and the loggers.

    Sums stay on the device until then. Batches that are not finite are left out; `models.guard` counts them.
    A resumed run cuts rows that are later than its checkpoint.
    """

    def __init__(self, run_dir: str, every_batches: int = 50) -> None:
        self.table = Table(Path(run_dir) / LOSSES)
        self.every_batches = every_batches
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of each loss, and how many batches were summed
        self.count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.table.start((*PLACE, *pl_module.loss_names), pl_module.batches)

    def state_dict(self) -> dict[str, Any]:
        sums = None if self.sums is None else self.sums.cpu()
        return {"names": self.names, "sums": sums, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.names, self.sums, self.count = (state_dict[key] for key in ("names", "sums", "count"))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        self.names = list(pl_module.losses)
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
        grouped = {f"{name.rsplit('_', 1)[0]}/{name}": value for name, value in means.items()}
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


class LossBar(TQDMProgressBar):
    """Lightning's bar with the last step's losses; an error's line does not stand behind it."""

    def on_exception(self, *args: Any) -> None:
        if self._train_progress_bar is not None:
            self._train_progress_bar.close()

    def get_metrics(self, trainer: pl.Trainer, pl_module: RunModule) -> dict[str, str]:  # type: ignore[override]
        shown = [name for name in pl_module.shown_losses if name in pl_module.losses]
        values = torch.stack([pl_module.losses[name] for name in shown]).tolist() if shown else []
        return {name: f"{value:.3f}" for name, value in zip(shown, values, strict=True)}


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
