"""Progress bars and lines; those of whole commands on a terminal are in `test_terminal.py`."""

import io
import re
import signal
import sys

import pytest
from rich.cells import cell_len
from rich.live import Live

from cyclegan_audio.utils import progress
from cyclegan_audio.utils.progress import ProgressBar, format_duration, progress_bar, with_progress


class Clock:
    """Fake of the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def fake_terminal(monkeypatch) -> Terminal:
    """Replace the standard streams by a wide terminal; call it within a test, pytest sets them before."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return terminal


def test_without_a_terminal_a_line_is_printed_every_half_minute(clock, capsys):
    with progress_bar("translating", 120, "songs") as bar:
        for _ in range(120):
            clock.now += 4.0
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 120 * 4 // 32  # one song in 4 s, hence one line in 32 s
    assert lines[0] == "translating, 8 of 120 songs, 7 min left"
    assert lines[-1] == "translating, 120 of 120 songs, 0 s left"


def test_short_work_prints_nothing_and_percentages_have_no_unit(clock, capsys):
    assert list(with_progress("abc", "reading", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    bar = ProgressBar("song.mp3")
    clock.now += 31
    bar.update(0.25, 1.0)
    clock.now += 31
    bar.update(0.5, label="b.mp3", count="bar 5", notes="loss 1", remaining_s=7200)
    bar.close()
    assert capsys.readouterr().err == "song.mp3, 25%, 2 min left\nb.mp3, bar 5, loss 1, 2 h 00 min left\n"


@pytest.mark.parametrize("columns", [200, 80, 60, 20])
def test_a_bar_is_never_wider_than_the_terminal_or_80_columns(clock, monkeypatch, columns):
    terminal = fake_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = ProgressBar("epoch 13/50 of a run with a long label 日本語", 1.0)
    try:
        bar.open()
        clock.now += 1
        bar.update(0.4, count="batch 12000/39500", notes="cycle 0.123, disc 0.123", remaining_s=7800)
    finally:
        bar.close()
    drawn = [
        re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", part).rstrip()
        for part in re.split(r"[\r\n]", terminal.getvalue())
    ]
    assert [line for line in drawn if cell_len(line) > min(78, columns - 2)] == []
    assert any("\N{HORIZONTAL ELLIPSIS}" in line for line in drawn)
    if columns >= 80:
        assert any(
            line.endswith("batch 12000/39500, cycle 0.123, disc 0.123, 2 h 10 min left") for line in drawn
        )


def test_printed_lines_appear_above_the_bar(clock, monkeypatch):
    terminal = fake_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "40")
    with progress_bar("work", 10, "files") as bar:
        print("a path with [brackets] of many letters " * 4)
        clock.now += 1
        bar.advance()
    output = terminal.getvalue()
    assert "a path with [brackets] of many letters " * 4 in output
    assert output.endswith("\x1b[2K")  # the line of the bar is empty
    assert output.rindex("\x1b[?25h") > output.index("\x1b[?25l")  # and the cursor is visible
    assert sys.stdout is terminal


def test_an_error_removes_the_bar(monkeypatch):
    terminal = fake_terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), progress_bar("work", 10):
        raise ZeroDivisionError
    assert terminal.getvalue().count("\x1b[?25h") == 1


def test_an_interrupt_while_the_bar_opens_removes_it(monkeypatch):
    terminal, show = fake_terminal(monkeypatch), ProgressBar._show

    def stopped(bar):
        show(bar)
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "_show", stopped)
    with pytest.raises(KeyboardInterrupt), progress_bar("work", 10):
        pass
    assert terminal.getvalue().endswith("\x1b[2K")
    assert terminal.getvalue().count("\x1b[?25h") == 1


def test_an_interrupt_waits_until_the_bar_is_drawn(clock, monkeypatch):
    terminal, refresh = fake_terminal(monkeypatch), Live.refresh

    def stopped(live):
        signal.raise_signal(signal.SIGINT)
        refresh(live)

    before = signal.getsignal(signal.SIGINT)
    with progress_bar("work", 10, "files") as bar:
        clock.now += 1
        with monkeypatch.context() as patch:
            patch.setattr(Live, "refresh", stopped)
            with pytest.raises(KeyboardInterrupt):
                bar.advance()
        assert "1 of 10 files" in terminal.getvalue()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_nested_bar_replaces_the_outer_one(clock, monkeypatch):
    terminal = fake_terminal(monkeypatch)
    with progress_bar("outer", 10, "files"):
        with progress_bar("inner", 10, "steps"):
            start = len(terminal.getvalue())
        assert "outer" in terminal.getvalue()[start:]
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 3


@pytest.mark.parametrize("change", [{"TERM": "dumb"}, {"stdout": None}])
def test_no_bar_on_a_dumb_terminal_or_with_a_pipe(monkeypatch, change):
    fake_terminal(monkeypatch)
    assert progress.is_terminal()
    if "TERM" in change:
        monkeypatch.setenv("TERM", change["TERM"])
    else:
        monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not progress.is_terminal()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3580, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (3e5, "3 days 11 h"),
    ],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text
