"""Callback that validates the model: metrics to `validation.csv` and loggers, the best score, warnings."""

import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, VALIDATION
from cyclegan_audio.metrics.validation import discriminator_auc, validation_diagnostics, validation_metrics
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.eval_mode import eval_mode
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.training.loggers import CSVLog
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.fields import Length, check_value

METRIC_PREFIX = "held_out/"  # of logged metrics
PATIENCE = 1 / 3  # share of the run over which a score that does not fall is warned of
STALE = "stale"  # among the signs that were warned of
SIGNS = {  # warn above (1) or below (-1) the threshold, with this text
    "disc_wins": (
        1,
        "the discriminator recognises nearly every translated patch, so the generator learns little",
    ),
    "moved": (-1, "the generator copies its input: give the identity loss less weight"),
    "variety": (
        -1,
        "all outputs are nearly the same (mode collapse): train again with a smaller learning rate",
    ),
    "checkerboard": (
        1,
        "checkerboard artefacts: see the grids; ResNets have fewer with model.generator.upsampling=nearest",
    ),
}


class ValidationCallback(pl.Callback):
    """Compute `metrics.validation` on the validation clips after every `every_epochs` and the last epoch.

    Args:
        run_dir: the run's folder.
        thresholds: for each of `SIGNS` the value beyond which to warn, once until it is back.
        every_epochs: interval in epochs.
        early_stop: end the run when the score has not fallen for `PATIENCE` of it; otherwise only warn.

    Attributes:
        best: the lowest score so far and its number of batches, or None.
        best_at: epochs and seconds of training until then; None after loading a checkpoint without them.
        n_worse: validations since then.
    """

    def __init__(
        self, run_dir: str, thresholds: Mapping[str, float], every_epochs: int = 5, early_stop: bool = False
    ) -> None:
        check_number("callbacks.validation.every_epochs", every_epochs, low=1, integer=True)
        for sign in SIGNS:
            check_number(f"callbacks.validation.thresholds.{sign}", thresholds.get(sign))
        check_value("early_stop", early_stop, bool)
        self.run_dir, self.early_stop = Path(run_dir), early_stop
        self.csv = CSVLog(self.run_dir / VALIDATION)
        self.every_epochs = every_epochs
        self.thresholds = dict(thresholds)
        self.best: tuple[float, int] | None = None
        self.best_at: list[float] | None = None
        self.n_worse = 0
        self.warned: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_at": self.best_at,
            "n_worse": self.n_worse,
            "warned": self.warned,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best, warned = state_dict["best"], state_dict["warned"]
        check_value("callbacks.ValidationCallback.warned", warned, list[str])
        if best is not None:
            score, batches = best
            best = (float(score), int(batches))
        best_at, n_worse = state_dict.get("best_at"), state_dict.get("n_worse", 0)
        if best_at is not None:
            check_value("callbacks.ValidationCallback.best_at", best_at, Annotated[list[float], Length(2, 2)])
        check_value("callbacks.ValidationCallback.n_worse", n_worse, int)
        self.best, self.best_at, self.n_worse, self.warned = best, best_at, n_worse, warned

    def on_train_start(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.csv.start(validation_columns(pl_module), pl_module.batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        done = trainer.current_epoch + 1
        is_last = trainer.should_stop or done == trainer.max_epochs
        if is_last or done % self.every_epochs == 0:
            self.validate(trainer, pl_module)

    def validate(self, trainer: pl.Trainer, module: TranslationModule) -> None:
        """Compute and log the metrics of the current weights; update the best score; warn."""
        clips, signs = self.translate_clips(trainer, module)
        metrics = {**validation_metrics(clips), **validation_diagnostics(clips), **signs}
        if trainer.is_global_zero:
            self.csv.add(
                {"batch": module.batches, "epoch": trainer.current_epoch, **_elapsed(module), **metrics}
            )
        named = {f"{METRIC_PREFIX}{name}": value for name, value in metrics.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named, module.batches)
        module.log_dict(named, logger=False)  # to `trainer.callback_metrics`
        now = [trainer.current_epoch + 1.0, module.elapsed_s]
        self.n_worse += 1
        if self.best is None or math.isnan(self.best[0]) or metrics["score"] < self.best[0]:
            self.best, self.best_at, self.n_worse = (metrics["score"], module.batches), now, 0
        self.warn(metrics)
        self.best_at = self.best_at or now
        done, best = (module.schedule.progress(*at) for at in (now, self.best_at))
        # No score counts before the warm-up is over, and a single worse one is chance.
        stale = done - max(best, module.warm_up.share) > PATIENCE - 1e-9 and self.n_worse > 1
        self.react_to_stale_score(trainer, stale and done < 1 and module.warm_up.is_over)
        if done >= 1 and not module.warm_up.is_over:
            rank_zero_print(
                "warning: the run ended within pretrain_minutes=: it has learnt to restore clips, not to "
                "translate; train longer, or choose fewer minutes"
            )

    def react_to_stale_score(self, trainer: pl.Trainer, stale: bool) -> None:
        """End the run if the score is `stale` and `early_stop` is on; otherwise warn of it once."""
        if stale and self.best is not None and (self.early_stop or STALE not in self.warned):
            what = "training ends" if self.early_stop else "early_stop=true would end the run"
            rank_zero_print(
                f"warning: the held-out score has not fallen for a third of the run: {what}; it was best "
                f"after {self.best[1]} batches: {self.run_dir / CHECKPOINTS / BEST}"
            )
        self.warned = [sign for sign in self.warned if sign != STALE] + [STALE] * stale
        trainer.should_stop = trainer.should_stop or (stale and self.early_stop)

    @torch.no_grad()
    def translate_clips(
        self, trainer: pl.Trainer, module: TranslationModule
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return all validation clips and translations, on the CPU, and the AUC of each discriminator."""
        parts: list[dict[str, Tensor]] = []
        with eval_mode(module):
            for batch in trainer.datamodule.validation_batches():  # type: ignore[attr-defined]
                reals = {name: batch[name].to(module.device) for name in ("real_a", "real_b")}
                with trainer.precision_plugin.val_step_context():
                    out = {**reals, **module.translate_batch(reals, use_ema=True)}
                    for domain, disc in module.discriminators().items():
                        out |= {
                            f"{kind}_score_{domain}": disc(out[f"{kind}_{domain}"])
                            for kind in ("real", "fake")
                        }
                parts.append({name: x.float().cpu() for name, x in out.items()})
        clips = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        shares = {
            f"disc_wins_{direction}": discriminator_auc(
                clips.pop(f"real_score_{direction[1]}"), clips.pop(f"fake_score_{direction[1]}")
            )
            for direction in module.directions
            if direction[1] in module.discriminators()
        }
        return clips, shares

    def warn(self, metrics: Mapping[str, float]) -> None:
        """Warn of signs that have passed their thresholds since the last validation."""
        warned = [STALE] if STALE in self.warned else []
        for (sign, (side, text)), direction in product(SIGNS.items(), DIRECTIONS):
            name = f"{sign}_{direction}"
            value, threshold = metrics.get(name, self.thresholds[sign]), self.thresholds[sign]
            if side * value > side * threshold:
                warned.append(name)
                if name not in self.warned:
                    rank_zero_print(f"warning: {name} {value:.3g} (threshold {threshold:g}): {text}")
        self.warned = warned


def validation_columns(module: TranslationModule) -> list[str]:
    """Return the columns of `validation.csv` for the module's directions."""
    directions = module.directions
    if directions == DIRECTIONS:
        content = [f"cycle_{direction[0]}" for direction in directions]
    else:
        content = [f"lost_{direction}" for direction in directions]
    return [
        *("batch", "epoch", "elapsed_s", "score"),
        *(f"genre_{direction}" for direction in directions),
        *content,
        *(f"identity_{domain}" for domain in module.targets),
        *(f"{sign}_{direction}" for sign in SIGNS for direction in directions),
    ]


def _elapsed(module: TranslationModule) -> dict[str, float]:
    return {"elapsed_s": round(module.elapsed_s, 2)}
