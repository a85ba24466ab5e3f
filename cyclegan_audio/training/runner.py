"""The training commands from their configuration to a clean end; what differs is a `Recipe`."""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import build
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.corpus.leakage import Intervals, training_intervals
from cyclegan_audio.demo import corpus as demo_corpus
from cyclegan_audio.inference.run_paths import CHECKPOINTS, CONFIG, LAST, LOCK
from cyclegan_audio.models.base_module import RunModule
from cyclegan_audio.training.autotune import Build, choose_precision, choose_threads
from cyclegan_audio.training.callbacks.checkpoints import (
    AtomicCheckpointIO,
    CheckpointCallback,
    resume_command,
)
from cyclegan_audio.training.distributed import (
    check_shared_folder,
    print_next_commands,
    rank_environment,
    say,
)
from cyclegan_audio.training.local_rank import is_local_zero, parents_run
from cyclegan_audio.training.resume import resolve_config, restore_data_position, to_resume
from cyclegan_audio.training.sweep import is_unfinished_job, rerun_job, run_job
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.locks import LockedError, process_lock

Model = TypeVar("Model", bound=RunModule)
Data = TypeVar("Data", bound=pl.LightningDataModule)


class Recipe(ABC, Generic[Model, Data]):
    """What a training command trains, and on what.

    Attributes:
        command: the verb.
        networks: parts of `model` that a resumed run keeps; the first one tells its runs from others.
    """

    command: str
    networks: tuple[str, ...]

    @abstractmethod
    def assemble(self, cfg: DictConfig) -> tuple[Model, Data]:
        """Build model and data, set up, with threads and precision chosen in `cfg`."""

    @abstractmethod
    def training_clips(self, data: Data) -> Iterable[Clip]:
        """List the clips that the run is trained on."""

    @abstractmethod
    def card(self, model: Model, data: Data, config: dict[str, Any], spans: Intervals) -> dict[str, Any]:
        """Describe, in plain values, what makes a checkpoint usable alone."""

    @abstractmethod
    def title(self, cfg: DictConfig, data: Data) -> str:
        """Name what is trained."""

    @abstractmethod
    def next_commands(self, cfg: DictConfig, run_dir: Path) -> list[str]:
        """Name the commands that use the run."""


def train(recipe: Recipe[Any, Any], cfg: DictConfig, run_dir: Path) -> dict[str, float]:
    """Train as `cfg` says, leaving everything in `run_dir`.

    Returns:
        The last numbers of held-out clips by name.

    Raises:
        UserError: the configuration, the corpus or the run to resume is not right.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    setup_run(cfg, run_dir, recipe.command)
    cfg.corpus = str(Path(cfg.corpus or demo_corpus.ensure_demo_corpus(mel=cfg.get("mel"))).absolute())
    model, data = recipe.assemble(cfg)
    model.configure_optimizers()  # here once, so that bad settings are refused before there is a run folder
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    model.card = recipe.card(model, data, plain, training_intervals(recipe.training_clips(data)))
    model.card["composed"] = OmegaConf.to_yaml(cfg)  # resume= may change values that others follow
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = to_resume(cfg.resume)
        model.card["training_intervals"] = restore_data_position(checkpoint, data, model.card, model.schedule)
    return run_training(cfg, model, data, checkpoint, plain, recipe.title(cfg, data))


def run_command(recipe: Recipe[Any, Any], cfg: DictConfig) -> float | None:
    """Train as the command line says: alone, as a further process, or as a job of a sweep.

    Args:
        recipe: what to train.
        cfg: the command's configuration with the overrides of the command line.

    Returns:
        The sum of `optimized_metric` of a job, for sweepers that search; None without one.
    """
    hydra = HydraConfig.get()
    run_dir, overrides = Path(hydra.runtime.output_dir), hydra.overrides.task
    is_job = hydra.mode == RunMode.MULTIRUN
    train_this = partial(train, recipe)
    try:
        cfg = resolve_config(cfg, run_dir, overrides, recipe.networks)
        if parents_run() is not None:
            train_this(cfg, run_dir)
            return None
        if is_job and "optimized_metric" in cfg:
            return run_job(train_this, cfg, run_dir, overrides)
        check_shared_folder(cfg, overrides)
        if is_unfinished_job(run_dir):
            rerun_job(train_this, cfg, run_dir)
        else:
            train_this(cfg, run_dir)
        if not is_job:
            print_next_commands(*recipe.next_commands(cfg, run_dir))
        return None
    except BaseException:
        remove_empty(run_dir)
        raise


def setup_run(cfg: DictConfig, run_dir: Path, command: str) -> None:
    """Seed everything; refuse a folder that holds a run already where it is not this one that goes on.

    Raises:
        UserError: the seed is no number, or the folder holds a run.
    """
    quieten_libraries()
    check_number("seed", cfg.seed, low=0, high=2**32 - 1, integer=True)
    pl.seed_everything(cfg.seed, verbose=False)
    cfg.run_dir = str(run_dir)
    if cfg.resume is None and is_local_zero() and (run_dir / CHECKPOINTS / LAST).exists():
        raise UserError(
            f"{run_dir} holds a run already; go on by {resume_command(run_dir, command)}, "
            "or choose another run_dir="
        )


def run_training(
    cfg: DictConfig,
    model: RunModule,
    data: pl.LightningDataModule,
    checkpoint: Path | None,
    plain: dict[str, Any],
    what: str,
) -> dict[str, float]:
    """Train in the run's folder, from `checkpoint` on where there is one, and say so.

    Returns:
        The last numbers of held-out clips by name.

    Raises:
        UserError: the folder cannot be written, or training broke down.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    run_dir = Path(cfg.run_dir)
    with folder_errors(run_dir):
        trainer = make_trainer(cfg, model, plain)
        with run_lock(run_dir, trainer.is_global_zero), rank_environment(run_dir):
            write_config(cfg, run_dir)
            say(f"{what}; run folder {run_dir}; precision {cfg.precision}")
            fit(trainer, model, data, checkpoint)
    say(f"trained {model.batches} batches in {model.elapsed_s / 60:.1f} min; run folder: {run_dir}")
    if was_stopped(trainer):
        raise KeyboardInterrupt  # the other jobs of a sweep end too
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def was_stopped(trainer: pl.Trainer) -> bool:
    """Whether somebody asked for the end of the run when its last batch was done."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(callback, CheckpointCallback) and callback.stop_asked for callback in callbacks)


def choose_precision_and_threads(cfg: DictConfig, generator: Build) -> None:
    """Settle `auto` in `threads` and `precision`; the configuration keeps the choice, for resuming."""
    accelerator = str(cfg.trainer.accelerator)
    if accelerator == "gpu":  # Lightning's name for whichever there is
        accelerator = "mps" if torch.backends.mps.is_available() else "cuda"
    device = choose_device(accelerator)
    if device.type == "cpu":
        cfg.threads = choose_threads(cfg.threads, generator)
        torch.set_num_threads(cfg.threads)
    cfg.precision = choose_precision(cfg.precision, device)


def make_trainer(cfg: DictConfig, model: RunModule, plain: dict[str, Any]) -> pl.Trainer:
    """The trainer that `cfg` describes, with its callbacks and logger."""
    return build(
        "trainer",
        cfg.trainer,
        precision=cfg.precision,
        max_epochs=model.schedule.total_epochs,
        callbacks=[build(f"callbacks.{name}", callback) for name, callback in cfg.callbacks.items()],
        logger=build("logger", cfg.logger)(config=plain) if cfg.get("logger") else False,
        default_root_dir=cfg.run_dir,
        plugins=[AtomicCheckpointIO()],
    )


def fit(trainer: pl.Trainer, model: RunModule, data: pl.LightningDataModule, checkpoint: Path | None) -> None:
    """Train; Ctrl-C comes out as KeyboardInterrupt once the checkpoint is written."""
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if trainer.interrupted:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error
        raise


def quieten_libraries() -> None:
    """Leave out what libraries say about hardware that is not there and about their own internals."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`")
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", ".*does not have many workers")
    warnings.filterwarnings("ignore", "It is recommended to use .self.log")  # ranks find the same numbers
    warnings.filterwarnings("ignore", ".*weight_norm. is deprecated")  # which vocos uses


@contextmanager
def folder_errors(run_dir: Path) -> Iterator[None]:
    """Errors of the file system within the block become one line about the run's folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the run folder {run_dir} cannot be written ({error}); make room, or choose another by run_dir="
        ) from error


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
    """Keep `cfg` in the run's folder; by the first process of a machine."""
    if not is_local_zero():
        return
    with atomic_path(run_dir / CONFIG) as part:
        OmegaConf.save(cfg, part, resolve=True)


def remove_empty(run_dir: Path) -> None:
    """Remove the run's folder, and those above it below the working directory, as far as they are empty."""
    here = Path.cwd()
    for folder in (run_dir, *(parent for parent in run_dir.parents if here in parent.parents)):
        try:
            folder.rmdir()
        except OSError:  # not empty
            break
