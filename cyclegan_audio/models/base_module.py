"""What a module brings so that its run can be followed, ended by the clock, stopped and resumed."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.models.acceleration import SCALED
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.nonfinite import NonFiniteGuard
from cyclegan_audio.utils.errors import UserError


class RunModule(pl.LightningModule):
    """Base of the modules that the callbacks of `training` serve; it counts batches and time.

    Attributes:
        command: the verb that trains it.
        loss_terms: the term of every loss that `losses` may hold, in the order of the log's columns.
        shown_losses: terms of the progress bar, each the mean of its losses.
        small_model: the override that chooses the model for CPUs.
        schedule: of the learning rate.
        guard: counts the updates that were skipped because something was not finite.
        losses: the last step's losses by name, unweighted, detached.
        batches: training batches seen in the whole run.
        elapsed_s: seconds of training in the whole run, resumed parts included.
        card: plain description (mel settings, configuration) that goes into every checkpoint.
    """

    command: str
    loss_terms: Mapping[str, str]
    shown_losses: tuple[str, ...]
    small_model: str

    def __init__(self, schedule: LinearDecay) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.schedule = schedule
        self.guard = NonFiniteGuard()
        self.losses: dict[str, Tensor] = {}
        self.batches = 0
        self.elapsed_s = 0.0
        self.card: dict[str, Any] = {}
        self._clock = 0.0

    def build_optimizers(self, optimizers: Iterable[Callable[[], Optimizer]]) -> list[Optimizer]:
        """The optimisers, with the learning rate that the schedule starts from.

        Raises:
            UserError: one cannot be made from its settings.
        """
        try:
            found = [make() for make in optimizers]
        except (TypeError, ValueError) as error:
            raise UserError(f"model.optimizer cannot be made from these settings ({error})") from error
        for optimizer in found:
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        return found

    def count_batch(self) -> None:
        """Count a batch and its time; ask the trainer to stop where the time is up."""
        now = time.monotonic()
        self.elapsed_s, self._clock = self.elapsed_s + now - self._clock, now
        self.batches += 1
        if self.schedule.max_minutes is not None and self.trainer.world_size > 1:
            self.elapsed_s = self.trainer.strategy.broadcast(self.elapsed_s)  # all stop together
        if self.schedule.is_over(self.elapsed_s):
            self.trainer.should_stop = True

    def compute_gradients(self, loss: Any, parameters: Iterable[nn.Parameter]) -> None:
        """Give `parameters` the gradients of `loss`, and of nothing before."""
        for parameter in parameters:
            parameter.grad = None
        self.manual_backward(loss)

    def on_train_start(self) -> None:
        self.guard.scaled = str(self.trainer.precision) == SCALED
        self._clock = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        factor = self.schedule.factor(self.current_epoch, self.elapsed_s)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        counts = {"batches": self.batches, "elapsed_s": self.elapsed_s, "guard": self.guard.state()}
        checkpoint["cyclegan_audio"] = {**self.card, **counts, "loss_terms": dict(self.loss_terms)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        mine = checkpoint["cyclegan_audio"]
        self.batches, self.elapsed_s = mine["batches"], mine["elapsed_s"]
        self.guard.restore(mine.get("guard", {}))
