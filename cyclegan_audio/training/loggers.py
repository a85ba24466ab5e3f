"""Loggers beside the files in the run's folder."""

import os
import secrets
from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from pytorch_lightning.loggers import WandbLogger

from cyclegan_audio.models.run_folder import WANDB_ID


def wandb_logger(
    run_dir: str, project: str, name: str, config: Mapping[str, Any] | None = None
) -> WandbLogger:
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
    return WandbLogger(
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
