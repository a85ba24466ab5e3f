"""End a command in good order on SIGTERM (kill, shutdown) and SIGHUP (closed terminal), as on Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def exit_on_termination() -> Iterator[None]:
    """Raise SystemExit on SIGTERM and SIGHUP within the block, so that temporary files are deleted.

    The exit code is 128 plus the signal's number, as a shell gives it. A second signal ends the process at
    once; ignored signals (nohup) stay ignored. Use it in a `with` statement, or as a decorator. In a thread
    it does nothing, as Python handles signals in the main thread only.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    previous = {
        number: signal.signal(number, _exit)
        for number in numbers
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_DFL)
    print("stopped", file=sys.stderr)
    sys.exit(128 + number)
