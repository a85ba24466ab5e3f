"""Train a candidate for a budget of CPU seconds of one core, or of batches; other work does not count.

The learning rate, the falling weights and the end follow the CPU time of the process since the start of
training, or the batches, not the clock. There is no validation, no preview, no tagger and no logger.
"""

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

import cyclegan_audio
from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.leakage import training_intervals
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.callbacks.checkpoints import AtomicCheckpointIO
from cyclegan_audio.training.recipes import TranslationRecipe
from cyclegan_audio.training.runner import setup_run, train
from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.devices import CPU_INFO
from cyclegan_audio.utils.errors import UserError, check_number

RECORD_FILE = "candidate.json"  # in the run folder, once it is trained
CALLBACKS = ("loss_log", "recovery", "checkpoints")
DEFAULTS = (  # so many epochs that only the CPU time ends a run; the learning rate falls in its second half
    "genre_pair=lofi_rnb", "n_epochs=1000000", "n_epochs_decay=1000000", "data.crop_frames=128",
    "init_from=null", "data.varispeed=0",  # the help for little music of model=cyclegan_small
    "callbacks.checkpoints.every_epochs=1000000", "callbacks.checkpoints.every_minutes=null",
)  # fmt: skip
FIXED = ("threads=1", "trainer.accelerator=cpu", "+trainer.enable_progress_bar=false", "logger=none")


class CPUClock(pl.Callback):
    """Count the time of training as CPU seconds of this process, and end the run by them.

    Attributes:
        cpu_s, wall_s: seconds from the start of training to its last batch.
    """

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0
        self._start = (0.0, 0.0)

    def start(self) -> None:
        """Start to count."""
        self._start = time.process_time(), time.monotonic()

    def read(self) -> float:
        """Return the CPU seconds since the start."""
        self.cpu_s, self.wall_s = time.process_time() - self._start[0], time.monotonic() - self._start[1]
        return self.cpu_s

    def elapsed_s(self, module: BaseModule) -> float:
        """Return the seconds of the budget that are over."""
        return self.read()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        pl_module.elapsed_s = self.elapsed_s(pl_module)  # before the module sets the learning rate by it

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        pl_module.elapsed_s = self.elapsed_s(pl_module)
        trainer.should_stop = pl_module.schedule.is_over(pl_module.elapsed_s)  # not by the clock


class BatchClock(CPUClock):
    """Let each batch take a second of the budget, and keep a checkpoint at each quarter of it.

    Args:
        run_dir: the run's folder.
        batches: the budget.
        until: batches after which the run ends, with the rates of the whole budget; None: at its end.
    """

    def __init__(self, run_dir: Path, batches: int, until: int | None = None) -> None:
        super().__init__()
        self.run_dir, self.quarters = run_dir, [batches * i // 4 for i in (1, 2, 3, 4)]
        self.until = until or batches

    def elapsed_s(self, module: BaseModule) -> float:
        """Return the number of batches."""
        self.read()
        return float(module.batches)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: BaseModule, *args: Any) -> None:  # type: ignore[override]
        super().on_train_batch_end(trainer, pl_module)
        if pl_module.batches in self.quarters:
            save_checkpoint(pl_module, self.run_dir, f"batch_{pl_module.batches:06d}.ckpt")
        trainer.should_stop |= pl_module.batches >= self.until


class TimedRecipe(TranslationRecipe):
    """The recipe of `train` with another clock.

    Args:
        clock: the clock.

    Attributes:
        model: the model, once it is assembled.
    """

    model: TranslationModule

    def __init__(self, clock: CPUClock) -> None:
        self.clock = clock

    def assemble(self, cfg: DictConfig) -> tuple[TranslationModule, UnpairedMelDataModule]:
        """Build model and data; Lightning asks the model for the clock."""
        self.model, data = super().assemble(cfg)
        self.model.configure_callbacks = lambda: [self.clock]  # type: ignore[method-assign]
        return self.model, data


def compose_candidate(
    corpus: str | Path, seconds: float, render_seconds: float, seed: int, overrides: Sequence[str]
) -> DictConfig:
    """Compose the configuration of `train` for a candidate.

    Args:
        corpus: folder of the training corpus.
        seconds: CPU seconds of the whole budget.
        render_seconds: CPU seconds of it that the rendering of the songs took.
        seed: seed of all random numbers.
        overrides: overrides of the configuration, such as `model=cyclegan_small`.

    Raises:
        UserError: nothing of the budget is left.
    """
    check_number("--render-seconds", render_seconds, low=0)
    if seconds <= render_seconds:
        raise UserError(
            f"rendering took {render_seconds:g} of {seconds:g} s; choose larger --seconds or fewer songs"
        )
    fixed = [*FIXED, f"seed={seed}", f"max_minutes={(seconds - render_seconds) / 60}"]
    cfg = compose("train", [*DEFAULTS, *overrides, *fixed])
    cfg.corpus = str(Path(corpus).absolute())
    cfg.callbacks = {name: cfg.callbacks[name] for name in CALLBACKS}
    return cfg


def train_candidate(cfg: DictConfig, run_dir: Path, clock: CPUClock) -> dict[str, Any]:
    """Train by the package's `train` until the clock ends it; return what it took.

    Raises:
        UserError: the configuration or the corpus is invalid, or the folder holds a run.
    """
    recipe = TimedRecipe(clock)
    train(recipe, cfg, run_dir)
    return measurements(recipe.model, clock, cfg)


def train_ceiling(cfg: DictConfig, run_dir: Path, clock: CPUClock) -> dict[str, Any]:
    """Train the generators alone by the L1 distance to the truth of true pairs; return what it took.

    It shows what the networks can learn in that time if they are told the answers.

    Raises:
        UserError: the corpus has no paired clips, or the configuration is invalid.
    """
    setup_run(cfg, run_dir, TranslationRecipe.command)
    recipe = TranslationRecipe()
    model, data = recipe.assemble(cfg)
    pairs = data.corpus.paired_clips(*data.genres)
    if not pairs:
        raise UserError(f"{cfg.corpus} has no paired clips; prepare it with source.paired_scores=40")
    mels = {
        domain: torch.stack([_load(data, pair[side]) for pair in pairs]) for side, domain in enumerate("ab")
    }
    model.acceleration = model.requested_acceleration.resolve(torch.device("cpu"), str(cfg.precision))
    model.acceleration.prepare(list(model.generators().values()))
    fit_pairs(model, mels, data, str(cfg.precision), clock)
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    intervals = training_intervals([clip for pair in pairs for clip in pair])
    model.metadata = recipe.metadata(model, data, config, intervals)
    save_checkpoint(model, run_dir)
    return measurements(model, clock, cfg)


def _load(data: UnpairedMelDataModule, clip: Any) -> Tensor:
    """Return the mel of a clip in [-1, 1]."""
    mel_db = data.corpus.mel_db(clip)
    return data.mel.normalise(mel_db, data.mel.range_db(mel_db))


def fit_pairs(
    model: TranslationModule,
    mels: dict[str, Tensor],
    data: UnpairedMelDataModule,
    precision: str,
    clock: CPUClock,
) -> None:
    """Train the generators of a model on pairs until its time is over.

    Args:
        model: the model; its optimizer, schedule and moving average are used, its losses are not.
        mels: the pairs by domain, each (N, M, F) in [-1, 1].
        data: its batch size and crops are used.
        precision: Lightning's name of the precision.
        clock: counts the time.
    """
    generators, optimizer = model.generators(), model.configure_optimizers()[0]
    rng = np.random.default_rng(model.seed)
    n_pairs, _, n_frames = mels["a"].shape
    frames = data.crop_frames or n_frames
    clock.start()
    while not model.schedule.is_over(clock.read()):
        factor = model.schedule.lr_factor(0, clock.cpu_s) * model.schedule.warm_up_factor(model.batches)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        rows, start = rng.integers(n_pairs, size=data.batch_size), int(rng.integers(n_frames - frames + 1))
        batch = {
            domain: pad_to_multiple(x[rows, None, :, start : start + frames], model.frame_multiple)
            for domain, x in mels.items()
        }
        loss = torch.zeros(())
        for name, generator in generators.items():
            source, target = (generator.training_input(batch[domain]) for domain in name[-2:])  # type: ignore[operator]
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                fake = generator(source)
            loss = loss + F.l1_loss(fake.float(), target)
        _step(optimizer, loss)
        if model.ema is not None:
            model.ema.update(generators)
        model.batches += 1
    model.elapsed_s = clock.cpu_s


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def save_checkpoint(model: BaseModule, run_dir: Path, name: str = LAST) -> None:
    """Write the model as a checkpoint of a run folder, without optimizers."""
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    path = run_dir / CHECKPOINTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    AtomicCheckpointIO(run_dir).save_checkpoint(checkpoint, path)


def measurements(model: TranslationModule, clock: CPUClock, cfg: DictConfig) -> dict[str, Any]:
    """Return what a training took, and on what."""
    generator = next(iter(model.generators().values()))
    return {
        "batches": model.batches,
        "cpu_s": round(clock.cpu_s, 2),
        "wall_s": round(clock.wall_s, 2),
        "precision": str(cfg.precision),
        "generator_parameters": sum(weights.numel() for weights in generator.parameters()),
        "cpu": cpu_name(),
        "versions": {
            "cyclegan_audio": cyclegan_audio.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def cpu_name() -> str:
    """Return the name of the CPU."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run_folder(out: Path, name: str, budget: str, seed: int) -> Path:
    """Return the folder of a run; budgets are such as "110s" and "3600b"."""
    return out / f"{name}_{budget}_seed{seed}"


def write_record(run_dir: Path, record: dict[str, Any]) -> None:
    """Write the record of a trained candidate into its run folder."""
    atomic_write_text(run_dir / RECORD_FILE, json.dumps(record, indent=1) + "\n")


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return the record of a trained candidate; empty for another model."""
    path = run_dir / RECORD_FILE
    return dict(json.loads(path.read_text())) if path.is_file() else {}
