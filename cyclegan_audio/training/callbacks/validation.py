"""Held-out clips while a run goes: numbers to `validation.csv` and the loggers, the best, and warnings."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.inference.run_paths import VALIDATION
from cyclegan_audio.metrics.validation import discriminator_auc, validation_diagnostics, validation_metrics
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.csv_log import CSVLog
from cyclegan_audio.training.distributed import say
from cyclegan_audio.utils.errors import check_number

HELD_OUT = "held_out/"  # before the names of what is logged
SIGNS = {  # whether a value beyond its threshold is a bad sign above (1) or below (-1) it, and what it says
    "disc_wins": (1, "the discriminator tells nearly every held-out patch: the generator learns little more"),
    "moved": (-1, "the generator copies its input: give the identity loss less weight"),
    "variety": (-1, "all inputs become much the same output: train anew with a smaller learning rate"),
    "checkerboard": (1, "a pattern repeats with the up-sampling's period: look at the grids"),
}


class ValidationCallback(pl.Callback):
    """After every `every_epochs` and the last epoch, judges the validation clips (`metrics.held_out`).

    Args:
        run_dir: the run's folder.
        every_epochs: how often.
        thresholds: for each of `SIGNS` the value beyond which it is warned of, once until it has gone.

    Attributes:
        best: the lowest score so far and the batches after which it was reached, or None.
    """

    def __init__(self, run_dir: str, thresholds: Mapping[str, float], every_epochs: int = 5) -> None:
        check_number("callbacks.validation.every_epochs", every_epochs, low=1, integer=True)
        for sign in SIGNS:
            check_number(f"callbacks.validation.thresholds.{sign}", thresholds.get(sign))
        self.table = CSVLog(Path(run_dir) / VALIDATION)
        self.every_epochs = every_epochs
        self.thresholds = dict(thresholds)
        self.best: tuple[float, int] | None = None
        self.warned: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "warned": self.warned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.warned = state_dict["best"], state_dict["warned"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.table.start(columns(pl_module), pl_module.batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        done = trainer.current_epoch + 1
        is_last = trainer.should_stop or done == trainer.max_epochs
        if is_last or done % self.every_epochs == 0:
            self.judge(trainer, pl_module)

    def judge(self, trainer: pl.Trainer, module: TranslationModule) -> None:
        """Write, log and compare the numbers of the weights as they are now."""
        clips, signs = self.measure(trainer, module)
        found = {**validation_metrics(clips), **validation_diagnostics(clips), **signs}
        if trainer.is_global_zero:
            self.table.add(
                {"batch": module.batches, "epoch": trainer.current_epoch, **_elapsed(module), **found}
            )
        named = {f"{HELD_OUT}{name}": value for name, value in found.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named, module.batches)
        module.log_dict(named, logger=False)  # to `trainer.callback_metrics`
        if self.best is None or found["score"] < self.best[0]:
            self.best = (found["score"], module.batches)
        self.warn(found)

    @torch.no_grad()
    def measure(
        self, trainer: pl.Trainer, module: TranslationModule
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """All held-out clips and translations, on the CPU, and how often the discriminators are right."""
        parts: list[dict[str, Tensor]] = []
        module.eval()
        try:
            for batch in trainer.datamodule.validation_batches():  # type: ignore[attr-defined]
                reals = {name: batch[name].to(module.device) for name in ("real_a", "real_b")}
                with trainer.precision_plugin.val_step_context():
                    out = {**reals, **module.translate_batch(reals, averaged=True)}
                    for domain, disc in module.discriminators().items():
                        out |= {
                            f"{kind}_score_{domain}": disc(out[f"{kind}_{domain}"])
                            for kind in ("real", "fake")
                        }
                parts.append({name: x.float().cpu() for name, x in out.items()})
        finally:
            module.train()
        clips = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        shares = {
            f"disc_wins_{direction}": discriminator_auc(
                clips.pop(f"real_score_{direction[1]}"), clips.pop(f"fake_score_{direction[1]}")
            )
            for direction in module.directions
        }
        return clips, shares

    def warn(self, found: Mapping[str, float]) -> None:
        """Say which signs have passed their thresholds since they were last looked at."""
        bad = []
        for (sign, (side, text)), direction in product(SIGNS.items(), DIRECTIONS):
            name = f"{sign}_{direction}"
            value, threshold = found.get(name, self.thresholds[sign]), self.thresholds[sign]
            if side * value > side * threshold:
                bad.append(name)
                if name not in self.warned:
                    say(f"warning: {name} {value:.3g} (threshold {threshold:g}): {text}")
        self.warned = bad


def columns(module: TranslationModule) -> list[str]:
    """Of `validation.csv`, for what the module learns."""
    ways = module.directions
    kept = [f"cycle_{way[0]}" for way in ways] if ways == DIRECTIONS else [f"lost_{way}" for way in ways]
    return [
        *("batch", "epoch", "elapsed_s", "score"),
        *(f"genre_{way}" for way in ways),
        *kept,
        *(f"identity_{domain}" for domain in module.targets),
        *(f"{sign}_{way}" for sign in SIGNS for way in ways),
    ]


def _elapsed(module: TranslationModule) -> dict[str, float]:
    return {"elapsed_s": round(module.elapsed_s, 2)}
