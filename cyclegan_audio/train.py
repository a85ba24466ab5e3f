"""Train a CycleGAN on two genres of a corpus: `python -m cyclegan_audio.train genre_pair=lofi_rnb`."""

import logging
import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_audio.config import hydra_main
from cyclegan_audio.data.demo_corpus import ensure_demo_corpus
from cyclegan_audio.devices import choose_device
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.checkpoint import make_card, read_checkpoint, resolve_run
from cyclegan_audio.training.checkpoints import FOLDER, LAST
from cyclegan_audio.training.probe import choose_precision, choose_threads

CONFIG_FILE = "config.yaml"


def train(cfg: DictConfig, run_dir: Path) -> Path:
    """Train as `cfg` says, leaving everything in `run_dir`; returns it.

    Raises:
        UserError: the configuration, the corpus or the run to resume is not right.
    """
    _quieten_lightning()
    pl.seed_everything(cfg.seed, verbose=False)
    if cfg.corpus is None:
        cfg.corpus = str(ensure_demo_corpus())
    cfg.run_dir = str(run_dir)
    if cfg.resume is None and (run_dir / FOLDER / LAST).exists():
        raise UserError(f"{run_dir} holds a run already; resume={run_dir}, or choose another run_dir=")
    data = instantiate(cfg.data)
    data.setup("fit")
    _choose_arithmetic(cfg)
    plain = OmegaConf.to_container(cfg, resolve=True)
    model = instantiate(cfg.model, _convert_="all")
    model.card = make_card(data.genres, data.mel, data.window_frames, plain)  # type: ignore[arg-type]
    model.card["composed"] = OmegaConf.to_yaml(cfg)  # resume= may change values that others follow
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = resolve_run(cfg.resume)
        _take_up(checkpoint, data)
    _write_config(cfg, run_dir)
    trainer = instantiate(
        cfg.trainer,
        precision=cfg.precision,
        max_epochs=model.schedule.total_epochs,
        callbacks=[instantiate(callback) for callback in cfg.callbacks.values()],
        logger=instantiate(cfg.logger)(config=plain) if cfg.get("logger") else False,
        default_root_dir=cfg.run_dir,
    )
    print(f"{' and '.join(data.genres)} from {cfg.corpus}; run folder {run_dir}; precision {cfg.precision}")
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    finally:
        _finish(trainer)
    print(f"trained {model.batches} batches in {model.elapsed_s / 60:.1f} min; run folder: {run_dir}")
    return run_dir


def _choose_arithmetic(cfg: DictConfig) -> None:
    """Settle `auto` in `threads` and `precision`; the configuration keeps the choice, for resuming."""
    accelerator = str(cfg.trainer.accelerator)
    if accelerator == "gpu":  # Lightning's name for whichever there is
        accelerator = "mps" if torch.backends.mps.is_available() else "cuda"
    device = choose_device(accelerator)
    generator = instantiate(cfg.model.generator, _convert_="all")
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


def _take_up(checkpoint: Path, data: Any) -> None:
    """Let the data go on in the epoch and at the batch where the checkpoint was written."""
    content = read_checkpoint(checkpoint)
    card = content["cyclegan_audio"]
    if tuple(card["genres"]) != data.genres:
        raise UserError(f"{checkpoint} was trained on {card['genres']}, not on {list(data.genres)}")
    type(data.mel).from_dict(card["mel"]).require_same(data.mel, f"the checkpoint {checkpoint}", "the corpus")
    progress = content["loops"]["fit_loop"]
    data.set_epoch(progress["epoch_progress"]["current"]["completed"])
    data.start_at(
        progress["epoch_loop.batch_progress"]["current"]["completed"] if _is_mid_epoch(progress) else 0
    )


def _is_mid_epoch(progress: dict[str, Any]) -> bool:
    epochs = progress["epoch_progress"]["current"]
    return bool(epochs["started"] > epochs["processed"])


def _finish(trainer: pl.Trainer) -> None:
    """Close a W&B run, so that the next job of a sweep starts its own."""
    if any(type(logger).__name__ == "WandbLogger" for logger in trainer.loggers):
        import wandb

        wandb.finish()


def _write_config(cfg: DictConfig, run_dir: Path) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        part = run_dir / f"{CONFIG_FILE}.part"
        OmegaConf.save(cfg, part, resolve=True)
        os.replace(part, run_dir / CONFIG_FILE)
    except OSError as error:
        raise UserError(
            f"the run folder {run_dir} cannot be written ({error}); choose another by run_dir="
        ) from error


def _resumed(cfg: DictConfig, overrides: Iterable[str]) -> DictConfig:
    """The configuration of the run to resume, with what the command line names anew."""
    content = read_checkpoint(resolve_run(cfg.resume))
    saved = OmegaConf.create(content["cyclegan_audio"]["composed"])
    OmegaConf.set_struct(saved, True)
    changes = [
        change
        for change in HydraConfig.get().overrides.task
        if not change.startswith(("resume=", "run_dir="))
    ]
    groups = [
        change for change in changes if OmegaConf.is_dict(OmegaConf.select(saved, change.split("=")[0]))
    ]
    try:
        if groups:
            raise UserError(
                f"{groups[0]} names a whole group; with resume= change single values, as n_epochs=50"
            )
        saved.merge_with_dotlist(changes)
    except OmegaConfBaseException as error:
        raise UserError(f"with resume= only values that the run has can be changed ({error})") from error
    saved.resume = cfg.resume
    return saved


def _keep_run_folder(arguments: list[str]) -> list[str]:
    """Have `resume=RUN` go on in RUN's own folder."""
    runs = [argument.removeprefix("resume=") for argument in arguments if argument.startswith("resume=")]
    if not runs or runs[-1] in ("", "null") or any(argument.startswith("run_dir=") for argument in arguments):
        return arguments
    checkpoint = resolve_run(runs[-1])
    if checkpoint.parent.name != FOLDER:
        raise UserError(f"{checkpoint} does not lie in a run folder; name the run, or add run_dir=")
    return [*arguments, f"run_dir={checkpoint.parent.parent}"]


@hydra_main("train", before=_keep_run_folder)
def main(cfg: DictConfig) -> None:
    """The command: `cfg` is `conf/train.yaml` with the command line's overrides."""
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    if cfg.resume is not None:
        cfg = _resumed(cfg, HydraConfig.get().overrides.task)
    try:
        train(cfg, run_dir)
    except Exception:
        _remove_empty(run_dir)
        raise


def _remove_empty(run_dir: Path) -> None:
    """Remove the run's folder, and those above it below the working directory, as far as they are empty."""
    here = Path.cwd()
    for folder in (run_dir, *run_dir.parents):
        if folder == here or here not in folder.parents:
            break
        with suppress(OSError):  # not empty
            folder.rmdir()


if __name__ == "__main__":
    main()
