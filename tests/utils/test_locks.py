"""Locks between processes."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cyclegan_audio.utils import locks
from cyclegan_audio.utils.locks import LockedError, any_lock, process_lock

HOLD_LOCK = """
import sys
from pathlib import Path
from cyclegan_audio.utils.locks import process_lock
with process_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
LOCK_AFTER_FORK = """
import os
import sys
from pathlib import Path
from cyclegan_audio.utils.locks import LockedError, process_lock
with process_lock(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        try:
            with process_lock(Path(sys.argv[1])):
                os._exit(0)
        except LockedError:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(code)
"""


def test_another_process_is_refused_until_the_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError), process_lock(path):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert path.exists()
    with process_lock(path):
        pass
    assert not path.exists()


def test_a_lock_of_a_deleted_file_does_not_count(tmp_path, monkeypatch):
    """The last holder may delete the file after the next one has opened it, and a third may make it again."""
    path = tmp_path / "lock"
    path.touch()
    lock, opened = locks.fcntl.lockf, []

    def delete_first(file, operation):
        lock(file, operation)
        if not opened:
            path.unlink()
        opened.append(os.fstat(file.fileno()).st_ino)

    monkeypatch.setattr(locks.fcntl, "lockf", delete_first)
    with process_lock(path):
        assert len(opened) == 2
        assert path.stat().st_ino == opened[1]


def test_shared_locks_are_held_together_and_exclude_others(tmp_path):
    path = tmp_path / "lock"
    script = HOLD_LOCK.replace(
        "process_lock(Path(sys.argv[1]))", "process_lock(Path(sys.argv[1]), shared=True)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with process_lock(path, shared=True):
        pass
    with pytest.raises(LockedError), process_lock(path):
        pass
    holder.communicate("", timeout=60)
    with process_lock(path, wait=True):
        pass
    assert not path.exists()


def test_a_forked_process_does_not_hold_the_lock(tmp_path):
    forked = subprocess.run([sys.executable, "-c", LOCK_AFTER_FORK, str(tmp_path / "lock")], check=False)
    assert forked.returncode == 3


def test_any_lock_takes_the_first_free_one_and_waits_between_rounds(tmp_path, monkeypatch):
    paths = [tmp_path / "0", tmp_path / "1"]
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 4:
            second.__exit__(None, None, None)

    first, second = any_lock(paths, 0.5), any_lock(paths, 0.5)
    assert (first.__enter__(), second.__enter__()) == (0, 1)
    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=sleep))
    with any_lock(paths, 0.5) as index:
        assert index == 1
    assert waits == [0, 0.5, 0, 0.5, 0]
    first.__exit__(None, None, None)
