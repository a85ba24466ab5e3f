"""Going on with a run: its folder, its configuration, and its place in the data."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config.overrides import apply_overrides
from cyclegan_audio.corpus.leakage import Intervals, merge_intervals
from cyclegan_audio.inference.checkpoints import read_checkpoint, resolve_run
from cyclegan_audio.inference.run_paths import CONFIG, LAST
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.training.distributed import say
from cyclegan_audio.training.local_rank import parents_run
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, suggest_path

GROUPS = (
    "callbacks",
    "acceleration",
    "logger",
    "trainer",
    "vocoder",
)  # may be chosen anew; the others say what is learnt
COMMANDS = {"generator": "train", "network": "train_vocoder"}  # by a part that only their models have


def to_resume(run: str) -> Path:
    """The checkpoint that RUN goes on from: its last, never its best.

    Raises:
        UserError: there is none.
    """
    path = resolve_run(run, prefer=(LAST,))
    if path.is_dir():
        raise UserError(f"{run} ships without what training goes on from; train a model of your own")
    return path


def resolve_config(
    cfg: DictConfig, run_dir: Path, overrides: Sequence[str], networks: Sequence[str]
) -> DictConfig:
    """What to train: as composed, as the first rank wrote it, or of the run to resume (`resumed_config`).

    Raises:
        UserError: there is no run to resume, or the command line changes what cannot be changed.
    """
    if parents_run() is not None:
        return OmegaConf.load(run_dir / CONFIG)  # type: ignore[return-value]
    return cfg if cfg.resume is None else resumed_config(cfg.resume, overrides, networks)


def resumed_config(run: str, overrides: Sequence[str], networks: Sequence[str]) -> DictConfig:
    """The configuration of the RUN to resume, with what the command line names anew.

    Args:
        run: as a command takes it.
        overrides: of the command line.
        networks: parts of `model` that cannot be changed.

    Raises:
        UserError: no such run, a value that it does not have, other networks, or a corpus that is gone.
    """
    card = read_checkpoint(to_resume(run))["cyclegan_audio"]
    try:
        saved = OmegaConf.create(card["composed"])
    except KeyError as error:
        raise UserError(f"{run} does not keep its configuration and cannot be resumed; train anew") from error
    assert isinstance(saved, DictConfig)
    if networks[0] not in saved.model:
        other = next(command for part, command in COMMANDS.items() if part in saved.model)
        raise UserError(f"{run} is a run of {other}; go on by {command_line(other, f'resume={run}')}")
    before = {part: deepcopy(saved.model.get(part)) for part in networks}
    changes = [change for change in overrides if not change.startswith(("resume=", "run_dir="))]
    apply_overrides(saved, changes, GROUPS)
    for part in networks:
        if saved.model.get(part) != before[part]:
            raise UserError(
                f"resume= goes on with the same networks; leave out model.{part}.*, or train anew"
            )
    if not Path(saved.corpus).is_dir():
        raise UserError(
            f"the corpus {saved.corpus} of this run is not there; say where it lies by corpus=FOLDER"
            f"{suggest_path(saved.corpus)}"
        )
    saved.resume = run
    return saved


def restore_data_position(
    checkpoint: Path, data: "PlacedData", card: Mapping[str, Any], schedule: LinearDecay
) -> Intervals:
    """Let the data go on in the epoch and at the batch where the checkpoint was written.

    Args:
        checkpoint: of the run.
        data: set up.
        card: of the run as it is now.
        schedule: how long the run is to train now.

    Returns:
        The times of all clips that the run has been and will be trained on.

    Raises:
        UserError: other genres or another mel, or nothing is left to train.
    """
    content = read_checkpoint(checkpoint)
    check_work_left(content, schedule)
    before = content["cyclegan_audio"]
    if before.get("genres") != card.get("genres"):
        raise UserError(f"{checkpoint} was trained on {before['genres']}, not on {card['genres']}")
    mel_before, mel = (MelSpectrogram.from_dict(described["mel"]) for described in (before, card))
    mel_before.check_compatible(mel, f"the checkpoint {checkpoint}", "the corpus")
    place_data(content, data)
    if card["training_intervals"] != before["training_intervals"]:
        say("warning: the training clips of the corpus have changed since this run began")
    return merge_intervals(before["training_intervals"], card["training_intervals"])


class NothingLeftError(UserError):
    """The run to resume is trained to its end."""


def check_work_left(content: Mapping[str, Any], schedule: LinearDecay) -> None:
    """Refuse to resume a run that has used its time or its epochs.

    Args:
        content: of its checkpoint.
        schedule: how long it is to train now.

    Raises:
        NothingLeftError: how to train on.
    """
    elapsed_s = content["cyclegan_audio"]["elapsed_s"]
    if schedule.is_over(elapsed_s):
        raise NothingLeftError(
            f"max_minutes={schedule.max_minutes:g} counts the total time of a run, of which "
            f"{elapsed_s / 60:.3g} min are used: nothing is left to train; give a larger max_minutes="
        )
    if content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] >= schedule.total_epochs:
        raise NothingLeftError(
            f"all epochs of the run ({schedule.total_epochs}) are trained; give more by n_epochs= to train on"
        )


class PlacedData(Protocol):
    """A data module that can go on anywhere."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, that comes next."""

    def skip_batches(self, batches_done: int) -> None:
        """Leave out that many of its batches."""


def place_data(content: Mapping[str, Any], data: PlacedData) -> None:
    """Let the data go on where the checkpoint with this content was written."""
    progress = content["loops"]["fit_loop"]
    data.set_epoch(progress["epoch_progress"]["current"]["completed"])
    data.skip_batches(
        progress["epoch_loop.batch_progress"]["current"]["completed"] if _is_mid_epoch(progress) else 0
    )


def _is_mid_epoch(progress: dict[str, Any]) -> bool:
    epochs = progress["epoch_progress"]["current"]
    return bool(epochs["started"] > epochs["processed"])
