"""Exit codes, `UserError`, the error that a user can correct, checks that raise it, texts for messages."""

import math
import reprlib
import sys

USER_ERROR_EXIT_CODE = 2  # an error that the user can correct; 1 is a bug, or a reader that has gone
INTERRUPTED_EXIT_CODE = 130  # the exit code that shells give to Ctrl-C


class UserError(Exception):
    """An error that the user can correct: its message states the problem and the remedy in one line."""


class FileError(UserError):
    """A `UserError` about a file, whose message names it."""


class ReportedError(UserError):
    """An error that another process has already printed."""


class ReportedInterrupt(KeyboardInterrupt):
    """The end of a run after Ctrl-C, if a message has already said so."""


def check_utf8(name: str, value: object) -> None:
    """Check that a name or a path can be stored in text files.

    Args:
        name: the setting, for the message.
        value: its value.

    Raises:
        UserError: it holds bytes that are not UTF-8.
    """
    try:
        str(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{name} {value} is not UTF-8 text; choose or give it another name") from error


def check_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, integer: bool = False
) -> None:
    """Check that a setting is a finite number from `low` to `high`.

    Args:
        name: the setting, for the message.
        value: its value.
        low: the smallest valid value.
        high: the largest valid value.
        integer: whether only integers are valid.

    Raises:
        UserError: the value is invalid; the message names the setting, the valid values and the value.
    """
    types = (int,) if integer else (int, float)
    is_number = isinstance(value, types) and not isinstance(value, bool)
    if is_number and abs(value) <= sys.float_info.max and low <= value <= high:  # type: ignore[arg-type, operator]
        return
    bounds = [f" >= {low:.12g}"] * math.isfinite(low) + [f" <= {high:.12g}"] * math.isfinite(high)
    kind = "an integer" if integer else "a number"
    raise UserError(f"{name} must be {kind}{' and'.join(bounds)}, got {shortened(value)}")


def error_reason(error: BaseException) -> str:
    """Return the message of an error in one printable line of at most 120 characters; else its type."""
    text = " ".join(str(error).split())[:120] or type(error).__name__
    return text if text.isprintable() else ascii(text)


def shortened(value: object) -> str:
    """Return the `repr` of a value in one line of about 60 characters, however long the value is."""
    try:
        return _short_repr.repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        return f"a huge {type(value).__name__}"


_short_repr = reprlib.Repr()
_short_repr.maxstring = _short_repr.maxother = _short_repr.maxlong = 60
