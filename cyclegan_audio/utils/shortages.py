"""Recognise errors from a lack of memory, threads or disk space, whichever library raised them."""

import errno
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from enum import Enum

from cyclegan_audio.utils.errors import UserError, error_reason
from cyclegan_audio.utils.locks import LockedError


class Shortage(Enum):
    """What the computer lacks; the value describes it to the user."""

    MEMORY = "not enough memory"
    GPU_MEMORY = "not enough memory on the GPU"
    WORKER = "a worker process was killed, probably for lack of memory"
    THREADS = "the system allows no more threads or processes"
    DISK = "the disk is full"


_BY_TEXT = {  # parts of messages, in lower case; the first that matches counts
    Shortage.GPU_MEMORY: ("cuda out of memory", "cuda error: out of memory", "mps backend out of memory"),
    Shortage.THREADS: ("can't start new thread", "resource temporarily unavailable"),
    Shortage.WORKER: ("is killed by signal: killed", "exited unexpectedly"),  # of torch's DataLoader
    Shortage.MEMORY: (
        "not enough memory", "out of memory", "allocate memory", "failed to map segment", "bad_alloc",
        "could not create a primitive\n", "could not execute a primitive\n",  # of oneDNN
    ),
}  # fmt: skip
_BY_ERRNO = {
    errno.ENOMEM: Shortage.MEMORY,
    errno.EAGAIN: Shortage.THREADS,
    errno.ENOSPC: Shortage.DISK,
    errno.EDQUOT: Shortage.DISK,
    errno.EFBIG: Shortage.DISK,  # a limit on the size of files
}


def find_user_error(error: BaseException) -> UserError | None:
    """Return the first `UserError` among `error` and its causes (`raise ... from`), or None."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, UserError):
        link = link.__cause__
    return link


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that were handled when it was raised, from the last to the first.

    An inner error that is raised again from None makes the chain a circle.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while (
        link is not None and link not in chain and not isinstance(link, LockedError)
    ):  # a lock lacks nothing
        chain.append(link)
        yield link
        link = link.__cause__ if link.__cause__ is not None else link.__context__


def find_shortage(error: BaseException) -> Shortage | None:
    """Return what the computer lacked when `error` or one of its causes was raised; None for other errors."""
    return next((shortage for link in _chain(error) if (shortage := _shortage_of(link))), None)


def disk_reason(error: BaseException) -> str:
    """Return why a file could not be written: the system's words, or the `error_reason`.

    torch's writer raises a RuntimeError of its own in place of the system's error.
    """
    system_errors = (link for link in _chain(error) if isinstance(link, OSError) and link.strerror)
    if (system_error := next(system_errors, None)) is not None:
        return ": ".join(str(part) for part in (system_error.filename, system_error.strerror) if part)
    return error_reason(error)


def _shortage_of(error: BaseException) -> Shortage | None:
    if isinstance(error, UserError):  # its words may quote a file's name
        return None
    if isinstance(error, MemoryError):
        return Shortage.MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno)
    text = f"{error}\n".lower()
    if "static tls" in text:  # a library that was loaded too late, in the words of a lack of memory
        return None
    by_text = (shortage for shortage, parts in _BY_TEXT.items() if any(part in text for part in parts))
    return next(by_text, Shortage.WORKER if isinstance(error, BrokenExecutor) else None)
