"""Errors that are the user's to mend, and checks of numbers that raise them."""

import math

STOPPED = 130  # the exit code that shells give to Ctrl-C


class UserError(Exception):
    """Bad input: the message says in one line what is wrong and how to mend it."""


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
    bounds = [f"at least {low:.12g}"] * math.isfinite(low) + [f"at most {high:.12g}"] * math.isfinite(high)
    raise UserError(
        f"{name}={value} is not {'a whole' if whole else 'a'} number {' and '.join(bounds)}".rstrip()
    )
