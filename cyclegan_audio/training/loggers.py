"""Loggers beside the files in the run's folder."""

import os
from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from typing import Any
from urllib.parse import urlparse

from pytorch_lightning.loggers import WandbLogger


def wandb_logger(
    run_dir: str, project: str, name: str, config: Mapping[str, Any] | None = None
) -> WandbLogger:
    """A Weights & Biases run: online where the user is logged in, else offline under `run_dir/wandb`.

    WANDB_MODE (`online`, `offline`, `disabled`) decides where it is set.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE")
    offline = mode == "offline" or (mode is None and not _is_logged_in())
    settings: dict[str, Any] = {"mode": "offline"} if offline else {}
    return WandbLogger(
        name=name, project=project, save_dir=run_dir, offline=offline, config=dict(config or {}), **settings
    )


def _is_logged_in() -> bool:
    """Whether a key is at hand (environment or netrc), asked without network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False
