"""The jobs of a sweep: each leaves a record; at the end those that failed are named with their command."""

import fcntl
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from cyclegan_audio.errors import UserError
from cyclegan_audio.models.run_folder import CHECKPOINTS, LAST
from cyclegan_audio.training.checkpoints import resume_command

RECORD = "job.json"
RUNNING, DONE, FAILED = "running", "done", "failed"
LOOK_AGAIN_S = 1.0  # while all GPUs are taken

Train = Callable[[DictConfig, Path], dict[str, float]]


def job(train: Train, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train as a job of a sweep, on a GPU of its own, with a record and, by `cfg.report`, a report.

    Returns:
        The sum of the held-out errors that `cfg.objective` names; None where they are not there or the job
        failed, which does not end the sweep.
    """
    gpus = torch.cuda.device_count() if cfg.trainer.devices == 1 else 0
    try:
        with recorded(folder, overrides) as record, own_gpu(folder.parent, gpus) as gpu:
            if gpu is not None:
                cfg.trainer.devices = [gpu]
            if "group" in (cfg.logger or ()) and cfg.logger.group is None:
                cfg.logger.group = folder.parent.name
            record["held_out"] = held_out = train(cfg, folder)
            if cfg.report:
                _evaluate(folder)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return None
    except Exception:
        traceback.print_exc()
        return None
    return sum(held_out[name] for name in cfg.objective) if set(cfg.objective) <= set(held_out) else None


@contextmanager
def recorded(folder: Path, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Keep `job.json` in the job's folder: its overrides and whether it runs, is done or has failed, and why.

    A job that is killed stays `running`. What the block puts into the yielded dict is kept with it.
    """
    record: dict[str, Any] = {"overrides": list(overrides), "state": RUNNING}
    _write(folder, record)
    try:
        yield record
    except BaseException as error:
        said = " ".join(str(error).split())
        _write(folder, {**record, "state": FAILED, "error": said or type(error).__name__})
        raise
    _write(folder, {**record, "state": DONE})


@contextmanager
def own_gpu(folder: Path, n_gpus: int) -> Iterator[int | None]:
    """A GPU that no other job of the sweep in `folder` has, waiting for one; None where there are not two."""
    if n_gpus < 2:
        yield None
        return
    for number in itertools.cycle(range(n_gpus)):
        with (folder / f"gpu_{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOOK_AGAIN_S if number == n_gpus - 1 else 0)
                continue
            yield number
            return


def again_command(folder: Path, overrides: Sequence[str]) -> str:
    """What runs a job alone again in its folder, for a shell; it goes on where there is a checkpoint."""
    if (folder / CHECKPOINTS / LAST).is_file():
        return resume_command(folder)
    own = [override for override in overrides if not override.startswith("run_dir=")]
    return " ".join(
        ["python -m cyclegan_audio.train", *map(shlex.quote, own), shlex.quote(f"run_dir={folder}")]
    )


class SweepSummary(Callback):
    """At a sweep's end: how many jobs are done, the command of each that is not, exit code 1 for those."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read the records in the sweep's folder, whatever launched the jobs."""
        folder = Path(config.hydra.sweep.dir).absolute()
        records = {path.parent: json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{RECORD}"))}
        broken = {job: record for job, record in records.items() if record["state"] != DONE}
        print(f"{len(records) - len(broken)} of {len(records)} jobs done; they lie in {folder}")
        for job, record in broken.items():
            why = record.get("error", "killed while it ran")
            print(f"failed: {job.name} ({why}); again: {again_command(job, record['overrides'])}")
        if broken:
            sys.exit(1)


def _evaluate(run_dir: Path) -> None:
    """The run's report, by a process of its own: the verb is above this."""
    command = [sys.executable, "-m", "cyclegan_audio.evaluate", str(run_dir)]
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"the run in {run_dir} is trained, but its evaluation failed; see above")


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{RECORD}.part"
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(part, folder / RECORD)
