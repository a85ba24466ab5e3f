"""Checkpoints: the last one and every k epochs, whole or not at all, and a stop that loses nothing."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, LAST
from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.training.callbacks.validation import ValidationCallback
from cyclegan_audio.training.distributed import say
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.hints import command_line


def resume_command(run_dir: str | Path, command: str = "train") -> str:
    """What goes on with a run of `command`, for a shell."""
    return command_line(command, f"resume={run_dir}")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints beside their place, to the disk, then renames: whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`; what was there before stays until the new one is whole."""
        with atomic_path(Path(path), single_writer=True, fsync=True) as part, part.open("wb") as file:
            torch.save(checkpoint, file)


class CheckpointCallback(pl.Callback):
    """Writes `checkpoints/last.ckpt` after each epoch and `epoch_0010.ckpt` after every `every_epochs`.

    With `every_minutes`, `last.ckpt` is also written within epochs. `best.ckpt` holds the networks (not what
    resuming needs) where `ValidationCallback` found them best. A skipped batch leaves `last.ckpt` as it is.

    Ctrl-C (or SIGTERM) lets the batch in hand end, writes `last.ckpt` and stops; a second one stops at once.

    Attributes:
        stop_asked: whether somebody wants the run, and the sweep that it is part of, to end.

    Raises:
        UserError: the folder cannot be written; the checkpoint before stays.
    """

    def __init__(self, run_dir: str, every_epochs: int = 10, every_minutes: float | None = None) -> None:
        check_number("callbacks.checkpoints.every_epochs", every_epochs, low=1, integer=True)
        if every_minutes is not None:
            check_number("callbacks.checkpoints.every_minutes", every_minutes, low=0)
        self.run_dir = Path(run_dir)
        self.every_epochs = every_epochs
        self.every_minutes = every_minutes
        self.saved_at = 0.0
        self.stop_asked = False
        self.handlers: dict[signal.Signals, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (self.run_dir / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers[number] = signal.signal(number, self._ask_to_stop)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._restore_handlers()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop_asked:
            signal.default_int_handler(number, frame)
        self.stop_asked = True
        say("stopping after this batch; press Ctrl-C again to stop now (may lose up to one epoch)")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.saved_at = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: RunModule, *args: Any) -> None:  # type: ignore[override]
        # Here, and not at a batch's end, Lightning's counters agree with what has been trained.
        if trainer.world_size > 1:  # one is enough, and all must know
            self.stop_asked = trainer.strategy.reduce_boolean_decision(self.stop_asked, all=False)
        if self.stop_asked:
            self.save(trainer, pl_module, LAST)
            say(f"stopped; go on with: {resume_command(self.run_dir, pl_module.command)}")
            raise KeyboardInterrupt
        if self.every_minutes is not None:
            due = time.monotonic() - self.saved_at >= 60 * self.every_minutes
            if trainer.world_size > 1:  # clocks differ, and all must save together
                due = trainer.strategy.reduce_boolean_decision(due, all=False)
            if due:
                self.save(trainer, pl_module, LAST)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: RunModule) -> None:  # type: ignore[override]
        done = trainer.current_epoch + 1
        if done % self.every_epochs == 0:
            self.save(trainer, pl_module, f"epoch_{done:04d}.ckpt")
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for held_out in (callback for callback in callbacks if isinstance(callback, ValidationCallback)):
            if held_out.best is not None and held_out.best[1] == pl_module.batches:
                self.save(trainer, pl_module, BEST)  # before the last one, which knows that this one is there
        self.save(trainer, pl_module, LAST)

    def save(self, trainer: pl.Trainer, module: RunModule, name: str) -> None:
        """Write `name` beside the others, unless the last batch was skipped."""
        self.saved_at = time.monotonic()
        if module.guard.state()["in_a_row"]:
            return
        target = self.run_dir / CHECKPOINTS / name
        try:
            trainer.save_checkpoint(target, weights_only=name == BEST)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
            said = str(error).splitlines()[0]
            raise UserError(
                f"the checkpoint {target} cannot be written ({said}); make room, then: "
                f"{resume_command(self.run_dir, module.command)}"
            ) from error
