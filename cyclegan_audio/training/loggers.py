"""Loggers: CSV files of a run, Weights & Biases, TensorBoard; images, audio and tables in both."""

import csv
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlparse

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from cyclegan_audio.inference.run_paths import TENSORBOARD, WANDB_ID
from cyclegan_audio.utils.atomic import atomic_path, atomic_write_text
from cyclegan_audio.utils.csv_table import CSVTable
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.printing import printable

SCORE_METRIC = "held_out/score"  # listed with each run: its minimum in W&B, its last value in TensorBoard

_PROJECT = re.compile(r"[\w .-]{1,128}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it becomes part of a folder's name

TableCell = (
    str | int | float | Path | np.ndarray
)  # Path: a WAV file; array: an image (height, width, 3) uint8


@runtime_checkable
class MediaLogger(Protocol):
    """A Lightning logger that also takes images, audio and tables; `step` counts the trained batches."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log numbers by their names."""

    def add_image_file(self, name: str, path: Path, caption: str, step: int) -> None:
        """Log the PNG file `path` as `name`."""

    def add_audio_file(self, name: str, path: Path, step: int) -> None:
        """Log the WAV file `path` as `name`."""

    def add_table(self, name: str, rows: Sequence[Mapping[str, TableCell]], step: int) -> None:
        """Log a table as `name`: one mapping from column to cell for each row, with equal columns."""


def media_loggers(trainer: pl.Trainer) -> list[MediaLogger]:
    """Return the loggers of a run that also take images, audio and tables."""
    return [logger for logger in trainer.loggers if isinstance(logger, MediaLogger)]


class WandbMediaLogger(WandbLogger):
    """Lightning's W&B logger as a `MediaLogger`; its run ends with the fit, so that each job has its own."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return the W&B run, started on first use; its summary keeps the best validation score."""
        is_started = self._experiment is not None
        run = super().experiment
        if not is_started:
            run.define_metric(SCORE_METRIC, step_metric="trainer/global_step", summary="min")
        return run

    def add_image_file(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `MediaLogger`."""
        self.log_image(name, [str(path)], step, caption=[caption])

    def add_audio_file(self, name: str, path: Path, step: int) -> None:
        """See `MediaLogger`."""
        self.log_audio(name, [str(path)], step)

    def add_table(self, name: str, rows: Sequence[Mapping[str, TableCell]], step: int) -> None:
        """See `MediaLogger`; in W&B `runs.history.concat` joins the tables of all steps."""
        cells = [[_wandb_cell(cell) for cell in row.values()] for row in rows]
        self.log_table(name, list(rows[0]), cells, step=step)

    @rank_zero_only
    def save_artifact(self, name: str, kind: str, files: Sequence[Path], metadata: Mapping[str, Any]) -> None:
        """Save `files` as the artifact `name` of type `kind`."""
        import wandb

        artifact = wandb.Artifact(name, kind, metadata=dict(metadata))
        for file in files:
            artifact.add_file(str(file))
        self.experiment.log_artifact(artifact)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload or write the rest, and end the run."""
        import wandb

        super().finalize(status)
        wandb.finish()


def _wandb_cell(cell: TableCell) -> Any:
    import wandb

    if isinstance(cell, Path):
        return wandb.Audio(str(cell))
    return wandb.Image(cell) if isinstance(cell, np.ndarray) else cell


class TensorBoardMediaLogger(TensorBoardLogger):
    """Lightning's TensorBoard logger as a `MediaLogger`; images have no captions there."""

    def add_image_file(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `MediaLogger`."""
        from PIL import Image

        with Image.open(path) as image:
            self.experiment.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def add_audio_file(self, name: str, path: Path, step: int) -> None:
        """See `MediaLogger`."""
        import soundfile

        samples, sample_rate = soundfile.read(path, dtype="float32")
        self.experiment.add_audio(name, samples, step, sample_rate)

    def add_table(self, name: str, rows: Sequence[Mapping[str, TableCell]], step: int) -> None:
        """See `MediaLogger`; shown under Text, without images and audio."""
        plain = [name for name, cell in rows[0].items() if isinstance(cell, str | int | float)]
        lines = [plain, ["---"] * len(plain), *([_text(row[name]) for name in plain] for row in rows)]
        self.experiment.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines), step)

    @rank_zero_only
    def log_settings(self, config: Mapping[str, Any]) -> None:
        """Log the settings for the page HParams, with the last `SCORE_METRIC`, and in `hparams.yaml`."""
        from torch.utils.tensorboard.summary import hparams

        self.log_hyperparams(dict(config))  # without a metric Lightning only writes its file
        settings = dict(_flatten(config))
        for summary in hparams(settings, {SCORE_METRIC: 0.0}):  # values come from the scalars
            self.experiment._get_file_writer().add_summary(summary)


def _text(cell: TableCell) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else printable(str(cell)).replace("|", "\\|")


def _flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Yield dotted keys, such as `model.optimizer.lr`, with plain values; others become text."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, bool | int | float | str) else str(value)


def tensorboard_logger(
    run_dir: str, config: Mapping[str, Any] | None = None, **options: Any
) -> TensorBoardMediaLogger:
    """Build a TensorBoard logger in `run_dir/tensorboard`, which a resumed run continues.

    `options` are passed to Lightning's logger (`+logger.flush_secs=10`).

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
    """Build a Weights & Biases logger: online if the user is logged in, otherwise offline in `run_dir/wandb`.

    W&B shows runs of one `group`, such as the jobs of a sweep, together. `options` are passed to Lightning's
    logger and to `wandb.init` (`+logger.entity=NAME`, `+logger.tags=[first]`).

    WANDB_MODE (`online`, `offline`, `disabled`) has priority. A resumed run continues under its id, which is
    stored in the run's folder.

    Raises:
        UserError: the project or the stored id is no name that W&B takes.
    """
    if not _PROJECT.fullmatch(str(project)):
        raise UserError(f"logger.project={shortened(project)} must be letters, digits, spaces or _ - .")
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
    logger._wandb_init.pop("anonymous", None)  # Lightning always sets it, and W&B warns of it
    return logger


def _run_id(run_dir: Path) -> str:
    """Return the id of the run in `run_dir`; create it on first use.

    Raises:
        UserError: the file is damaged.
    """
    file = run_dir / WANDB_ID
    if not file.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        atomic_write_text(file, secrets.token_hex(4))
    text = file.read_text(errors="replace").strip()
    if not _RUN_ID.fullmatch(text):
        raise UserError(f"{file} holds no id of a W&B run; delete it")
    return text


def _is_logged_in() -> bool:
    """Return whether there is a W&B key (environment or netrc), without network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


class CSVLog:
    """CSV file with a row for each logged batch, written at once; a resume cuts it back to the checkpoint.

    Args:
        file: its path.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.columns: Sequence[str] = ()

    def start(self, columns: Sequence[str], batches: int) -> None:
        """Start a new file, or keep the complete rows up to `batches` of a resumed run.

        Args:
            columns: names in order, with `batch`.
            batches: batches of the run so far.

        Raises:
            UserError: the file of the resumed run is damaged; it stays as it is.
        """
        self.columns, rows = columns, []
        if batches and self.file.is_file():
            table = CSVTable(self.file, ("batch",))
            if unknown := [name for name in table.columns if name not in columns]:
                raise table.error(1, f"this run has no column {unknown[0]}")
            numbers = table.numbers("batch") if table.rows else []
            rows = [row for row, number in zip(table.rows, numbers, strict=True) if number <= batches]
        with atomic_path(self.file) as part:
            self._write(part, "w", rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append `row`."""
        self._write(self.file, "a", [row])

    def _write(self, path: Path, mode: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if mode == "w":
                writer.writeheader()
            writer.writerows(rows)
