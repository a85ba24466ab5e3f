"""Checkpoints: the last one and every k epochs, whole or not at all, and a stop that loses nothing."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from cyclegan_audio.models.cyclegan import CycleGAN

FOLDER = "checkpoints"
LAST = "last.ckpt"


class Checkpoints(pl.Callback):
    """Writes `checkpoints/last.ckpt` after each epoch and `epoch_0010.ckpt` after every `every_epochs`.

    Ctrl-C (or SIGTERM) lets the batch in hand end, writes `last.ckpt` and stops; a second one stops at once.
    """

    def __init__(self, run_dir: str, every_epochs: int = 10) -> None:
        self.run_dir = Path(run_dir)
        self.every_epochs = every_epochs
        self.stop_asked = False
        self.handlers: dict[signal.Signals, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (self.run_dir / FOLDER).mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers[number] = signal.signal(number, self._ask_to_stop)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop_asked:
            signal.default_int_handler(number, frame)
        self.stop_asked = True
        print("\nstopping after this batch; once more stops at once and may lose up to an epoch")

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        # Here, and not at a batch's end, Lightning's counters agree with what has been trained.
        if self.stop_asked:
            self.save(trainer, LAST)
            print(f"stopped; go on with: python -m cyclegan_audio.train resume={self.run_dir}")
            raise KeyboardInterrupt

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: CycleGAN) -> None:  # type: ignore[override]
        done = trainer.current_epoch + 1
        if done % self.every_epochs == 0:
            self.save(trainer, f"epoch_{done:04d}.ckpt")
        self.save(trainer, LAST)

    def save(self, trainer: pl.Trainer, name: str) -> None:
        """Write `name` beside the others under a temporary name, then rename it."""
        target = self.run_dir / FOLDER / name
        part = target.with_suffix(".part")
        trainer.save_checkpoint(part)
        os.replace(part, target)
