"""Signals that end the program: SIGTERM, and SIGHUP from a closed terminal unless it is ignored (`nohup`)."""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


def is_ignored_hangup(number: int) -> bool:
    """Return whether this is SIGHUP and the process was started to survive it, as by `nohup`."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def silence_terminal() -> None:
    """Send what is printed from now on to nowhere, except to files; call it when the terminal has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            descriptor = stream.fileno()
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        except (OSError, ValueError, AttributeError):  # no stream, or no descriptor behind it
            continue


@contextmanager
def signal_handlers(handler: Handler, numbers: Sequence[int]) -> Iterator[None]:
    """Handle signals within the block, except an ignored SIGHUP; only the main thread can.

    Args:
        handler: called with the number and the frame; for SIGHUP it calls `silence_terminal`.
        numbers: the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers if not is_ignored_hangup(number)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _end(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        print("stopped", file=sys.stderr, flush=True)
    if number == signal.SIGHUP:
        silence_terminal()
    # A shell and the system may both send SIGHUP; a second SIGTERM ends at once.
    signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
    sys.exit(128 + number)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Leave the block by SystemExit at SIGTERM or SIGHUP, so that temporary files and processes go too."""
    with signal_handlers(_end, (signal.SIGTERM, signal.SIGHUP)):
        yield
