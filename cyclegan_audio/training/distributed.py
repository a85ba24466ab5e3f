"""Distributed training: the rank of this process, messages of rank 0 only, the shared run folder.

Imports nothing heavy at the top: the command line is read before torch is needed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.utils import hints
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import echo

if TYPE_CHECKING:
    from omegaconf import DictConfig

RUN_DIR_VARIABLE = "CYCLEGAN_AUDIO_RUN_DIR"  # set for the processes that a run starts
WORLD_SIZE_VARIABLES = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # of torchrun and srun
LIGHTNING_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def parent_run_dir() -> Path | None:
    """Return the run folder of the process that started this one as a further rank; None for others."""
    folder = os.environ.get(RUN_DIR_VARIABLE)
    return Path(folder) if folder and not is_local_zero() else None


def is_local_zero() -> bool:
    """Return whether this is the first process on its machine."""
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) == "0"


def rank_zero_print(message: str) -> None:
    """Print on rank 0 only."""
    from pytorch_lightning.utilities import rank_zero_only

    rank_zero_only(echo)(message)


def rank_zero_print_next(*commands: str) -> None:
    """Print on rank 0 only which commands can be typed next."""
    from pytorch_lightning.utilities import rank_zero_only

    rank_zero_only(hints.print_next_commands)(*commands)


def check_shared_run_dir(cfg: "DictConfig", overrides: Sequence[str]) -> None:
    """Check that processes that do not start each other share a named run folder; the default has the time.

    Raises:
        UserError: it is not named.
    """
    is_named = any(override.startswith(("run_dir=", "resume=")) for override in overrides)
    sizes = [int(os.environ[name]) for name in WORLD_SIZE_VARIABLES if name in os.environ]
    if max(*sizes, cfg.trainer.get("num_nodes", 1), 1) > 1 and not is_named:
        raise UserError(
            "several machines, or processes of torchrun or srun, need one run folder on a shared disk; "
            "name it with run_dir="
        )


@contextmanager
def rank_environment(run_dir: Path) -> Iterator[None]:
    """Pass the run folder to further ranks; afterwards restore the environment and the process group.

    Lightning leaves its variables set; the next job of a sweep would take itself for a further rank.
    """
    import torch.distributed as dist

    before = {name: os.environ.get(name) for name in (RUN_DIR_VARIABLE, *LIGHTNING_VARIABLES)}
    os.environ[RUN_DIR_VARIABLE] = str(run_dir)
    try:
        yield
    finally:
        if dist.is_available() and dist.is_initialized() and before["WORLD_SIZE"] is None:
            dist.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
