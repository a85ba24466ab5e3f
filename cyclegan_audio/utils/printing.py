"""Print and log text with names from files: control characters become visible escapes, never raw."""

import logging
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.table import Table

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (bidi too), lone surrogates, line separators
_JOINERS = "\u200c\u200d"  # format characters of Persian, Indian languages and emoji


def _is_safe(character: str) -> bool:
    return unicodedata.category(character) not in _UNSAFE or character in _JOINERS


def printable(text: str) -> str:
    r"""Escape control characters, bidi controls and bytes that are not UTF-8, such as `\x1b` and `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_safe(character) else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Return text for a page or a figure: each line `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def _is_byte(character: str) -> bool:
    """Return whether this is how Python stores a byte of a file's name that is not UTF-8."""
    return 0xDC80 <= ord(character) <= 0xDCFF


def _escape(character: str) -> str:
    if _is_byte(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shell_quote(text: str) -> str:
    r"""Quote an argument for a shell; `$'\x1b'` (bash, zsh, ksh) where `printable` would change it."""
    if printable(text) == text:
        return shlex.quote(text)
    escaped = {"\\": "\\\\", "'": "\\'"}
    return "$'" + "".join(escaped.get(c, c) if _is_safe(c) else _byte_escapes(c) for c in text) + "'"


def _byte_escapes(character: str) -> str:
    errors = "surrogateescape" if _is_byte(character) else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))


def echo(*lines: str, file: TextIO | None = None, flush: bool = False) -> None:
    """Print each line `printable`, also where the terminal cannot encode it.

    Args:
        lines: lines to print; a newline within one is escaped.
        file: the stream; by default standard output.
        flush: whether to print without delay.
    """
    if not lines:
        return
    stream = sys.stdout if file is None else file
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = "\n".join(map(printable, lines)).encode(encoding, "backslashreplace").decode(encoding)
    print(text, file=stream, flush=flush)


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module, whose messages are `printable`."""
    logger = logging.getLogger(name)
    if _escape_record not in logger.filters:
        logger.addFilter(_escape_record)
    return logger


def _escape_record(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), None
    return True


def text_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """Return a table of printable text for a console, without markup.

    Args:
        title: printed above the table.
        header: headers of the columns.
        rows: cells, row by row.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for name in header:
        table.add_column(Text(printable(name)))
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
