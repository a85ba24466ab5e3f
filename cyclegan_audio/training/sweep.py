"""The jobs of a sweep: each leaves a record; at the end those that failed are named with their command."""

import json
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from cyclegan_audio.cli.error_reporting import print_error
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST
from cyclegan_audio.training.callbacks.checkpoints import resume_command
from cyclegan_audio.training.resume import NothingLeftError
from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import NO_HINTS, command_line
from cyclegan_audio.utils.locks import any_lock
from cyclegan_audio.utils.progress import format_duration

RECORD = "job.json"
RUNNING, DONE, FAILED = "running", "done", "failed"
GPU_POLL_S = 1.0  # while other jobs use all GPUs

Train = Callable[[DictConfig, Path], dict[str, float]]


def run_job(train: Train, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train as a job of a sweep, on a GPU of its own, with a record and, by `cfg.evaluate_jobs`, a report.

    Returns:
        The sum of the numbers that `cfg.optimized_metric` names; None where they are not there or the job
        failed, which does not end the sweep.
    """
    try:
        held_out = _carry_out(train, cfg, folder, overrides)
    except UserError as error:
        print_error(str(error))
        return None
    except Exception:
        traceback.print_exc()
        return None
    if missing := sorted(set(cfg.optimized_metric) - set(held_out)):
        there = ", ".join(held_out) or "nothing"
        print(f"warning: optimized_metric={missing[0]} was not measured ({there})", file=sys.stderr)
        return None
    return sum(held_out[name] for name in cfg.optimized_metric)


def is_unfinished_job(folder: Path) -> bool:
    """Whether this is the folder of a sweep's job that has failed or was killed.

    Raises:
        UserError: its record is damaged.
    """
    return (folder / RECORD).is_file() and read_record(folder)["state"] != DONE


def rerun_job(train: Train, cfg: DictConfig, folder: Path) -> None:
    """Carry out one job of a sweep again, alone, and renew its record; errors come out.

    Raises:
        UserError: its record is damaged, or the job failed.
    """
    before = read_record(folder)

    def go_on(cfg: DictConfig, folder: Path) -> dict[str, float]:
        try:
            return train(cfg, folder)
        except NothingLeftError:  # it was trained, and failed in its report
            return before.get("held_out", {})

    _carry_out(go_on, cfg, folder, before["overrides"])


def _carry_out(train: Train, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> dict[str, float]:
    gpus = torch.cuda.device_count() if cfg.trainer.devices == 1 else 0
    with recorded(folder, overrides) as record, claim_gpu(folder.parent, gpus) as gpu:
        if gpu is not None:
            cfg.trainer.devices = [gpu]
        if "group" in (cfg.logger or ()) and cfg.logger.group is None:
            cfg.logger.group = folder.parent.name
        record["held_out"] = held_out = train(cfg, folder)
        if cfg.evaluate_jobs:
            evaluate_run(folder)
    return held_out


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
def claim_gpu(folder: Path, n_gpus: int) -> Iterator[int | None]:
    """Wait for a GPU that no other job of the sweep uses; yield its index, or None for fewer than two."""
    if n_gpus < 2:
        yield None
        return
    with any_lock([folder / f"gpu_{index}.lock" for index in range(n_gpus)], GPU_POLL_S) as index:
        yield index


def rerun_command(folder: Path, overrides: Sequence[str]) -> str:
    """What runs a job alone again in its folder, for a shell; it goes on where there is a checkpoint."""
    if (folder / CHECKPOINTS / LAST).is_file():
        return resume_command(folder)
    own = [override for override in overrides if not override.startswith("run_dir=")]
    return command_line("train", *own, f"run_dir={folder}")


class SweepSummary(Callback):
    """Says how far a sweep is, and at its end how many jobs are done and the command of each that is not.

    A sweep with jobs that are not done ends with exit code 1.
    """

    def __init__(self) -> None:
        self.n_jobs: int | None = None
        self.start = time.time()  # not the monotonic clock: jobs may run on other machines

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs to come."""
        self.n_jobs = count_jobs(config)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Say how many jobs have ended and, as they took so far, how long the others will take."""
        if self.n_jobs is None:
            return
        jobs = jobs_of(Path(config.hydra.sweep.dir).absolute())
        n_ended = sum(read_record(job)["state"] != RUNNING for job in jobs)
        if 0 < n_ended < self.n_jobs:
            left_s = (time.time() - self.start) * (self.n_jobs - n_ended) / n_ended
            print(
                f"{n_ended} of {self.n_jobs} jobs have ended, about {format_duration(left_s)} left",
                flush=True,
            )

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read the records in the sweep's folder, whatever launched the jobs."""
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = jobs_of(folder)
        broken = [line for job in jobs if (line := failure_reason(job))]
        print(f"{len(jobs) - len(broken)} of {len(jobs)} jobs done; they lie in {folder}")
        for line in broken:
            print(line)
        if config.get("evaluate_jobs"):
            print(f"side by side: {command_line('compare', folder)}")
        if broken:
            sys.exit(1)


def count_jobs(config: DictConfig) -> int | None:
    """How many jobs a sweep has; None where its sweeper does not say so beforehand."""
    sweeper = config.hydra.sweeper
    if "BasicSweeper" not in sweeper._target_:
        return sweeper.get("n_trials")
    swept = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*swept, *config.hydra.overrides.task])
    last = {override.key_or_group: override for override in overrides}  # the command line goes before params
    try:
        return math.prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_sweep_override())
    except HydraException:  # glob(*) and the like, which only Hydra can look up
        return None


def jobs_of(folder: Path) -> list[Path]:
    """The folders of a sweep's jobs by their number; none where `folder` is no sweep's."""
    return sorted((path.parent for path in folder.glob(f"*/{RECORD}")), key=_number)


def _number(job: Path) -> tuple[float, str]:
    number = job.name.split("_")[0]
    return (float(number) if number.isdigit() else math.inf, job.name)


def failure_reason(job: Path) -> str:
    """Why a job is not done, and the command that runs it alone again; empty where it is done.

    Raises:
        UserError: its record is damaged.
    """
    record = read_record(job)
    if record["state"] == DONE:
        return ""
    why = record.get("error", "killed while it ran, or still running")
    return f"failed: {job.name} ({why}); again: {rerun_command(job, record['overrides'])}"


def read_record(folder: Path) -> dict[str, Any]:
    """`job.json` of a job.

    Raises:
        UserError: it is damaged.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"state": str(record["state"]), "overrides": list(record["overrides"]), **record}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it, or run the job again") from error


def evaluate_run(run: Path, *options: str) -> None:
    """The run's report, by a process of its own: the verb is above this.

    Raises:
        UserError: it failed, and has said why.
    """
    command = [sys.executable, "-m", "cyclegan_audio.evaluate", str(run), *options]
    if subprocess.run(command, check=False, env={**os.environ, NO_HINTS: "1"}).returncode:
        raise UserError(f"the run in {run} is trained, but its evaluation failed; see above")


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
