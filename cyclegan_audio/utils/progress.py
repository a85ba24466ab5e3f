"""How far long work is, on standard error: a bar on a terminal, else a plain line each half minute."""

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

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

T = TypeVar("T")
MAX_COLUMNS = 78  # of a terminal's 80: behind the bar there is room for the ^C that a terminal echoes
BAR_COLUMNS = (4, 30)  # at least (with less room there is none) and at most
REFRESH_S = 0.2
LINE_S = 30.0


class ProgressBar:
    """Shows one piece of work from `open` to `close`, by what `update` is told.

    On a terminal it is a bar in its last line, and what the program prints meanwhile stands above it. Else it
    is a plain line each `LINE_S`, none for work that takes less. Only `update` shows it anew.

    Args:
        label: what is done.
        total: how much there is to do; None where that is not known.
        unit: what is counted, such as `songs`; "" shows a share of the whole.
    """

    def __init__(self, label: str, total: float | None = None, unit: str = "") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.count: str | None = None
        self.notes = ""
        self.left_s: float | None = None
        self._start = self._shown = time.monotonic()
        self._live: Live | None = _live(self) if is_terminal() else None

    def open(self) -> None:
        """Show it, in place of one that is open already; whoever calls this sees to `close`."""
        with _undisturbed():
            if _open:
                _open[-1]._hide()
            _open.append(self)
            self._show()

    def is_due(self) -> bool:
        """Whether an `update` would be shown now."""
        return time.monotonic() - self._shown >= (LINE_S if self._live is None else REFRESH_S)

    def update(
        self,
        done: float,
        total: float | None = None,
        *,
        label: str | None = None,
        count: str | None = None,
        notes: str = "",
        left_s: float | None = None,
    ) -> None:
        """Tell what is done; it is shown where the last time is long enough ago.

        Args:
            done: of `total`, from the start.
            total: where it has changed.
            label: where it has changed.
            count: stands for the count of units or the share.
            notes: further text.
            left_s: seconds to the end, `inf` where not known; by default as the work has gone so far.
        """
        self.done, self.notes, self.left_s = done, notes, left_s
        self.total = self.total if total is None else total
        self.label = self.label if label is None else label
        self.count = count
        if not self.is_due():
            return
        self._shown = time.monotonic()
        if self._live is None:
            print(", ".join([self.label, *self._said()]), file=sys.stderr, flush=True)
        else:
            with _undisturbed():
                self._live.refresh()

    def advance(self, by: float = 1.0) -> None:
        """Tell that so much more is done."""
        self.update(self.done + by)

    def close(self) -> None:
        """Take the bar away, and show the one again that it stood in place of; a second time does nothing."""
        with _undisturbed():
            if self in _open:
                self._hide()
                _open.remove(self)
                if _open:
                    _open[-1]._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.start(refresh=True)

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _said(self) -> list[str]:
        """Count, notes and the time that is left, as far as they are known."""
        left_s = self.left_s
        if left_s is None and self.total and self.done > 0:
            left_s = (time.monotonic() - self._start) * max(0.0, self.total - self.done) / self.done
        count = self.count
        if count is None and self.total:
            share = min(1.0, self.done / self.total)
            count = f"{self.done:.0f} of {self.total:.0f} {self.unit}" if self.unit else f"{share:.0%}"
        left = "" if left_s is None or math.isinf(left_s) else f"{duration(left_s)} left"
        return [part for part in (count, self.notes, left) if part]

    def __rich__(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        assert self._live is not None
        room = min(MAX_COLUMNS, self._live.console.width - 2)
        said, label = Text(", ".join(self._said())), Text(self.label)
        said.truncate(room, overflow="ellipsis")
        label_room = room - said.cell_len - 1
        label.truncate(label_room, overflow="ellipsis")
        row: list[RenderableType] = [label, said] if label_room > 1 else [said]
        columns = min(BAR_COLUMNS[1], room - label.cell_len - said.cell_len - 2)
        if self.total and columns >= BAR_COLUMNS[0]:
            row.insert(1, Bar(self.total, min(self.done, self.total), width=columns))
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        for _ in row:
            grid.add_column(no_wrap=True)
        grid.add_row(*row)
        return grid


_open: list[ProgressBar] = []  # the last one is shown


def _live(bar: ProgressBar) -> "Live":
    from rich.console import Console
    from rich.live import Live

    # What is printed is not broken into lines, so that a path or a command can be copied.
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    return Live(bar, console=console, auto_refresh=False, transient=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, so that no half a bar is left."""
    if threading.current_thread() is not threading.main_thread():  # which alone takes signals
        yield
        return
    waiting: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            signal.raise_signal(signal.SIGINT)


def is_terminal() -> bool:
    """Whether a person looks on, and no other process of the command draws a bar there too."""
    is_main = multiprocessing.current_process().name == "MainProcess"
    looked_at = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return is_main and looked_at and os.environ.get("TERM") not in ("dumb", "unknown")


@contextmanager
def progress_bar(label: str, total: float | None = None, unit: str = "") -> Iterator[ProgressBar]:
    """Show a `ProgressBar` within the block, however that ends."""
    bar = ProgressBar(label, total, unit)
    try:
        bar.open()  # Ctrl-C may come before this has returned
        yield bar
    finally:
        bar.close()


def with_progress(items: Iterable[T], label: str, total: int, unit: str) -> Iterator[T]:
    """The items under a bar, for who only collects them: where their user fails, the bar stays."""
    with progress_bar(label, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()


def duration(seconds: float) -> str:
    """A time as people say it: `45 s`, `12 min`, `5 h 07 min`, `3 days 4 h`."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"
