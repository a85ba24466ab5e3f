"""Callback that writes checkpoints atomically (last, best, every k epochs) and stops cleanly on Ctrl-C."""

import shlex
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, LAST
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.training.callbacks.validation import ValidationCallback
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.utils.shortages import disk_reason
from cyclegan_audio.utils.signals import signal_handlers, silence_terminal


def resume_command(run_dir: str | Path, command: str = "train") -> str:
    """Return the shell command that resumes a run of `command`."""
    return command_line(command, f"resume={run_dir}")


def restart_advice(run_dir: Path, command: str) -> str:
    """Return how a run of `command` goes on after a failure: from its checkpoint, else from its start."""
    if (run_dir / CHECKPOINTS / LAST).is_file():
        return f"resume with: {resume_command(run_dir, command)}"
    return f"start it again with the same command and {shlex.quote(f'run_dir={run_dir}')} (no checkpoint yet)"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints to a temporary file, flush it to the disk, then rename it.

    Args:
        run_dir: the run's folder.
    """

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__()
        self.run_dir = Path(run_dir)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`; an old file stays until the new one is complete."""
        with atomic_path(Path(path), single_writer=True, fsync=True) as part, part.open("wb") as file:
            torch.save(checkpoint, file)

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint of this run.

        Lightning's `ModelCheckpoint` asks for any path that the resumed checkpoint names, also for folders.
        """
        file = Path(path)
        is_own = file.resolve().is_relative_to(self.run_dir.resolve()) and file.suffix == Path(LAST).suffix
        if is_own and file.is_file():
            file.unlink()


class CheckpointCallback(pl.Callback):
    """Write `checkpoints/last.ckpt` after each epoch and `epoch_0010.ckpt` after every `every_epochs`.

    With `every_minutes`, `last.ckpt` is also written within epochs. `best.ckpt` holds the networks (without
    optimizers) of the epoch with the best score of `ValidationCallback`. Nothing is written after a skipped
    batch.

    Ctrl-C (or SIGTERM, or SIGHUP from a closed terminal) ends the current batch, writes `last.ckpt` and
    stops; a second Ctrl-C stops at once.

    Attributes:
        stop_requested: whether to end the run and its sweep.
        stop_reported: whether a message has said that the run was stopped, and how to resume it.

    Raises:
        UserError: the folder cannot be written; the previous checkpoint stays.
    """

    def __init__(self, run_dir: str, every_epochs: int = 10, every_minutes: float | None = None) -> None:
        check_number("callbacks.checkpoints.every_epochs", every_epochs, low=1, integer=True)
        if every_minutes is not None:
            check_number("callbacks.checkpoints.every_minutes", every_minutes, low=0)
        self.run_dir = Path(run_dir)
        self.every_epochs = every_epochs
        self.every_minutes = every_minutes
        self.saved_at = 0.0
        self.stop_requested = self.stop_reported = False
        self.handlers = ExitStack()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (self.run_dir / CHECKPOINTS).mkdir(parents=True, exist_ok=True)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.handlers.close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self.handlers.close()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            silence_terminal()
        if self.stop_requested:
            if number != signal.SIGHUP:  # a shell and the system may both send it
                signal.default_int_handler(number, frame)
            return
        self.stop_requested = True
        rank_zero_print(
            "stopping after this batch; press Ctrl-C again to stop now (may lose up to one epoch)"
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.saved_at = time.monotonic()
        # After Lightning has set its handler of SIGTERM, which would end the fit without a checkpoint.
        self.handlers.enter_context(
            signal_handlers(self._request_stop, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        )

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        # Only here, not at a batch's end, Lightning's counters agree with the trained batches.
        if trainer.world_size > 1:  # one rank's request stops all
            self.stop_requested = trainer.strategy.reduce_boolean_decision(self.stop_requested, all=False)
        if self.stop_requested:
            self.save(trainer, pl_module, LAST)
            rank_zero_print(f"stopped; resume with: {resume_command(self.run_dir, pl_module.command)}")
            self.stop_reported = True
            raise KeyboardInterrupt
        if self.every_minutes is not None:
            due = time.monotonic() - self.saved_at >= 60 * self.every_minutes
            if trainer.world_size > 1:  # clocks differ, but all ranks save together
                due = trainer.strategy.reduce_boolean_decision(due, all=False)
            if due:
                self.save(trainer, pl_module, LAST)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: BaseModule) -> None:  # type: ignore[override]
        n_epochs = trainer.current_epoch + 1
        if n_epochs % self.every_epochs == 0:
            self.save(trainer, pl_module, f"epoch_{n_epochs:04d}.ckpt")
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for validation in (callback for callback in callbacks if isinstance(callback, ValidationCallback)):
            if validation.best is not None and validation.best[1] == pl_module.batches:
                self.save(trainer, pl_module, BEST)  # before last.ckpt: a run with last.ckpt has its best
        self.save(trainer, pl_module, LAST)

    def save(self, trainer: pl.Trainer, module: BaseModule, name: str) -> None:
        """Write the checkpoint `name`, unless the last batch was skipped."""
        self.saved_at = time.monotonic()
        if module.nonfinite_guard.state()["in_a_row"]:
            return
        target = self.run_dir / CHECKPOINTS / name
        try:
            trainer.save_checkpoint(target, weights_only=name == BEST)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
            raise UserError(
                f"the checkpoint {target} cannot be written ({disk_reason(error)}); free disk space, then "
                f"{restart_advice(self.run_dir, module.command)}"
            ) from error
