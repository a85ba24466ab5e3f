"""Resume a run: find its checkpoint, its configuration with changes, and its position in the data."""

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config.allow_list import check_from_file, read_yaml
from cyclegan_audio.config.overrides import apply_overrides, overridden_keys
from cyclegan_audio.corpus.leakage import Intervals, merge_intervals
from cyclegan_audio.inference.checkpoints import read_checkpoint, resolve_run
from cyclegan_audio.inference.metadata import Count, StoredIntervals, naming
from cyclegan_audio.inference.run_paths import CONFIG, LAST
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.training.distributed import parent_run_dir, rank_zero_print
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.fields import Length, Range, check_fields, check_value, from_mapping
from cyclegan_audio.utils.hints import command_line, suggest_path

CHANGEABLE_GROUPS = (
    "callbacks",
    "acceleration",
    "logger",
    "trainer",
    "vocoder",
)  # others define the training
EXTRA_STATE = "._extra_state"  # the end of the names of random states and averages in a state dict
STATE_OPTIONS = {  # that turn random numbers or averages on, by the place of their state
    "inputs.corruption": "model.loss_weights.restoration",
    "inputs.variation": "model.source_variation.probability",
    "inputs.rng": "model.cycle_noise",
    "adversarial.lecam": "model.adversarial.lecam_weight",
    "adversarial": "noise, augmentation or consistency of model.adversarial",
}
NOT_OF_THE_RUN = ("resume=", "run_dir=", "trust_package=")  # never read from its checkpoint
PARTS = ("model", "data", "trainer", "callbacks")
MORE_EPOCHS = 25  # that a run at its end trains for longer, before the decay
COMMANDS_BY_PART = {"generator": "train", "network": "train_vocoder"}  # by a part of `model` that only it has


def find_resume_checkpoint(run: str) -> Path:
    """Return the checkpoint from which RUN resumes: its last, never its best.

    Raises:
        UserError: there is none.
    """
    path = resolve_run(run, prefer=(LAST,))
    if path.is_dir():
        raise UserError(f"{run} is a pretrained model, which cannot be resumed; train a new model")
    return path


def check_links(run_dir: Path) -> None:
    """Check that no file in the folder of a run to resume is a link to a file elsewhere.

    Training would write there: what a stranger chose, to where the stranger chose. The folders of earlier W&B
    runs are left out: W&B links to its own log from there, and writes there no more.

    Raises:
        UserError: one is.
    """
    root = os.path.realpath(run_dir)
    for folder, folders, names in os.walk(run_dir):
        if Path(folder) == run_dir / "wandb":
            folders.clear()
        for path in (os.path.join(folder, name) for name in names):
            if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(root):
                raise UserError(
                    f"{path} is a link to a file outside of the run, where training would write; delete it"
                )


def resolve_config(
    cfg: DictConfig, run_dir: Path, overrides: Sequence[str], networks: Sequence[str]
) -> DictConfig:
    """Return the configuration: as composed, as rank 0 wrote it, or of the run to resume.

    Raises:
        UserError: there is no run to resume, or the command line changes a fixed setting.
    """
    if parent_run_dir() is not None:
        return OmegaConf.load(run_dir / CONFIG)  # type: ignore[return-value]
    if cfg.resume is None:
        return cfg
    return resumed_config(cfg.resume, overrides, networks, trusted_packages(cfg))


def resumed_config(
    run: str, overrides: Sequence[str], networks: Sequence[str], trust_packages: Sequence[str] = ()
) -> DictConfig:
    """Return the configuration of the RUN to resume, with the changes of the command line.

    Args:
        run: RUN as on the command line.
        overrides: overrides of the command line.
        networks: parts of `model` that cannot be changed.
        trust_packages: packages whose networks and losses may be built from the checkpoint.

    Raises:
        UserError: no such run, a configuration that `config.allow_list` refuses, an invalid value, other
            networks, or a missing corpus.
    """
    saved = _read_configuration(run)
    changes = [change for change in overrides if not change.startswith(NOT_OF_THE_RUN)]
    container = OmegaConf.to_container(saved, resolve=False)
    check_from_file(container, run, given=overridden_keys(changes), trust_packages=trust_packages)
    if networks[0] not in saved.model:
        other = next(command for part, command in COMMANDS_BY_PART.items() if part in saved.model)
        raise UserError(f"{run} is a run of {other}; resume it with {command_line(other, f'resume={run}')}")
    if any(change.startswith("init_from=") for change in changes):
        raise UserError("resume= goes on with the networks of the run; leave out init_from=")
    before = {part: deepcopy(saved.model.get(part)) for part in networks}
    apply_overrides(saved, changes, CHANGEABLE_GROUPS)
    for part in networks:
        if saved.model.get(part) != before[part]:
            raise UserError(
                f"resume= cannot change the networks; leave out model.{part}.*, or train a new model"
            )
    _check_devices(saved.trainer.get("devices"))
    corpus = str(saved.get("corpus"))
    if not Path(corpus).is_dir():
        raise UserError(
            f"the corpus {corpus} of this run does not exist; give its folder with corpus=FOLDER"
            f"{suggest_path(corpus)}"
        )
    OmegaConf.set_struct(saved, False)
    saved.update(resume=run, trust_package=list(trust_packages) or None)
    OmegaConf.set_struct(saved, True)
    return saved


def _check_devices(devices: object) -> None:
    """Check that the run would not start more processes than this machine has devices.

    Raises:
        UserError: it would.
    """
    most = max(os.cpu_count() or 1, torch.cuda.device_count())
    if str(devices).isdigit() and int(str(devices)) > most:
        raise UserError(
            f"the run has trainer.devices={shortened(devices)}, and this machine at most {most}; "
            "give trainer.devices=NUMBER"
        )


def trusted_packages(cfg: DictConfig) -> list[str]:
    """Return the packages that `trust_package` names: a name, a list of names, or null."""
    names = cfg.get("trust_package")
    listed = names if isinstance(names, ListConfig) else [] if names is None else [names]
    return [str(name) for name in listed]


def _read_configuration(run: str) -> DictConfig:
    """Read the configuration of the RUN to resume.

    Raises:
        UserError: it has none, or a part is missing.
    """
    text = read_checkpoint(find_resume_checkpoint(run))["cyclegan_audio"].get("composed")
    if text is None:
        raise UserError(f"{run} has no configuration and cannot be resumed; train a new model")
    saved = read_yaml(text, run)
    missing = [part for part in PARTS if not isinstance(saved.get(part), DictConfig)]
    if not missing and not COMMANDS_BY_PART.keys() & saved.model.keys():
        missing = ["the networks of model"]
    if missing:
        raise UserError(f"the configuration in {run} lacks {missing[0]}; use another checkpoint of the run")
    return saved


def restore_data_position(checkpoint: Path, data: "ResumableData", model: BaseModule) -> Intervals:
    """Set the data to the epoch and the batch at which the checkpoint was written.

    Args:
        checkpoint: checkpoint of the run.
        data: set up.
        model: the resumed run's, with its metadata.

    Returns:
        The times of all training clips, before and after the resume.

    Raises:
        UserError: other genres, another mel or other networks, or nothing is left to train.
    """
    content = read_checkpoint(checkpoint)
    with naming(checkpoint):
        _check_position(content)
    check_training_left(content, model.schedule)
    before, metadata = content["cyclegan_audio"], model.metadata
    if before.get("genres") != metadata.get("genres"):
        raise UserError(
            f"{checkpoint} was trained on {before.get('genres')}, not on {metadata.get('genres')}; "
            "resume with the same genres"
        )
    mel_before, mel = (MelSpectrogram.from_dict(described.get("mel", {})) for described in (before, metadata))
    mel_before.check_compatible(mel, f"the checkpoint {checkpoint}", "the corpus")
    _check_state(checkpoint, content["state_dict"], model.state_dict())
    set_data_position(content, data)
    merged = merge_intervals(before["training_intervals"], metadata["training_intervals"])
    has_head_start = metadata["config"].get("init_from") is not None  # its clips are among those before
    if before["training_intervals"] != (merged if has_head_start else metadata["training_intervals"]):
        rank_zero_print("warning: the training clips of the corpus have changed since this run began")
    return merged


def _check_state(checkpoint: Path, state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that a checkpoint has the weights and the states of a model.

    Raises:
        UserError: weights are missing or have other shapes, or options that keep a state have changed.
    """
    shapes, expected_shapes = (
        {name: value.shape for name, value in values.items() if isinstance(value, Tensor)}
        for values in (state, expected)
    )
    names = {name for name, _ in shapes.items() ^ expected_shapes.items()}
    if not names:
        return
    in_both = shapes.keys() & expected_shapes.keys()
    if all(name.endswith(EXTRA_STATE) and name not in in_both for name in names):
        first = min(names)
        option = next((o for place, o in STATE_OPTIONS.items() if first.startswith(place)), "model")
        raise UserError(
            f"resume= cannot turn {option} on or off; leave that change out, or train a new model"
        )
    raise UserError(
        f"the weights in {checkpoint} are not of these networks, or of another version; "
        "use another checkpoint of the run, or train a new model"
    )


def _check_position(content: Mapping[str, Any]) -> None:
    """Check that a checkpoint has states of optimizers, and the counts from which a run continues.

    Raises:
        UserError: one is missing or invalid.
    """
    states = content.get("optimizer_states")
    check_value("optimizer_states", states, Annotated[list[dict[str, Any]], Length(1, 8)])
    check_value("loops", content.get("loops"), dict[str, Any])
    check_value("loops.fit_loop", content["loops"].get("fit_loop"), dict[str, dict[str, Any]])
    for name in ("epoch_progress", "epoch_loop.batch_progress"):
        counts = content["loops"]["fit_loop"].get(name, {}).get("current")
        check_value(f"loops.fit_loop.{name}.current", counts, dict[str, Count])
        from_mapping(_Progress, counts, f"loops.fit_loop.{name}.current")
    stored = from_mapping(_Position, content["cyclegan_audio"])
    check_fields(stored)


@dataclass(frozen=True)
class _Progress:
    """The counts that Lightning keeps of epochs and batches, which continue at `completed`."""

    started: int
    processed: int
    completed: int


@dataclass(frozen=True)
class _Position:
    """The counts of this package in a checkpoint."""

    batches: Count
    elapsed_s: Annotated[float, Range(0, 1e9)]
    training_intervals: StoredIntervals
    nonfinite_guard: dict[str, Count] = field(default_factory=dict)


class TrainingCompleteError(UserError):
    """The run to resume is already trained to its end."""


def check_training_left(content: Mapping[str, Any], schedule: LinearDecay) -> None:
    """Check that the run to resume has time and epochs left.

    Args:
        content: content of its checkpoint.
        schedule: schedule of the resumed run.

    Raises:
        TrainingCompleteError: nothing is left; the message says how to train longer.
    """
    elapsed_s = content["cyclegan_audio"]["elapsed_s"]
    if schedule.is_over(elapsed_s):
        raise TrainingCompleteError(
            f"nothing is left to train: max_minutes={schedule.max_minutes:g} limits the whole run, "
            f"which has used {elapsed_s / 60:.3g} min; give a larger max_minutes="
        )
    if content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] >= schedule.total_epochs:
        raise TrainingCompleteError(
            f"nothing is left to train: all {schedule.total_epochs} epochs of the run are done; "
            "give a larger n_epochs="
        )


def train_longer(run: str, minutes: float) -> list[str]:
    """Return the overrides with which a RUN to resume trains for `minutes` more, also after its end.

    Raises:
        UserError: there is no run to resume, or its checkpoint is damaged.
    """
    checkpoint = find_resume_checkpoint(run)
    content, n_epochs = read_checkpoint(checkpoint), _read_configuration(run).get("n_epochs")
    with naming(checkpoint):
        _check_position(content)
        check_value("n_epochs", n_epochs, Count)
    done = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    limit = content["cyclegan_audio"]["elapsed_s"] / 60 + minutes
    return [f"max_minutes={limit:g}", f"n_epochs={max(n_epochs, done + MORE_EPOCHS)}"]


class ResumableData(Protocol):
    """A data module that can start at any epoch and batch."""

    def set_epoch(self, epoch: int) -> None:
        """Set the next epoch, counted from 0."""

    def skip_batches(self, batches_done: int) -> None:
        """Skip the first batches of that epoch."""


def set_data_position(content: Mapping[str, Any], data: ResumableData) -> None:
    """Set the data to the position at which the checkpoint with this content was written."""
    progress = content["loops"]["fit_loop"]
    data.set_epoch(progress["epoch_progress"]["current"]["completed"])
    data.skip_batches(
        progress["epoch_loop.batch_progress"]["current"]["completed"] if _is_mid_epoch(progress) else 0
    )


def _is_mid_epoch(progress: dict[str, Any]) -> bool:
    epochs = progress["epoch_progress"]["current"]
    return bool(epochs["started"] > epochs["processed"])
