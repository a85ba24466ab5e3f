"""How every command reports errors, a stop by Ctrl-C, and a reader of its output that is gone."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from cyclegan_audio.utils.errors import STOPPED, UserError

DEBUG = "HYDRA_FULL_ERROR"  # Hydra's name; `--debug` sets it


def shows_traces() -> bool:
    """Return whether the user wants to see stack traces."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def report(error: BaseException, message: str, with_trace: bool) -> None:
    """Show a mistake of the user's in one line, with its stack trace where that is wanted."""
    if with_trace:
        traceback.print_exception(error)
    print_error(message)


def print_error(message: str) -> None:
    """Print a mistake of the user's as one line."""
    print(f"error: {message}", file=sys.stderr)


@contextmanager
def handle_user_errors() -> Iterator[None]:
    """End the program in one line after Ctrl-C or a `UserError`, and quietly where nobody reads its output.

    Use it in a `with` statement, or as a decorator: `@handle_user_errors()`.

    Raises:
        SystemExit: 130 after Ctrl-C, 1 otherwise.
    """
    try:
        yield
        sys.stdout.flush()  # here, where a reader that is gone can be noticed
    except UserError as error:
        report(error, str(error), shows_traces())
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        report(
            error, f"the name {str(error.filename)[:60]}... is too long; take a shorter one", shows_traces()
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(STOPPED)
