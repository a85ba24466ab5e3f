"""Report errors of every command in one line: a `UserError`, a lack of memory or disk space, Ctrl-C."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cyclegan_audio.utils.errors import (
    INTERRUPTED_EXIT_CODE,
    USER_ERROR_EXIT_CODE,
    ReportedError,
    ReportedInterrupt,
)
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.shortages import Shortage, disk_reason, find_shortage, find_user_error
from cyclegan_audio.utils.signals import orderly_end

GroupHint = Callable[[Sequence[str]], str]  # from the overrides to an addition to a message about a group
DEBUG_VARIABLE = "HYDRA_FULL_ERROR"  # Hydra's name; the option `--debug` sets it
ONE_THREAD = "set OMP_NUM_THREADS=1 in the environment"
LESS_MEMORY = {  # for each verb, what makes it need less memory
    "prepare": "set workers=1",
    "classify": "set a smaller n_train",
    "train": "set threads=1 and a smaller data.batch_size or data.crop_frames",
    "train_vocoder": "set threads=1 and a smaller data.batch_size or data.segment_frames",
    "translate": f"add --vocoder mask, or {ONE_THREAD}",
    "evaluate": f"give fewer clips (--clips N), or {ONE_THREAD}",
    "compare": "compare fewer runs at once",
    "listening_test": f"give fewer clips (--clips N), or {ONE_THREAD}",
    "export": "export one direction (--to GENRE)",
    "share": "leave out --sounds",
    "app": "choose Draft, or a shorter song",
}


def is_debug() -> bool:
    """Return whether the user asked for stack traces."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def print_error(message: str) -> None:
    """Print a user's error as one line on standard error."""
    echo(f"error: {message}", file=sys.stderr)


def report_error(error: BaseException, message: str, with_trace: bool) -> None:
    """Print a user's error as one line, if nobody has; after its stack trace if `with_trace`."""
    if with_trace:
        trace = "".join(traceback.format_exception(error))
        echo(*trace.rstrip("\n").split("\n"), file=sys.stderr)
    if not isinstance(error, ReportedError):
        print_error(message)


def user_message(error: BaseException, verb: str = "") -> str | None:
    """Return the line that reports `error`, or None if it is an error in the program.

    A lack of memory or threads has priority over a `UserError` that it caused: a file that does not fit into
    memory is not damaged.

    Args:
        error: the exception that ended the command.
        verb: the command; the line then names its settings that save memory.
    """
    shortage = find_shortage(error)
    user_error = find_user_error(error)
    if user_error is not None and shortage in (None, Shortage.DISK):
        return str(user_error)
    if shortage is None:
        return None
    if shortage is Shortage.DISK:
        return f"{shortage.value} ({disk_reason(error)}); free disk space, then run the same command again"
    if shortage is Shortage.THREADS:
        return f"{shortage.value} (see ulimit -u); close other programs, or {ONE_THREAD}"
    return f"{shortage.value}; close other programs, or {LESS_MEMORY.get(verb, ONE_THREAD)}"


@contextmanager
def handle_user_errors(verb: str = "") -> Iterator[None]:
    """Exit with one line after Ctrl-C or an error with a `user_message`; with none after a closed pipe.

    Use it in a `with` statement, or as a decorator: `@handle_user_errors("export")`.

    Raises:
        SystemExit: 2 after an error, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP,
            1 if the reader of the output has gone.
    """
    try:
        with orderly_end():
            yield
        sys.stdout.flush()  # raises BrokenPipeError here instead of at exit
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        sys.exit(1)
    except Exception as error:
        message = user_message(error, verb)
        if message is None and isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            message = f"the name {str(error.filename)[:60]}... is too long; choose a shorter one"
        if message is None:
            raise
        report_error(error, message, is_debug())
        sys.exit(USER_ERROR_EXIT_CODE)
    except ReportedInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)
