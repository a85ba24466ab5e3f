"""Several processes that train one model: what tells them apart, and where a child finds its run."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from cyclegan_audio.training.local_rank import RUN_DIR
from cyclegan_audio.utils import hints
from cyclegan_audio.utils.errors import UserError

STARTED = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # how many torchrun or srun has started
LIGHTNINGS = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

say = rank_zero_only(print)  # what concerns the run is said once
print_next_commands = rank_zero_only(hints.print_next_commands)


def check_shared_folder(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Processes that do not start each other need a named run folder: one that follows the clock differs.

    Raises:
        UserError: it is not named.
    """
    named = any(override.startswith(("run_dir=", "resume=")) for override in overrides)
    started = [int(os.environ[name]) for name in STARTED if name in os.environ]
    if max(*started, cfg.trainer.get("num_nodes", 1), 1) > 1 and not named:
        raise UserError(
            "several machines, or processes of torchrun or srun, need one run folder on a disk that all see; "
            "name it by run_dir="
        )


@contextmanager
def rank_environment(run_dir: Path) -> Iterator[None]:
    """Tell further ranks their run folder; afterwards leave the environment and process group as they were.

    Lightning leaves its variables behind, by which the next job of a sweep would take itself for a child.
    """
    before = {name: os.environ.get(name) for name in (RUN_DIR, *LIGHTNINGS)}
    os.environ[RUN_DIR] = str(run_dir)
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
