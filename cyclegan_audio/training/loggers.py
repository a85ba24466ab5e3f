"""Loggers beside the files in the run's folder."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlparse

import numpy as np
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from cyclegan_audio.inference.run_paths import TENSORBOARD, WANDB_ID
from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.errors import UserError

SCORE = "held_out/score"  # by which runs are listed: its least in W&B, its last beside TensorBoard's settings

Cell = str | int | float | Path | np.ndarray  # a WAV file; a picture (height, width, 3) uint8


@runtime_checkable
class MediaLogger(Protocol):
    """A Lightning logger that also takes pictures and sound. `step` is the number of batches trained."""

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """Log the PNG file `path` as `name`."""

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """Log the WAV file `path` as `name`."""

    def show_table(self, name: str, rows: Sequence[Mapping[str, Cell]], step: int) -> None:
        """Log a table as `name`: a mapping a row, from column to cell, the same columns in each."""


class WandbMediaLogger(WandbLogger):
    """Lightning's W&B logger as a `Dashboard`. Its run ends with its fit: the next job starts its own."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, begun on first use; its summary keeps the best held-out score."""
        is_begun = self._experiment is not None
        run = super().experiment
        if not is_begun:
            run.define_metric(SCORE, step_metric="trainer/global_step", summary="min")
        return run

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `Dashboard`."""
        self.log_image(name, [str(path)], step, caption=[caption])

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """See `Dashboard`."""
        self.log_audio(name, [str(path)], step)

    def show_table(self, name: str, rows: Sequence[Mapping[str, Cell]], step: int) -> None:
        """See `Dashboard`; W&B joins the tables of all steps by `runs.history.concat`."""
        cells = [[_wandb_cell(cell) for cell in row.values()] for row in rows]
        self.log_table(name, list(rows[0]), cells, step=step)

    @rank_zero_only
    def keep_files(self, name: str, kind: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Keep `files` as the artifact `name` of type `kind`, with what `about` says of it."""
        import wandb

        artifact = wandb.Artifact(name, kind, metadata=dict(about))
        for file in files:
            artifact.add_file(str(file))
        self.experiment.log_artifact(artifact)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload or write what is left, and end the run."""
        import wandb

        super().finalize(status)
        wandb.finish()


def _wandb_cell(cell: Cell) -> Any:
    import wandb

    if isinstance(cell, Path):
        return wandb.Audio(str(cell))
    return wandb.Image(cell) if isinstance(cell, np.ndarray) else cell


class TensorBoardMediaLogger(TensorBoardLogger):
    """Lightning's TensorBoard logger as a `Dashboard`; pictures have no captions there."""

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `Dashboard`."""
        from PIL import Image

        with Image.open(path) as picture:
            self.experiment.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """See `Dashboard`."""
        import soundfile

        samples, sample_rate = soundfile.read(path, dtype="float32")
        self.experiment.add_audio(name, samples, step, sample_rate)

    def show_table(self, name: str, rows: Sequence[Mapping[str, Cell]], step: int) -> None:
        """See `Dashboard`; under Text, where cells that are heard or seen have no place."""
        plain = [name for name, cell in rows[0].items() if isinstance(cell, str | int | float)]
        lines = [plain, ["---"] * len(plain), *([_text(row[name]) for name in plain] for row in rows)]
        self.experiment.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines), step)

    @rank_zero_only
    def log_settings(self, config: Mapping[str, Any]) -> None:
        """The run's settings for the page HParams, beside the last `SCORE`, and in `hparams.yaml`."""
        from torch.utils.tensorboard.summary import hparams

        self.log_hyperparams(dict(config))  # without a number: Lightning only keeps them for its file
        settings = dict(_flat(config))
        for summary in hparams(settings, {SCORE: 0.0}):  # the name counts; the numbers are the scalars'
            self.experiment._get_file_writer().add_summary(summary)


def _text(cell: Cell) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell).replace("|", "\\|")


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """`model.optimizer.lr` and its value, and so on; what is no plain value as text."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if isinstance(value, bool | int | float | str) else str(value)


def tensorboard_logger(
    run_dir: str, config: Mapping[str, Any] | None = None, **options: Any
) -> TensorBoardMediaLogger:
    """A log for TensorBoard under `run_dir/tensorboard`; a resumed run goes on there.

    `options` go to Lightning's logger (`+logger.flush_secs=10`).

    Raises:
        UserError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise UserError("logger=tensorboard needs a package: pip install 'cyclegan-audio[tensorboard]'")
    logger = TensorBoardMediaLogger(run_dir, name=TENSORBOARD, version="", default_hp_metric=False, **options)
    logger.log_settings(config or {})
    return logger


def wandb_logger(
    run_dir: str,
    project: str,
    name: str,
    group: str | None = None,
    config: Mapping[str, Any] | None = None,
    **options: Any,
) -> WandbMediaLogger:
    """A Weights & Biases run: online where the user is logged in, else offline under `run_dir/wandb`.

    Runs of one `group` stand together there, as the jobs of a sweep do. `options` go to Lightning's logger
    and to `wandb.init` (`+logger.entity=NAME`, `+logger.tags=[first]`).

    WANDB_MODE (`online`, `offline`, `disabled`) decides where it is set. A resumed run goes on under its id,
    which lies in the run's folder.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE")
    offline = mode == "offline" or (mode is None and not _is_logged_in())
    settings: dict[str, Any] = {"mode": "offline"} if offline else {}
    if mode != "disabled":
        settings |= {"id": _run_id(Path(run_dir)), "resume": "allow"}
    logger = WandbMediaLogger(
        name=name,
        project=project,
        save_dir=run_dir,
        offline=offline,
        group=group,
        config=dict(config or {}),
        **{**settings, **options},
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning gives it unasked, and W&B warns of it
    return logger


def _run_id(run_dir: Path) -> str:
    """The id of the run in `run_dir`; made on first use."""
    file = run_dir / WANDB_ID
    if not file.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        atomic_write_text(file, secrets.token_hex(4))
    return file.read_text().strip()


def _is_logged_in() -> bool:
    """Whether a key is at hand (environment or netrc), asked without network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False
