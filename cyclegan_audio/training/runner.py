"""Run a training command from its configuration to its end: seeds, trainer, run folder, fit."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import build
from cyclegan_audio.config.allow_list import write_yaml
from cyclegan_audio.corpus.leakage import training_intervals
from cyclegan_audio.demo import corpus as demo_corpus
from cyclegan_audio.inference.run_paths import CHECKPOINTS, CONFIG, LAST, LOCK
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.training.callbacks.checkpoints import (
    AtomicCheckpointIO,
    CheckpointCallback,
    restart_advice,
    resume_command,
)
from cyclegan_audio.training.distributed import (
    check_shared_run_dir,
    is_local_zero,
    parent_run_dir,
    rank_environment,
    rank_zero_print,
    rank_zero_print_next,
)
from cyclegan_audio.training.recipes import Recipe
from cyclegan_audio.training.resume import (
    check_links,
    find_resume_checkpoint,
    resolve_config,
    restore_data_position,
)
from cyclegan_audio.training.sweep import is_unfinished_job, rerun_job, run_job
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import (
    ReportedInterrupt,
    UserError,
    check_number,
    check_utf8,
    error_reason,
)
from cyclegan_audio.utils.locks import LockedError, process_lock
from cyclegan_audio.utils.shortages import Shortage, find_shortage


def train(recipe: Recipe[Any, Any], cfg: DictConfig, run_dir: Path) -> dict[str, float]:
    """Train with the configuration `cfg`; all results are in `run_dir`.

    Returns:
        The last validation metrics by name.

    Raises:
        UserError: the configuration, the corpus or the run to resume is invalid.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    setup_run(cfg, run_dir, recipe.command)
    if cfg.resume is not None:
        check_links(run_dir)
    cfg.corpus = str(Path(cfg.corpus or demo_corpus.ensure_demo_corpus(mel=cfg.get("mel"))).absolute())
    with resume_errors(cfg.resume):
        model, data = recipe.assemble(cfg)
        model.configure_optimizers()  # refuse invalid settings before there is a run folder
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    model.metadata = recipe.metadata(model, data, config, training_intervals(recipe.training_clips(data)))
    model.metadata["composed"] = write_yaml(cfg)  # resume= may change values that others refer to
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = find_resume_checkpoint(cfg.resume)
        with resume_errors(cfg.resume):
            model.metadata["training_intervals"] = restore_data_position(checkpoint, data, model)
    return run_training(cfg, model, data, checkpoint, config, recipe.title(cfg, data))


def run_command(recipe: Recipe[Any, Any], cfg: DictConfig) -> float | None:
    """Train by the command line: a single run, a further rank, or a job of a sweep.

    Args:
        recipe: recipe of the command.
        cfg: its configuration with the overrides of the command line.

    Returns:
        The sum of `optimized_metric` of a sweep's job, for sweepers that search; otherwise None.
    """
    hydra = HydraConfig.get()
    run_dir, overrides = Path(hydra.runtime.output_dir), hydra.overrides.task
    is_job = hydra.mode == RunMode.MULTIRUN
    train_this = partial(train, recipe)
    try:
        cfg = resolve_config(cfg, run_dir, overrides, recipe.networks)
        if parent_run_dir() is not None:
            train_this(cfg, run_dir)
            return None
        if is_job and "optimized_metric" in cfg:
            return run_job(train_this, cfg, run_dir, overrides)
        check_shared_run_dir(cfg, overrides)
        if is_unfinished_job(run_dir):
            rerun_job(train_this, cfg, run_dir)
        else:
            train_this(cfg, run_dir)
        if not is_job:
            rank_zero_print_next(*recipe.next_commands(cfg, run_dir))
        return None
    except BaseException:
        remove_empty_folders(run_dir)
        raise


def setup_run(cfg: DictConfig, run_dir: Path, command: str) -> None:
    """Set all seeds; check that the folder does not hold a run, unless it is resumed.

    Raises:
        UserError: the seed is not a number, a path is not UTF-8, or the folder holds a run.
    """
    quieten_libraries()
    check_utf8("the run folder", run_dir)
    check_utf8("the corpus", cfg.corpus)
    check_number("seed", cfg.seed, low=0, high=2**32 - 1, integer=True)
    pl.seed_everything(cfg.seed, verbose=False)
    cfg.run_dir = str(run_dir)
    if cfg.resume is None and is_local_zero() and (run_dir / CHECKPOINTS / LAST).exists():
        raise UserError(
            f"{run_dir} already holds a run; resume it with {resume_command(run_dir, command)}, "
            "or choose another run_dir="
        )


def run_training(
    cfg: DictConfig,
    model: BaseModule,
    data: pl.LightningDataModule,
    checkpoint: Path | None,
    config: dict[str, Any],
    title: str,
) -> dict[str, float]:
    """Train in the run's folder, from `checkpoint` if there is one, and print start and end.

    Returns:
        The last validation metrics by name.

    Raises:
        UserError: the folder cannot be written, or training broke down.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    run_dir = Path(cfg.run_dir)
    with folder_errors(run_dir, model.command):
        with resume_errors(cfg.resume):
            trainer = build_trainer(cfg, model, config)
        with run_lock(run_dir, trainer.is_global_zero), rank_environment(run_dir):
            write_config(cfg, run_dir)
            rank_zero_print(f"{title}; run folder {run_dir}; precision {cfg.precision}")
            fit(trainer, model, data, checkpoint)
    rank_zero_print(f"{model.describe_work()}; run folder: {run_dir}")
    if was_stopped(trainer):
        raise KeyboardInterrupt  # ends the other jobs of a sweep too
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def was_stopped(trainer: pl.Trainer) -> bool:
    """Return whether a stop was requested during the last batch of the run."""
    return any(callback.stop_requested for callback in _checkpoint_callbacks(trainer))


def _checkpoint_callbacks(trainer: pl.Trainer) -> list[CheckpointCallback]:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, CheckpointCallback)]


def build_trainer(cfg: DictConfig, model: BaseModule, config: dict[str, Any]) -> pl.Trainer:
    """Build the trainer of `cfg` with its callbacks and logger.

    Raises:
        UserError: one of `callbacks` is null or no callback, or a value is invalid.
    """
    if null := [name for name, callback in cfg.callbacks.items() if callback is None]:
        raise UserError(f"callbacks.{null[0]} must not be null; to leave it out, write ~callbacks.{null[0]}")
    callbacks = {name: build(f"callbacks.{name}", callback) for name, callback in cfg.callbacks.items()}
    if others := [name for name, callback in callbacks.items() if not isinstance(callback, pl.Callback)]:
        raise UserError(f"callbacks.{others[0]} is not a Lightning callback; correct its _target_")
    return build(
        "trainer",
        cfg.trainer,
        precision=cfg.precision,
        max_epochs=model.schedule.total_epochs,
        callbacks=list(callbacks.values()),
        logger=build("logger", cfg.logger)(config=config) if cfg.get("logger") else False,
        default_root_dir=cfg.run_dir,
        plugins=[AtomicCheckpointIO(cfg.run_dir)],
    )


def fit(
    trainer: pl.Trainer, model: BaseModule, data: pl.LightningDataModule, checkpoint: Path | None
) -> None:
    """Train; Ctrl-C raises KeyboardInterrupt after the checkpoint is written.

    Raises:
        UserError: the checkpoint does not fit the networks, the optimizers or the trainer.
    """
    try:
        with resume_errors(checkpoint, model):
            trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if trainer.interrupted:  # Lightning's reaction to Ctrl-C
            is_reported = any(callback.stop_reported for callback in _checkpoint_callbacks(trainer))
            raise (ReportedInterrupt if is_reported else KeyboardInterrupt) from error
        raise


def quieten_libraries() -> None:
    """Silence messages of libraries about missing hardware and their own internals."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`")
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", ".*does not have many workers")
    warnings.filterwarnings("ignore", "It is recommended to use .self.log")  # all ranks have the same numbers
    warnings.filterwarnings("ignore", ".*weight_norm. is deprecated")  # vocos uses it


@contextmanager
def resume_errors(run: str | Path | None, model: BaseModule | None = None) -> Iterator[None]:
    """Turn errors within the block into one line about a run, whose file names what is built and restored.

    Args:
        run: the run to resume, or its checkpoint; None for a new run, whose errors stay.
        model: its errors stay too, once it has started to train.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        if run is None or (model is not None and model.has_started) or find_shortage(error):
            raise
        raise UserError(
            f"{run} cannot be resumed ({type(error).__name__}: {error_reason(error)}); it is damaged or of "
            "another version, use another checkpoint of the run"
        ) from error


@contextmanager
def folder_errors(run_dir: Path, command: str) -> Iterator[None]:
    """Turn file system errors within the block into one line about the run folder of `command`."""
    try:
        yield
    except OSError as error:
        shortage = find_shortage(error)
        if shortage not in (None, Shortage.DISK):
            raise
        again = f"free disk space, then {restart_advice(run_dir, command)}"
        remedy = again if shortage else "choose another with run_dir="
        raise UserError(f"the run folder {run_dir} cannot be written ({error}); {remedy}") from error


@contextmanager
def run_lock(run_dir: Path, is_writer: bool) -> Iterator[None]:
    """Keep other processes from training in `run_dir` within the block.

    Args:
        run_dir: the folder of the run; created if it is missing.
        is_writer: whether this rank writes the run; other ranks take no lock.

    Raises:
        UserError: another process trains in it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    if not is_writer:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(process_lock(run_dir / LOCK))
        except LockedError as error:
            raise UserError(
                f"another process trains in {run_dir}; wait until it ends, or stop it, and then resume"
            ) from error
        yield


def write_config(cfg: DictConfig, run_dir: Path) -> None:
    """Write `cfg` to the run folder, by the first process of a machine."""
    if not is_local_zero():
        return
    with atomic_path(run_dir / CONFIG) as part:
        OmegaConf.save(cfg, part, resolve=True)


def remove_empty_folders(run_dir: Path) -> None:
    """Remove the run folder and its parents below the working directory if they are empty."""
    here = Path.cwd()
    for folder in (run_dir, *(parent for parent in run_dir.parents if here in parent.parents)):
        try:
            folder.rmdir()
        except OSError:  # not empty
            break
