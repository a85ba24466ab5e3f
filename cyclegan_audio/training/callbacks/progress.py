"""How far a run is and when it will end: a progress bar, and a first estimate soon after the start."""

import math
from datetime import datetime, timedelta
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar

from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.training.distributed import say
from cyclegan_audio.utils import progress

DIFFERS = 1.5  # a later pace against the one that was told, either way, which is told too


class Pace:
    """Seconds a batch of this process's part of a run, without its first batch, which warms up."""

    def __init__(self) -> None:
        self.start: tuple[int, float] | None = None

    def step_s(self, module: RunModule) -> float | None:
        """The mean so far, all that is done between batches included; None for the first batch."""
        if self.start is None:
            self.start = (module.batches, module.elapsed_s)
        done = module.batches - self.start[0]
        return (module.elapsed_s - self.start[1]) / done if done > 0 else None


def seconds_left(trainer: pl.Trainer, module: RunModule, step_s: float) -> float:
    """Time to the end of the whole run where a batch takes `step_s`, by its epochs or by `max_minutes`."""
    left = step_s * max(0, int(trainer.num_training_batches) * module.schedule.total_epochs - module.batches)
    limit = module.schedule.max_minutes
    return left if limit is None else max(0.0, min(left, 60 * limit - module.elapsed_s))


class LossProgressBar(ProgressBar):
    """The epoch, the batch, the last step's two losses that matter, and the time left of the whole run."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: progress.ProgressBar | None = None
        self.pace = Pace()
        self.enabled = True

    def disable(self) -> None:
        """Show nothing, as further processes of the run do."""
        self.enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self.enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        if self.enabled:
            self.bar = progress.ProgressBar("training")
            self.bar.open()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        step_s = self.pace.step_s(pl_module)
        if self.bar is None or not self.bar.is_due():  # losses are read from the device only to be shown
            return
        batch, n_batches = args[-1] + 1, int(trainer.num_training_batches)
        n_epochs = pl_module.schedule.total_epochs
        self.bar.update(
            pl_module.schedule.progress(trainer.current_epoch + batch / n_batches, pl_module.elapsed_s),
            1.0,
            label=f"epoch {trainer.current_epoch + 1}/{n_epochs}",
            count=f"batch {batch}/{n_batches}",
            notes=shown_losses(pl_module),
            remaining_s=math.inf if step_s is None else seconds_left(trainer, pl_module, step_s),
        )

    def on_train_end(self, *args: Any) -> None:
        self.close()

    def on_exception(self, *args: Any) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, so that what is said next stands in a line of its own."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        print(*args, **kwargs)


def shown_losses(module: RunModule) -> str:
    """The last step's losses that matter, such as `cycle 0.52, disc 0.21`, as far as it has them."""
    means = {}
    for term in module.shown_losses:
        losses = [loss for name, loss in module.losses.items() if module.loss_terms[name] == term]
        if losses:
            means[term] = torch.stack([loss.detach().float() for loss in losses]).mean()
    numbers = torch.stack(list(means.values())).tolist() if means else []
    return ", ".join(f"{name} {number:.3f}" for name, number in zip(means, numbers, strict=True))


class TimeEstimate(pl.Callback):
    """Says when the run will end, and where it is long how to shorten it; once more if that changes much.

    The first time is after `after_batches`, or with the last batch that ends within `within_s` of the start.
    """

    def __init__(self, after_batches: int = 20, within_s: float = 30.0, long_hours: float = 2.0) -> None:
        self.after_batches = after_batches
        self.within_s = within_s
        self.long_hours = long_hours
        self.pace = Pace()
        self.start_s = 0.0
        self.told: tuple[int, float] | None = None  # batches of this process and seconds a batch, when told
        self.is_final = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        self.start_s = pl_module.elapsed_s

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        if self.is_final:
            return
        step_s, spent_s = self.pace.step_s(pl_module), pl_module.elapsed_s - self.start_s
        assert self.pace.start is not None
        done = pl_module.batches - self.pace.start[0]
        if step_s is None and pl_module.device.type == "cpu" and 2 * spent_s > self.within_s:
            step_s = spent_s  # on a CPU the first batch takes little longer than the others
        if step_s is None:
            return
        if self.told is None:
            if done >= self.after_batches or spent_s + step_s > self.within_s:
                self.told = (done, step_s)
                say(self.text(trainer, pl_module, step_s))
        elif done >= 5 * max(1, self.told[0]):
            self.is_final = True
            if not 1 / DIFFERS < step_s / self.told[1] < DIFFERS:
                say(f"another estimate: {self.text(trainer, pl_module, step_s)}")

    def text(self, trainer: pl.Trainer, module: RunModule, step_s: float) -> str:
        """The sentence for a run whose batches take `step_s` seconds."""
        left = seconds_left(trainer, module, step_s)
        now = datetime.now()
        end = now + timedelta(seconds=left)
        day = "" if end.date() == now.date() else f" on {end.day} {end:%B}"
        duration = progress.format_duration(left)
        text = f"{step_s:.2g} s a batch: training ends in about {duration}, at {end:%H:%M}{day}"
        if left > 3600 * self.long_hours and module.device.type == "cpu":
            text += f"; that is long: {module.small_model} is ten times faster, max_minutes=60 ends it"
        return text
