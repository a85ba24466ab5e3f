"""Show errors of the page's functions in one line, as the commands print them."""

import functools
import html
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from cyclegan_audio.cli.error_reporting import is_debug, user_message
from cyclegan_audio.utils.printing import echo, printable

Function = TypeVar("Function", bound=Callable[..., Any])
BUG = "an error in the program; the terminal of the page shows it. Please report it"


def one_line_errors(function: Function) -> Function:
    """Decorate a function of the page: an error becomes one line on it, with names of files as plain text."""

    @functools.wraps(function)
    def show_errors(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except gr.Error:
            raise
        except Exception as error:
            message = user_message(error, "app")
            if message is None or is_debug():
                echo(*"".join(traceback.format_exception(error)).rstrip().split("\n"), file=sys.stderr)
            raise gr.Error(
                html.escape(printable(message or BUG)), duration=None, print_exception=False
            ) from error

    return show_errors  # type: ignore[return-value]
