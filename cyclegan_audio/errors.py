"""Errors that are the user's to mend, and how a command shows them."""

import argparse
import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
STOPPED = 130  # the exit code that shells give to Ctrl-C


class UserError(Exception):
    """Bad input: the message says in one line what is wrong and how to mend it."""


def one_line_errors(main: Callable[P, None]) -> Callable[P, None]:
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


def positive(text: str) -> int:
    """A whole number of at least 1 from a command line, as argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def require_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, whole: bool = False
) -> None:
    """Refuse what is no finite number from `low` to `high`.

    Raises:
        UserError: names the setting, its value and what it may be.
    """
    kinds = (int,) if whole else (int, float)
    if (
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and low <= value <= high
        and math.isfinite(value)
    ):
        return
    bounds = [f"at least {low:g}"] * math.isfinite(low) + [f"at most {high:g}"] * math.isfinite(high)
    raise UserError(
        f"{name}={value} is not {'a whole' if whole else 'a'} number {' and '.join(bounds)}".rstrip()
    )
