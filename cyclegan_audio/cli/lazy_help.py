"""Python 3.14 beside Hydra 1.3, whose parser has an option with a help text that is not a string."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def lazy_help_allowed() -> Iterator[None]:
    """Let parsers take help texts that are made only when they are shown.

    Since Python 3.14 `add_argument` formats each help text to check it, which fails on the object that Hydra
    passes for `--shell-completion` (its issue 3121). Texts that are strings are checked as before.
    """
    if sys.version_info < (3, 14):
        yield
        return
    owner: Any = argparse._ActionsContainer
    check = owner._check_help

    def check_strings(self: Any, action: argparse.Action) -> None:
        if isinstance(action.help, str):
            check(self, action)

    owner._check_help = check_strings
    try:
        yield
    finally:
        owner._check_help = check
