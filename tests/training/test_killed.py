"""Runs in processes of their own that are killed where it hurts most, and then resumed."""

import csv
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cyclegan_audio import train as command
from cyclegan_audio.models.nonfinite import NonFiniteGuard
from cyclegan_audio.training.callbacks import checkpoints, validation
from cyclegan_audio.training.callbacks.checkpoints import CheckpointCallback
from cyclegan_audio.training.callbacks.loss_logging import LossLog
from cyclegan_audio.training.loggers import CSVLog
from cyclegan_audio.utils.errors import INTERRUPTED_EXIT_CODE, USER_ERROR_EXIT_CODE
from tests.clean_process import start_clean_process


def die(*args: object, **kwargs: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_file(content: object, file, *args: object) -> None:
    file.write(b"PK half a checkpoint")
    file.flush()
    die()


def hang_up(*args: object) -> None:
    """A closed terminal: SIGHUP from the shell, and from the system."""
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


def terminate(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


PLACES: dict[str, tuple[object, str, Callable[..., None]]] = {
    "in a step": (NonFiniteGuard, "step", die),
    "half way through a checkpoint": (checkpoints.torch, "save", half_a_file),
    "before a checkpoint is renamed": (os, "fsync", die),
    "between the best checkpoint and the last": (CheckpointCallback, "save", die),
    "hang up after a batch": (LossLog, "on_train_batch_end", hang_up),
    "terminate after a batch": (LossLog, "on_train_batch_end", terminate),
    "in validation": (validation, "validation_metrics", die),
    "while the CSV is cut": (CSVLog, "start", die),
}


def live(
    arguments: list[str],
    place: str | None,
    calls_before: int,
    max_bytes: int | None,
    log: Path,
    on_hangup: signal.Handlers,
) -> None:
    """The command in this process, which ends for good at a call of what `place` names."""
    log.parent.mkdir(exist_ok=True)
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
    torch.set_num_threads(1)
    signal.signal(signal.SIGHUP, on_hangup)
    if max_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    if place is not None:
        owner, name, end = PLACES[place]
        real, left = getattr(owner, name), [calls_before]

        def watched(*args, **kwargs):
            left[0] -= 1
            return (end if left[0] < 0 else real)(*args, **kwargs)

        setattr(owner, name, watched)
    sys.argv = ["train", *arguments]
    command.main()


@pytest.fixture
def run(corpus, tiny, tmp_path, monkeypatch):
    """Starts the command in a process; returns its exit code (-9: killed) and what it said."""
    monkeypatch.chdir(tmp_path)
    small = [
        *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=2", "n_epochs_decay=1",
        "data.crop_frames=32", "data.val_pairs=2", "model.pool_size=4", "model.ema_decay=0.9",
        "model.adversarial.instance_noise=0.1", "precision=32-true", "threads=1", "logger=none",
        "callbacks.loss_log.every_batches=3", "callbacks.previews.every_epochs=10",
        "callbacks.previews.clips=1", "vocoder=mask", "callbacks.validation.every_epochs=1",
    ]  # fmt: skip

    def call(
        *arguments: str, place=None, calls_before=0, max_bytes=None, on_hangup=signal.SIG_DFL
    ) -> tuple[int | None, str]:
        new = not any(argument.startswith("resume=") for argument in arguments)
        everything = [*(small if new else []), *arguments]
        log = tmp_path / "logs" / "log.txt"
        log.unlink(missing_ok=True)
        process = start_clean_process(live, everything, place, calls_before, max_bytes, log, on_hangup)
        process.join(300)
        return process.exitcode, log.read_text()

    return call


def rows(file: str) -> list[dict[str, str]]:
    with Path(file).open(newline="") as opened:
        return [{k: v for k, v in row.items() if k != "elapsed_s"} for row in csv.DictReader(opened)]


def content(run: str, name: str) -> dict[str, object]:
    found = torch.load(f"{run}/checkpoints/{name}", weights_only=True)
    return {part: found[part] for part in ("state_dict", "optimizer_states", "callbacks") if part in found}


@pytest.mark.slow
def test_killed_nine_times_equals_undisturbed(run):
    """Weights, averages, optimisers, pools, draws, tables and the best checkpoint, bit for bit."""
    code, said = run("run_dir=whole")
    assert code == 0, said
    often = "callbacks.checkpoints.every_minutes=0.0001"  # a checkpoint after nearly every batch
    lives = [
        (["run_dir=broken"], "in a step", 5),  # before the first checkpoint: begins again
        (["run_dir=broken"], "half way through a checkpoint", 0),
        (["run_dir=broken"], "between the best checkpoint and the last", 1),
        (["run_dir=broken", often], "in a step", 20),
        (["resume=broken"], "in a step", 3),
        (["resume=broken"], "before a checkpoint is renamed", 2),
        (["resume=broken"], "while the CSV is cut", 0),
        (["resume=broken"], "in validation", 0),
        (["resume=broken"], "between the best checkpoint and the last", 4),
    ]
    for arguments, place, calls_before in lives:
        code, said = run(*arguments, place=place, calls_before=calls_before)
        assert code == -signal.SIGKILL, f"{place}: {said}"
    code, said = run("resume=broken")
    assert code == 0, said
    for name in ("last.ckpt", "best.ckpt"):
        mine, wanted = content("broken", name), content("whole", name)
        for part in wanted.keys() - {"callbacks"}:
            torch.testing.assert_close(mine[part], wanted[part], rtol=0, atol=0)
    best = {
        key: state for key, state in content("whole", "last.ckpt")["callbacks"].items() if "best" in state
    }
    assert best.items() <= content("broken", "last.ckpt")["callbacks"].items()
    for table in ("losses.csv", "validation.csv"):
        assert rows(f"broken/{table}") == rows(f"whole/{table}")
    assert [row["batch"] for row in rows("broken/validation.csv")] == ["8", "16", "24"]
    assert not list(Path("broken").rglob("*.part*"))


def test_a_full_disk_ends_in_one_line_and_leaves_the_checkpoint_before(run):
    assert run("run_dir=out", place="in a step", calls_before=20)[0] == -signal.SIGKILL
    last = Path("out/checkpoints/last.ckpt")
    before = last.read_bytes()
    code, said = run("resume=out", max_bytes=len(before) // 2)
    assert code == USER_ERROR_EXIT_CODE, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert "cannot be written" in errors[0]
    assert f"resume={Path('out').absolute()}" in errors[0]
    assert "Traceback" not in said
    assert last.read_bytes() == before
    assert not list(Path("out").rglob("*.part*"))
    code, said = run("resume=out")
    assert code == 0, said
    assert [row["batch"] for row in rows("out/losses.csv")] == [*"368", "11", "14", "16", "19", "22", "24"]


@pytest.mark.parametrize("place", ["hang up after a batch", "terminate after a batch"])
def test_a_closed_terminal_and_sigterm_end_the_run_with_a_checkpoint(run, place):
    code, said = run("run_dir=out", place=place, calls_before=2)
    assert code == INTERRUPTED_EXIT_CODE, said
    assert said.count("stopping after this batch") == 1
    assert said.splitlines()[-1].startswith("stopped; resume with: "), said
    assert content("out", "last.ckpt")
    code, said = run("resume=out")
    assert code == 0, said
    assert rows("out/losses.csv")[-1]["batch"] == "24"
    assert not list(Path("out").rglob("*.part*"))


def test_a_run_that_ignores_hangups_goes_on(run):
    arguments = ("run_dir=out", "n_epochs=1", "n_epochs_decay=0")
    code, said = run(*arguments, place="hang up after a batch", calls_before=2, on_hangup=signal.SIG_IGN)
    assert code == 0, said
    assert "stop" not in said
