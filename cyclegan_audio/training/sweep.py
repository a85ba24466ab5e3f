"""Jobs of a sweep (`-m`): run, record and evaluate each, list failed ones with the command to rerun them."""

import json
import math
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from cyclegan_audio.cli.error_reporting import report_error
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST
from cyclegan_audio.training.callbacks.checkpoints import resume_command
from cyclegan_audio.training.resume import TrainingCompleteError, trusted_packages
from cyclegan_audio.utils.atomic import atomic_write_text
from cyclegan_audio.utils.checked_json import DamagedFileError, parse_object, read_text
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, ReportedError, UserError
from cyclegan_audio.utils.fields import check_value
from cyclegan_audio.utils.hints import NO_HINTS, command_line
from cyclegan_audio.utils.locks import any_lock
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.progress import format_duration

RECORD_FILE = "job.json"
RUNNING, DONE, FAILED = "running", "done", "failed"
RECORD_FIELDS = {
    "state": Literal["running", "done", "failed"],
    "overrides": list[str],
    "error": str | None,
    "metrics": dict[str, float] | None,
}
GPU_POLL_S = 1.0  # while other jobs use all GPUs

TrainFunction = Callable[[DictConfig, Path], dict[str, float]]


def run_job(train: TrainFunction, cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train as a job of a sweep, with a record, and a report if `cfg.evaluate_jobs`; errors are printed.

    Returns:
        The sum of the metrics in `cfg.optimized_metric`; None if one is missing or the job failed.
    """
    try:
        metrics = _run_recorded(train, cfg, folder, overrides)
    except UserError as error:
        report_error(error, str(error), with_trace=False)
        return None
    except Exception:
        traceback.print_exc()
        return None
    if missing := sorted(set(cfg.optimized_metric) - set(metrics)):
        measured = ", ".join(metrics) or "none"
        echo(
            f"warning: optimized_metric={missing[0]} was not measured; measured: {measured}", file=sys.stderr
        )
        return None
    return sum(metrics[name] for name in cfg.optimized_metric)


def is_unfinished_job(folder: Path) -> bool:
    """Return whether this is the folder of a sweep's job that failed or was killed.

    Raises:
        UserError: its record is damaged.
    """
    return (folder / RECORD_FILE).is_file() and read_record(folder)["state"] != DONE


def rerun_job(train: TrainFunction, cfg: DictConfig, folder: Path) -> None:
    """Run one job of a sweep again, alone, and update its record; errors are raised.

    Raises:
        UserError: its record is damaged, or the job failed.
    """
    before = read_record(folder)

    def train_rest(cfg: DictConfig, folder: Path) -> dict[str, float]:
        try:
            return train(cfg, folder)
        except TrainingCompleteError:  # only its evaluation failed
            return before.get("metrics", {})

    _run_recorded(train_rest, cfg, folder, before["overrides"])


def _run_recorded(
    train: TrainFunction, cfg: DictConfig, folder: Path, overrides: Sequence[str]
) -> dict[str, float]:
    gpus = torch.cuda.device_count() if cfg.trainer.devices == 1 else 0
    with job_record(folder, overrides) as record, claim_gpu(folder.parent, gpus) as gpu:
        if gpu is not None:
            cfg.trainer.devices = [gpu]
        if "group" in (cfg.logger or ()) and cfg.logger.group is None:
            cfg.logger.group = folder.parent.name
        record["metrics"] = metrics = train(cfg, folder)
        if cfg.evaluate_jobs:
            evaluate_run(folder, *(f"--trust-package={name}" for name in trusted_packages(cfg)))
    return metrics


@contextmanager
def job_record(folder: Path, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Write `job.json` in the job's folder: its overrides, its state (running, done, failed) and the error.

    A killed job stays `running`. The record includes what the block adds to the yielded dict.
    """
    record: dict[str, Any] = {"overrides": list(overrides), "state": RUNNING}
    _write_record(folder, record)
    try:
        yield record
    except BaseException as error:
        message = " ".join(str(error).split())
        _write_record(folder, {**record, "state": FAILED, "error": message or type(error).__name__})
        raise
    _write_record(folder, {**record, "state": DONE})


@contextmanager
def claim_gpu(folder: Path, n_gpus: int) -> Iterator[int | None]:
    """Wait for a GPU that no other job of the sweep uses; yield its index, or None for fewer than two."""
    if n_gpus < 2:
        yield None
        return
    with any_lock([folder / f"gpu_{index}.lock" for index in range(n_gpus)], GPU_POLL_S) as index:
        yield index


def rerun_command(folder: Path, overrides: Sequence[str]) -> str:
    """Return the shell command that reruns a job alone in its folder, from its checkpoint if there is one."""
    if (folder / CHECKPOINTS / LAST).is_file():
        return resume_command(folder)
    others = [override for override in overrides if not override.startswith("run_dir=")]
    return command_line("train", *others, f"run_dir={folder}")


class SweepSummary(Callback):
    """Print the progress of a sweep, and at its end the failed jobs with the commands to rerun them.

    A sweep with failed jobs ends with exit code 2.
    """

    def __init__(self) -> None:
        self.n_jobs: int | None = None
        self.machine, self.start = platform.node(), time.monotonic()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs of the sweep."""
        self.n_jobs = count_jobs(config)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Print how many jobs have ended, and an estimate of the time left."""
        if self.n_jobs is None:
            return
        jobs = list_jobs(Path(config.hydra.sweep.dir).absolute())
        n_ended = sum(read_record(job)["state"] != RUNNING for job in jobs)
        if 0 < n_ended < self.n_jobs:
            line = f"{n_ended} of {self.n_jobs} jobs have ended"
            if platform.node() == self.machine:  # another machine has another clock
                left_s = (time.monotonic() - self.start) * (self.n_jobs - n_ended) / n_ended
                line += f", about {format_duration(left_s)} left"
            echo(line, flush=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the results of all jobs, from their records in the sweep's folder."""
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = list_jobs(folder)
        failures = [line for job in jobs if (line := failure_reason(job))]
        echo(f"{len(jobs) - len(failures)} of {len(jobs)} jobs done, in {folder}")
        for line in failures:
            echo(line)
        if config.get("evaluate_jobs"):
            echo(f"next: {command_line('compare', folder)}")
        if failures:
            sys.exit(USER_ERROR_EXIT_CODE)


def count_jobs(config: DictConfig) -> int | None:
    """Count the jobs of a sweep; None if its sweeper does not define the number beforehand."""
    sweeper = config.hydra.sweeper
    if "BasicSweeper" not in sweeper._target_:
        return sweeper.get("n_trials")
    swept = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*swept, *config.hydra.overrides.task])
    last = {override.key_or_group: override for override in overrides}  # the command line overrides params
    try:
        return math.prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_sweep_override())
    except HydraException:  # such as glob(*), which only Hydra can resolve
        return None


def list_jobs(folder: Path) -> list[Path]:
    """List the folders of a sweep's jobs by number; empty if `folder` is not a sweep's."""
    return sorted((path.parent for path in folder.glob(f"*/{RECORD_FILE}")), key=_job_number)


def _job_number(job: Path) -> tuple[float, str]:
    number = job.name.split("_")[0]
    return (float(number) if number.isdigit() else math.inf, job.name)


def failure_reason(job: Path) -> str:
    """Return why a job is not done, and the command to rerun it; empty if it is done.

    Raises:
        UserError: its record is damaged.
    """
    record = read_record(job)
    if record["state"] == DONE:
        return ""
    reason = record.get("error") or "killed, or still running"
    return f"failed: {job.name} ({reason}); rerun it with: {rerun_command(job, record['overrides'])}"


def read_record(folder: Path) -> dict[str, Any]:
    """Read `job.json` of a job.

    Raises:
        UserError: it is damaged.
    """
    path = folder / RECORD_FILE
    try:
        record = parse_object(read_text(path))
        for name, annotation in RECORD_FIELDS.items():
            check_value(name, record.get(name), annotation)
    except (OSError, DamagedFileError, UserError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it, or rerun the job") from error
    return record


def evaluate_run(run: Path, *options: str) -> None:
    """Evaluate a run in a separate process, as imports from the command `evaluate` would point up.

    Raises:
        UserError: the evaluation failed and printed why.
    """
    command = [sys.executable, "-m", "cyclegan_audio.evaluate", str(run), *options]
    code = subprocess.run(command, check=False, env={**os.environ, NO_HINTS: "1"}).returncode
    if code:
        kind = ReportedError if code == USER_ERROR_EXIT_CODE else UserError
        raise kind(f"the run in {run} is trained, but its evaluation failed; see above")


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(folder / RECORD_FILE, json.dumps(record, indent=1) + "\n")
