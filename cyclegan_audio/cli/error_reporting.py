"""Report errors of every command: one line for a `UserError`, no traceback after Ctrl-C or a closed pipe."""

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
    UserError,
)
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.signals import orderly_end

GroupHint = Callable[[Sequence[str]], str]  # from the overrides to an addition to a message about a group
DEBUG_VARIABLE = "HYDRA_FULL_ERROR"  # Hydra's name; the option `--debug` sets it


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


@contextmanager
def handle_user_errors() -> Iterator[None]:
    """Exit with one line after Ctrl-C or a `UserError`, and with none if the reader of the output has gone.

    Use it in a `with` statement, or as a decorator: `@handle_user_errors()`.

    Raises:
        SystemExit: 2 after an error, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP,
            1 if the reader of the output has gone.
    """
    try:
        with orderly_end():
            yield
        sys.stdout.flush()  # raises BrokenPipeError here instead of at exit
    except UserError as error:
        report_error(error, str(error), is_debug())
        sys.exit(USER_ERROR_EXIT_CODE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        message = f"the name {str(error.filename)[:60]}... is too long; choose a shorter one"
        report_error(error, message, is_debug())
        sys.exit(USER_ERROR_EXIT_CODE)
    except ReportedInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)
