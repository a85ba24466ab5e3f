"""Base LightningModule: learning rate, training time, skipped updates, metadata of checkpoints."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.models.acceleration import FP16_MIXED
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.nonfinite import NonFiniteGuard
from cyclegan_audio.utils.errors import UserError


class BaseModule(pl.LightningModule):
    """Base of the modules that `training` runs; it counts batches and time.

    Attributes:
        command: the command that trains it.
        loss_terms: the term of every loss that `losses` may hold, in the order of the log's columns.
        progress_bar_losses: terms in the progress bar; each shows the mean of its losses.
        small_model: the override that selects the model for CPUs.
        schedule: the learning rate schedule.
        nonfinite_guard: counts the updates that were skipped because a number was not finite.
        losses: the last step's losses by name, unweighted, detached.
        batches: training batches of the whole run.
        elapsed_s: seconds of training of the whole run, with the parts before a resume.
        metadata: plain description (mel settings, configuration) that goes into every checkpoint.
    """

    command: str
    loss_terms: Mapping[str, str]
    progress_bar_losses: tuple[str, ...]
    small_model: str

    def __init__(self, schedule: LinearDecay) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.schedule = schedule
        self.nonfinite_guard = NonFiniteGuard()
        self.losses: dict[str, Tensor] = {}
        self.batches = 0
        self.elapsed_s = 0.0
        self.metadata: dict[str, Any] = {}
        self._last_time = 0.0

    @property
    def has_started(self) -> bool:
        """Return whether a batch has been trained, after everything was restored."""
        return bool(self.losses)

    def describe_work(self) -> str:
        """Describe what was trained, after its end."""
        return f"trained {self.batches} batches in {self.elapsed_s / 60:.1f} min"

    def build_optimizers(self, factories: Iterable[Callable[[], Optimizer]]) -> list[Optimizer]:
        """Build the optimizers and store the learning rate that the schedule starts from.

        Raises:
            UserError: the settings of an optimizer are invalid.
        """
        try:
            optimizers = [factory() for factory in factories]
        except (TypeError, ValueError) as error:
            raise UserError(f"invalid `model.optimizer` settings ({error})") from error
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        return optimizers

    def count_batch(self) -> None:
        """Count a batch and its time; stop the trainer when the time is up."""
        now = time.monotonic()
        self.elapsed_s, self._last_time = self.elapsed_s + now - self._last_time, now
        self.batches += 1
        if self.schedule.max_minutes is not None and self.trainer.world_size > 1:
            self.elapsed_s = self.trainer.strategy.broadcast(self.elapsed_s)  # all ranks stop together
        if self.schedule.is_over(self.elapsed_s):
            self.trainer.should_stop = True

    def compute_gradients(self, loss: Any, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients of `parameters` by those of `loss`."""
        for parameter in parameters:
            parameter.grad = None
        self.manual_backward(loss)

    def on_train_start(self) -> None:
        self.nonfinite_guard.scaled = str(self.trainer.precision) == FP16_MIXED
        self._last_time = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        factor = self.schedule.lr_factor(self.current_epoch, self.elapsed_s)
        factor *= self.schedule.warm_up_factor(self.batches)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        counts = {
            "batches": self.batches,
            "elapsed_s": self.elapsed_s,
            "nonfinite_guard": self.nonfinite_guard.state(),
        }
        checkpoint["cyclegan_audio"] = {**self.metadata, **counts, "loss_terms": dict(self.loss_terms)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        metadata = checkpoint["cyclegan_audio"]
        self.batches, self.elapsed_s = metadata["batches"], metadata["elapsed_s"]
        self.nonfinite_guard.restore(metadata.get("nonfinite_guard", {}))
