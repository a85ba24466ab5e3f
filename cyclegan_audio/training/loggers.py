"""Loggers beside the files in the run's folder."""

import os
import secrets
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlparse

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from cyclegan_audio.errors import UserError
from cyclegan_audio.models.run_folder import TENSORBOARD, WANDB_ID

SCORE = "held_out/score"  # by which TensorBoard lists runs beside their settings


@runtime_checkable
class Dashboard(Protocol):
    """A Lightning logger that also takes pictures and sound. `step` is the number of batches trained."""

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """Log the PNG file `path` as `name`."""

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """Log the WAV file `path` as `name`."""


class WandbDashboard(WandbLogger):
    """Lightning's W&B logger as a `Dashboard`. Its run ends with its fit: the next job starts its own."""

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `Dashboard`."""
        self.log_image(name, [str(path)], step, caption=[caption])

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """See `Dashboard`."""
        self.log_audio(name, [str(path)], step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload or write what is left, and end the run."""
        import wandb

        super().finalize(status)
        wandb.finish()


class TensorBoardDashboard(TensorBoardLogger):
    """Lightning's TensorBoard logger as a `Dashboard`; pictures have no captions there."""

    def show_picture(self, name: str, path: Path, caption: str, step: int) -> None:
        """See `Dashboard`."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as picture:
            self.experiment.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def show_sound(self, name: str, path: Path, step: int) -> None:
        """See `Dashboard`."""
        import soundfile

        samples, sample_rate = soundfile.read(path, dtype="float32")
        self.experiment.add_audio(name, samples, step, sample_rate)

    @rank_zero_only
    def log_settings(self, config: Mapping[str, Any]) -> None:
        """The run's settings for the page HParams, beside the last `SCORE`, and in `hparams.yaml`."""
        from torch.utils.tensorboard.summary import hparams

        self.log_hyperparams(dict(config))  # without a number: Lightning only keeps them for its file
        settings = dict(_flat(config))
        for summary in hparams(settings, {SCORE: 0.0}):  # the name counts; the numbers are the scalars'
            self.experiment._get_file_writer().add_summary(summary)


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """`model.optimizer.lr` and its value, and so on; what is no plain value as text."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if isinstance(value, bool | int | float | str) else str(value)


def tensorboard_logger(run_dir: str, config: Mapping[str, Any] | None = None) -> TensorBoardDashboard:
    """A log for TensorBoard under `run_dir/tensorboard`; a resumed run goes on there.

    Raises:
        UserError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise UserError("logger=tensorboard needs a package: pip install 'cyclegan-audio[tensorboard]'")
    logger = TensorBoardDashboard(run_dir, name=TENSORBOARD, version="", default_hp_metric=False)
    logger.log_settings(config or {})
    return logger


def wandb_logger(
    run_dir: str, project: str, name: str, config: Mapping[str, Any] | None = None
) -> WandbDashboard:
    """A Weights & Biases run: online where the user is logged in, else offline under `run_dir/wandb`.

    WANDB_MODE (`online`, `offline`, `disabled`) decides where it is set. A resumed run goes on under its id,
    which lies in the run's folder.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE")
    offline = mode == "offline" or (mode is None and not _is_logged_in())
    settings: dict[str, Any] = {"mode": "offline"} if offline else {}
    if mode != "disabled":
        settings |= {"id": _run_id(Path(run_dir)), "resume": "allow"}
    return WandbDashboard(
        name=name, project=project, save_dir=run_dir, offline=offline, config=dict(config or {}), **settings
    )


def _run_id(run_dir: Path) -> str:
    """The id of the run in `run_dir`; made on first use."""
    file = run_dir / WANDB_ID
    if not file.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(secrets.token_hex(4))
        os.replace(part, file)
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
