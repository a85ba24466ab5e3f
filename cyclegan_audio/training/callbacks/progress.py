"""Callbacks for progress: a bar with losses and time left, and an early estimate of when training ends."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar
from torch import Tensor

from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.utils import progress

MAX_PACE_CHANGE = 1.5  # factor by which the pace must change for a second estimate
_MAX_LEFT_S = 1e9  # some 30 years; later dates overflow


class Pace:
    """Measure seconds per batch since the start of this process, without its first batch (warm-up)."""

    def __init__(self) -> None:
        self.start: tuple[int, float] | None = None

    def step_s(self, module: BaseModule) -> float | None:
        """Return the mean so far, with the time between batches; None for the first batch."""
        if self.start is None:
            self.start = (module.batches, module.elapsed_s)
        n_batches = module.batches - self.start[0]
        return (module.elapsed_s - self.start[1]) / n_batches if n_batches > 0 else None


def seconds_left(trainer: pl.Trainer, module: BaseModule, step_s: float) -> float:
    """Estimate the time to the end of the run by its epochs or `max_minutes`, with `step_s` per batch."""
    left = step_s * max(0, int(trainer.num_training_batches) * module.schedule.total_epochs - module.batches)
    limit = module.schedule.max_minutes
    return left if limit is None else max(0.0, min(left, 60 * limit - module.elapsed_s))


class LossProgressBar(ProgressBar):
    """Progress bar with epoch, batch, the last known value of each main loss, and the time left of the run.

    A loss that a batch does not compute, such as `cycle` with `cycle_every: 2`, keeps its value until the
    first batch with another loss, which begins a new part of the training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.losses: dict[str, Tensor] = {}  # the last value of each loss, on the device
        self.bar: progress.ProgressBar | None = None
        self.pace = Pace()
        self.enabled = True

    def disable(self) -> None:
        """Hide the bar, as on further ranks."""
        self.enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self.enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: BaseModule) -> None:  # type: ignore[override]
        if self.enabled:
            self.losses = {}
            self.bar = progress.ProgressBar("training")
            self.bar.open()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        step_s = self.pace.step_s(pl_module)
        losses = pl_module.losses
        self.losses = losses if losses.keys() - self.losses.keys() else self.losses | losses
        if self.bar is None or not self.bar.is_due():  # reading losses waits for the device
            return
        batch, n_batches = args[-1] + 1, int(trainer.num_training_batches)
        n_epochs = pl_module.schedule.total_epochs
        self.bar.update(
            pl_module.schedule.progress(trainer.current_epoch + batch / n_batches, pl_module.elapsed_s),
            1.0,
            label=f"epoch {trainer.current_epoch + 1}/{n_epochs}",
            count=f"batch {batch}/{n_batches}",
            notes=format_losses(pl_module, self.losses),
            remaining_s=math.inf if step_s is None else seconds_left(trainer, pl_module, step_s),
        )

    def on_train_end(self, *args: Any) -> None:
        self.close()

    def on_exception(self, *args: Any) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar, so that the next message starts on its own line."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        print(*args, **kwargs)


def format_losses(module: BaseModule, losses: Mapping[str, Tensor]) -> str:
    """Format the mean of each of the module's main terms over its `losses`, as `cycle 0.520, disc 0.210`."""
    means = {}
    for term in module.progress_bar_losses:
        of_term = [loss for name, loss in losses.items() if module.loss_terms[name] == term]
        if of_term:
            means[term] = torch.stack([loss.detach().float() for loss in of_term]).mean()
    numbers = torch.stack(list(means.values())).tolist() if means else []
    return ", ".join(f"{name} {number:.3f}" for name, number in zip(means, numbers, strict=True))


class TimeEstimate(pl.Callback):
    """Print when training will end, and for long runs how to shorten it; again if the estimate changes much.

    The first estimate comes after `after_batches`, or before `within_s` seconds are over.
    """

    def __init__(self, after_batches: int = 20, within_s: float = 30.0, long_hours: float = 2.0) -> None:
        self.after_batches = after_batches
        self.within_s = within_s
        self.long_hours = long_hours
        self.pace = Pace()
        self.start_s = 0.0
        self.reported: tuple[int, float] | None = None  # batches and seconds per batch
        self.is_final = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: BaseModule) -> None:  # type: ignore[override]
        self.start_s = pl_module.elapsed_s

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        if self.is_final:
            return
        step_s, spent_s = self.pace.step_s(pl_module), pl_module.elapsed_s - self.start_s
        assert self.pace.start is not None
        n_batches = pl_module.batches - self.pace.start[0]
        if step_s is None and pl_module.device.type == "cpu" and 2 * spent_s > self.within_s:
            step_s = spent_s  # on a CPU the first batch takes little longer than the others
        if step_s is None:
            return
        if self.reported is None:
            if n_batches >= self.after_batches or spent_s + step_s > self.within_s:
                self.reported = (n_batches, step_s)
                rank_zero_print(self.text(trainer, pl_module, step_s))
        elif n_batches >= 5 * max(1, self.reported[0]):
            self.is_final = True
            if not 1 / MAX_PACE_CHANGE < step_s / self.reported[1] < MAX_PACE_CHANGE:
                rank_zero_print(f"new estimate: {self.text(trainer, pl_module, step_s)}")

    def text(self, trainer: pl.Trainer, module: BaseModule, step_s: float) -> str:
        """Return the message for a run with `step_s` seconds per batch."""
        left = min(seconds_left(trainer, module, step_s), _MAX_LEFT_S)
        now = datetime.now()
        end = now + timedelta(seconds=left)
        day = "" if end.date() == now.date() else f" on {end.day} {end:%B}"
        duration = progress.format_duration(left)
        text = f"{step_s:.2g} s per batch: training ends in about {duration}, at {end:%H:%M}{day}"
        if left > 3600 * self.long_hours and module.device.type == "cpu":
            text += f"; {module.small_model} is several times faster, max_minutes=60 sets a time limit"
        return text
