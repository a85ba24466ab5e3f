"""Options of the commands that do without Hydra, and how these report errors."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

from cyclegan_audio.errors import STOPPED, UserError

P = ParamSpec("P")


def handle_user_errors(main: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command: a `UserError` becomes one line on standard error and exit code 1, Ctrl-C `stopped`.

    The stack trace is shown only where HYDRA_FULL_ERROR is set (`--debug` sets it).
    """

    @wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except UserError as error:
            if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0"):
                traceback.print_exc()
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(STOPPED)

    return wrapped


def parse_options(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """The options of a command without Hydra; each also takes `--debug`, which shows stack traces.

    Args:
        parser: of the command's own options.
        arguments: those of the command line by default.
    """
    parser.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    options = parser.parse_args(arguments)
    if options.debug:
        os.environ["HYDRA_FULL_ERROR"] = "1"
    del options.debug
    return options


def positive_int(text: str) -> int:
    """A whole number of at least 1 from a command line, as argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
