"""Commands that the page starts: each is a process of its own, which goes on if the page ends or crashes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclegan_audio.inference.run_paths import LOCK
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import NO_HINTS
from cyclegan_audio.utils.locks import lock_holder
from cyclegan_audio.utils.printing import printable_lines
from cyclegan_audio.web.models import MAX_DEPTH

LOGS = ".app"  # folder inside `--runs` for what the commands print
MAX_LOG_BYTES = 20_000  # of the end of a log
ERROR = "error: "  # starts the line that reports a user's error
STOPPED_CODES = (130, 143, -signal.SIGTERM)


@dataclass
class _Job:
    verb: str
    log: Path
    process: subprocess.Popen[bytes]
    watcher: threading.Thread


def locked_runs(runs: Path) -> list[Path]:
    """List the runs below `runs` in which a process trains now."""
    patterns = ("/".join(["[!.]*"] * depth + [LOCK]) for depth in range(1, MAX_DEPTH + 1))
    locks = (lock for pattern in patterns for lock in runs.glob(pattern))
    return [lock.parent for lock in locks if lock_holder(lock) is not None]


class Jobs:
    """Start one command at a time, stop it in order, and read what it prints.

    A stopped training writes its checkpoint, as after Ctrl-C.

    Args:
        runs: the folder of `--runs`.
    """

    def __init__(self, runs: Path) -> None:
        self.runs, self.folder = runs, runs / LOGS
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def start(
        self, name: str, verb: str, arguments: Sequence[str], on_end: Callable[[], object] | None = None
    ) -> None:
        """Start a command in its own session, so that signals of the terminal do not reach it.

        Args:
            name: the job; its log has this name.
            verb: the command.
            arguments: its arguments.
            on_end: called once the command has ended.

        Raises:
            UserError: another job runs, or the log cannot be written.
        """
        with self._lock:
            if (busy := self.running()) is not None:
                raise UserError(f"{busy} is running; wait until it ends, or stop it first")
            log = self.folder / f"{name}.log"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with log.open("wb") as output:
                    process = subprocess.Popen(
                        [sys.executable, "-m", f"cyclegan_audio.{verb}", *arguments],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        env={**os.environ, NO_HINTS: "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
                    )
            except OSError as error:
                raise UserError(f"cannot start {verb} ({error}); free memory or disk space") from error
            watcher = threading.Thread(target=self._wait, args=(process, on_end), daemon=True)
            watcher.start()
            self._jobs[name] = _Job(verb, log, process, watcher)

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], on_end: Callable[[], object] | None) -> None:
        process.wait()
        if on_end is not None:
            on_end()

    def running(self) -> str | None:
        """Return what runs: a job, or a training that an earlier start of the page began; None if nothing."""
        trainings = (f"train {run.name}" for run in locked_runs(self.runs))
        return next(trainings, None) or next((name for name in self._jobs if self.is_running(name)), None)

    def is_running(self, name: str) -> bool:
        """Return whether this page has started the job, and it and what follows it have not ended."""
        return name in self._jobs and self._jobs[name].watcher.is_alive()

    def stop(self, name: str) -> None:
        """Ask the job to end in order; nothing happens if it has ended."""
        if self.is_running(name):
            self._jobs[name].process.terminate()

    def wait(self, name: str, timeout_s: float) -> None:
        """Wait until the job and what follows it have ended; return at once if there is no such job."""
        if name in self._jobs:
            self._jobs[name].watcher.join(timeout_s)

    def output(self, name: str) -> str:
        """Return the end of what the job has printed, in this or an earlier start of the page."""
        try:
            with (self.folder / f"{name}.log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_LOG_BYTES))
                return printable_lines(file.read().decode("utf-8", "replace"))
        except OSError:
            return ""

    def last_line(self, name: str) -> str:
        """Return the last line with a letter that the job has printed; "" if there is none."""
        lines = [line for line in self.output(name).splitlines() if any(map(str.isalpha, line))]
        return lines[-1].strip() if lines else ""

    def failure(self, name: str) -> str | None:
        """Return why the job failed, in a line; None if it runs, has succeeded or was stopped."""
        job = self._jobs.get(name)
        if job is None or (code := job.process.poll()) in (None, 0, *STOPPED_CODES):
            return None
        lines = self.output(name).splitlines()
        errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
        if errors:
            return errors[-1]
        if code == -signal.SIGKILL:
            reason = "most likely for lack of memory; close other programs, then try again"
            return f"the system ended {job.verb}, {reason}"
        last = f": {line}" if (line := self.last_line(name)) else ""
        return f"{job.verb} ended with code {code}{last} (all that it printed: {job.log})"
