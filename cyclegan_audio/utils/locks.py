"""File locks between processes: one training process in a run folder, one job on a GPU.

The operating system releases a lock when its process ends, so a killed process blocks nobody.
"""

import fcntl
import itertools
import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


class LockedError(Exception):
    """Another process holds the lock."""


@contextmanager
def process_lock(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a lock of this process within the block; delete its file at the end.

    Forked processes do not hold it. A second lock of the same process on the same file always succeeds.

    Args:
        path: the lock file, in a folder that exists.
        shared: whether other processes may hold it too if theirs is shared; its file then stays.
        wait: whether to wait until no other process holds it.

    Raises:
        LockedError: another process holds the lock.
    """
    operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    with ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("a+"))
            try:
                fcntl.lockf(file, operation)
            except (BlockingIOError, PermissionError) as error:
                raise LockedError(str(path)) from error
            if _is_at(file.fileno(), path):
                break
            stack.close()  # its last holder deleted the file after it was opened here
        try:
            yield
        finally:
            if not shared:
                path.unlink(missing_ok=True)


def lock_holder(path: Path) -> int | None:
    """Return the process that holds the exclusive lock of a file, as the system says; None if none does.

    Locks of the calling process itself do not count.
    """
    # struct flock: type, whence, start, length, process; on a Mac start, length, process, type, whence.
    is_mac = sys.platform == "darwin"
    layout, request = (
        ("qqihh", (0, 0, 0, fcntl.F_RDLCK, 0)) if is_mac else ("hhqqi", (fcntl.F_RDLCK, 0, 0, 0, 0))
    )
    try:
        with path.open("rb") as file:
            answer = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(layout, *request)))
    except OSError:
        return None
    kind, process = (answer[3], answer[2]) if is_mac else (answer[0], answer[4])
    return process if kind != fcntl.F_UNLCK else None


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def any_lock(paths: Sequence[Path], poll_s: float) -> Iterator[int]:
    """Wait for the first free lock of several and hold it within the block; yield its index.

    Each call counts as another holder, also within one process.

    Args:
        paths: the lock files, in a folder that exists; they stay there.
        poll_s: seconds between two rounds over all locks.
    """
    with ExitStack() as stack:
        for index in itertools.cycle(range(len(paths))):
            file = stack.enter_context(paths[index].open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stack.close()
                time.sleep(poll_s if index == len(paths) - 1 else 0)
        yield index
