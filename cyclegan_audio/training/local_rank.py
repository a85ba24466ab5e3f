"""Which of the processes of a run this one is, from the environment alone; nothing heavy is imported."""

import os
from pathlib import Path

RUN_DIR = "CYCLEGAN_AUDIO_RUN_DIR"  # set for the processes that a run starts


def parents_run() -> Path | None:
    """The run folder of the process that started this one as a further rank; None for others."""
    folder = os.environ.get(RUN_DIR)
    return Path(folder) if folder and not is_local_zero() else None


def is_local_zero() -> bool:
    """Whether this is the first process on its machine."""
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) == "0"
