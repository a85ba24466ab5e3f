"""Progress of long work on standard error: a bar on a terminal, else one plain line every 30 seconds."""

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from cyclegan_audio.utils.printing import echo, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

T = TypeVar("T")
MAX_COLUMNS = 78  # of 80: leaves room for the ^C that a terminal echoes
BAR_COLUMNS = (4, 30)  # minimum (below it no bar is drawn) and maximum
REFRESH_S = 0.2
LINE_S = 30.0


class ProgressBar:
    """Progress display of one task, from `open` to `close`.

    On a terminal it is a bar in the last line; printed lines appear above it. Elsewhere it prints a plain
    line every `LINE_S` seconds, and none for shorter tasks. Only `update` refreshes it.

    Args:
        label: name of the task.
        total: amount of work; None if unknown.
        unit: what `total` counts, such as `songs`; "" shows a percentage.
    """

    def __init__(self, label: str, total: float | None = None, unit: str = "") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.count: str | None = None
        self.notes = ""
        self.remaining_s: float | None = None
        self._start = self._last_refresh = time.monotonic()
        self._live: Live | None = _live_display(self) if is_terminal() else None

    def open(self) -> None:
        """Show the bar in place of one that is already open; the caller must call `close`."""
        with _defer_interrupt():
            if _open_bars:
                _open_bars[-1]._hide()
            _open_bars.append(self)
            self._show()

    def is_due(self) -> bool:
        """Return whether an `update` would refresh the display now."""
        return time.monotonic() - self._last_refresh >= (LINE_S if self._live is None else REFRESH_S)

    def update(
        self,
        done: float,
        total: float | None = None,
        *,
        label: str | None = None,
        count: str | None = None,
        notes: str = "",
        remaining_s: float | None = None,
    ) -> None:
        """Set the state; refresh the display if the last refresh is long enough ago.

        Args:
            done: amount of finished work, out of `total`.
            total: new total; None keeps it.
            label: new label; None keeps it.
            count: text in place of the count of units or the percentage.
            notes: additional text.
            remaining_s: seconds to the end, `inf` if unknown; None extrapolates from the time so far.
        """
        self.done, self.notes, self.remaining_s = done, notes, remaining_s
        self.total = self.total if total is None else total
        self.label = self.label if label is None else label
        self.count = count
        if not self.is_due():
            return
        self._last_refresh = time.monotonic()
        if self._live is None:
            echo(", ".join([self.label, *self._status()]), file=sys.stderr, flush=True)
        else:
            with _defer_interrupt():
                self._live.refresh()

    def advance(self, by: float = 1.0) -> None:
        """Add an amount of finished work."""
        self.update(self.done + by)

    def close(self) -> None:
        """Remove the bar and show the one below it again; a second call does nothing."""
        with _defer_interrupt():
            if self in _open_bars:
                self._hide()
                _open_bars.remove(self)
                if _open_bars:
                    _open_bars[-1]._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.start(refresh=True)

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _status(self) -> list[str]:
        """Return the count, the notes and the remaining time, those that are known."""
        remaining_s = self.remaining_s
        if remaining_s is None and self.total and self.done > 0:
            remaining_s = (time.monotonic() - self._start) * max(0.0, self.total - self.done) / self.done
        count = self.count
        if count is None and self.total:
            fraction = min(1.0, self.done / self.total)
            count = f"{self.done:.0f} of {self.total:.0f} {self.unit}" if self.unit else f"{fraction:.0%}"
        is_unknown = remaining_s is None or math.isinf(remaining_s)
        remaining = "" if is_unknown else f"{format_duration(remaining_s)} left"  # type: ignore[arg-type]
        return [part for part in (count, self.notes, remaining) if part]

    def __rich__(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        assert self._live is not None
        width = min(MAX_COLUMNS, self._live.console.width - 2)
        status, label = (Text(printable(text)) for text in (", ".join(self._status()), self.label))
        status.truncate(width, overflow="ellipsis")
        label_width = width - status.cell_len - 1
        label.truncate(label_width, overflow="ellipsis")
        row: list[RenderableType] = [label, status] if label_width > 1 else [status]
        bar_width = min(BAR_COLUMNS[1], width - label.cell_len - status.cell_len - 2)
        if self.total and bar_width >= BAR_COLUMNS[0]:
            row.insert(1, Bar(self.total, min(self.done, self.total), width=bar_width))
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        for _ in row:
            grid.add_column(no_wrap=True)
        grid.add_row(*row)
        return grid


_open_bars: list[ProgressBar] = []  # the last one is visible


def _live_display(bar: ProgressBar) -> "Live":
    from rich.console import Console
    from rich.live import Live

    # Printed lines are not wrapped, so that paths and commands can be copied.
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    return Live(bar, console=console, auto_refresh=False, transient=True)


@contextmanager
def _defer_interrupt() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block, so that no part of a bar stays on the terminal."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    pending: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pending:
            signal.raise_signal(signal.SIGINT)


def is_terminal() -> bool:
    """Return whether this is the main process and its output goes to a terminal that can draw a bar."""
    is_main = multiprocessing.current_process().name == "MainProcess"
    is_tty = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return is_main and is_tty and os.environ.get("TERM") not in ("dumb", "unknown")


@contextmanager
def progress_bar(label: str, total: float | None = None, unit: str = "") -> Iterator[ProgressBar]:
    """Show a `ProgressBar` within the block; for the arguments see there."""
    bar = ProgressBar(label, total, unit)
    try:
        bar.open()  # inside `try`: Ctrl-C may come before it returns
        yield bar
    finally:
        bar.close()


def with_progress(items: Iterable[T], label: str, total: int, unit: str) -> Iterator[T]:
    """Yield the items under a progress bar.

    Exhaust the iterator: the bar stays if its consumer fails in between.
    """
    with progress_bar(label, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()


def format_duration(seconds: float) -> str:
    """Return a duration as text: `45 s`, `12 min`, `5 h 07 min`, `3 days 4 h`."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"
