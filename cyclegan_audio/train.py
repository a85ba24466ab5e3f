"""Train a CycleGAN on two genres of a corpus: `python -m cyclegan_audio.train genre_pair=lofi_rnb`."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import build, hydra_main
from cyclegan_audio.data.demo_corpus import ensure_demo_corpus
from cyclegan_audio.data.seen import training_spans
from cyclegan_audio.devices import choose_device
from cyclegan_audio.errors import UserError, require_number
from cyclegan_audio.models.checkpoint import make_card
from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.run_folder import CHECKPOINTS, CONFIG, LAST
from cyclegan_audio.training.checkpoints import Checkpoints, resume_command
from cyclegan_audio.training.probe import choose_precision, choose_threads
from cyclegan_audio.training.resume import keep_run_folder, resumed_config, take_up, to_resume

VERBATIM = ("corpus", "run_dir", "resume", "genre_pair.a", "genre_pair.b")


def train(cfg: DictConfig, run_dir: Path) -> Path:
    """Train as `cfg` says, leaving everything in `run_dir`; returns it.

    Raises:
        UserError: the configuration, the corpus or the run to resume is not right.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    _quieten_lightning()
    require_number("seed", cfg.seed, low=0, high=2**32 - 1, whole=True)
    pl.seed_everything(cfg.seed, verbose=False)
    cfg.corpus = str(Path(cfg.corpus or ensure_demo_corpus(mel=cfg.get("mel"))).absolute())
    cfg.run_dir = str(run_dir)
    if cfg.resume is None and (run_dir / CHECKPOINTS / LAST).exists():
        raise UserError(
            f"{run_dir} holds a run already; go on by {resume_command(run_dir)}, or choose another run_dir="
        )
    _choose_arithmetic(cfg)
    model = build("model", cfg.model)
    model.configure_optimizers()  # here once, so that bad settings are refused before there is a run folder
    data = build("data", cfg.data, frame_multiple=model.gen_ab.frame_multiple)
    data.setup("fit")
    spans = training_spans(clip for clips in data.clips("train") for clip in clips)
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = to_resume(cfg.resume)
        spans = take_up(checkpoint, data, spans)
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    model.card = make_card(data.genres, data.mel, data.window_frames, plain, spans)
    model.card["composed"] = OmegaConf.to_yaml(cfg)  # resume= may change values that others follow
    with _folder_errors(run_dir):
        trainer = _trainer(cfg, model, plain)
        _write_config(cfg, run_dir)
        print(
            f"{' and '.join(data.genres)} from {cfg.corpus}; run folder {run_dir}; precision {cfg.precision}"
        )
        _fit(trainer, model, data, checkpoint)
    print(f"trained {model.batches} batches in {model.elapsed_s / 60:.1f} min; run folder: {run_dir}")
    if any(isinstance(callback, Checkpoints) and callback.stop_asked for callback in _callbacks(trainer)):
        raise KeyboardInterrupt  # asked for when the last batch was done; the other jobs of a sweep end too
    return run_dir


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]


def _trainer(cfg: DictConfig, model: CycleGAN, plain: dict[str, Any]) -> pl.Trainer:
    return build(
        "trainer",
        cfg.trainer,
        precision=cfg.precision,
        max_epochs=model.schedule.total_epochs,
        callbacks=[build(f"callbacks.{name}", callback) for name, callback in cfg.callbacks.items()],
        logger=build("logger", cfg.logger)(config=plain) if cfg.get("logger") else False,
        default_root_dir=cfg.run_dir,
    )


def _fit(trainer: pl.Trainer, model: CycleGAN, data: pl.LightningDataModule, checkpoint: Path | None) -> None:
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if trainer.interrupted:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error
        raise
    finally:
        if any(type(logger).__name__ == "WandbLogger" for logger in trainer.loggers):
            import wandb

            wandb.finish()  # so that the next job of a sweep starts its own


def _choose_arithmetic(cfg: DictConfig) -> None:
    """Settle `auto` in `threads` and `precision`; the configuration keeps the choice, for resuming."""
    accelerator = str(cfg.trainer.accelerator)
    if accelerator == "gpu":  # Lightning's name for whichever there is
        accelerator = "mps" if torch.backends.mps.is_available() else "cuda"
    device = choose_device(accelerator)
    generator = build("model.generator", cfg.model.generator)
    if device.type == "cpu":
        cfg.threads = choose_threads(cfg.threads, generator)
        torch.set_num_threads(cfg.threads)
    cfg.precision = choose_precision(cfg.precision, device, generator)


def _quieten_lightning() -> None:
    """Leave out what Lightning says about hardware that is not there and about its own internals."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`")
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", ".*does not have many workers")


@contextmanager
def _folder_errors(run_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the run folder {run_dir} cannot be written ({error}); make room, or choose another by run_dir="
        ) from error


def _write_config(cfg: DictConfig, run_dir: Path) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    part = run_dir / f"{CONFIG}.part"
    OmegaConf.save(cfg, part, resolve=True)
    os.replace(part, run_dir / CONFIG)


@hydra_main("train", before=keep_run_folder, verbatim=VERBATIM)
def main(cfg: DictConfig) -> None:
    """The command: `cfg` is `conf/train.yaml` with the command line's overrides."""
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    try:
        if cfg.resume is not None:
            cfg = resumed_config(cfg.resume, hydra.overrides.task)
        train(cfg, run_dir)
    except BaseException:
        _remove_empty(run_dir)
        raise


def _remove_empty(run_dir: Path) -> None:
    """Remove the run's folder, and those above it below the working directory, as far as they are empty."""
    here = Path.cwd()
    for folder in (run_dir, *(parent for parent in run_dir.parents if here in parent.parents)):
        try:
            folder.rmdir()
        except OSError:  # not empty
            break


if __name__ == "__main__":
    main()
