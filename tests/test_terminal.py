"""Commands on a terminal of 80 columns leave clean lines after Ctrl-C."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
from pathlib import Path

import pytest

from cyclegan_audio.utils.errors import INTERRUPTED_EXIT_CODE

COLUMNS = 80
TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b])", re.DOTALL)


class Screen:
    """Minimal terminal emulator: the control sequences of progress bars."""

    def __init__(self, text: str) -> None:
        self.lines, self.row, self.column = [""], 0, 0
        self.widest_bar, self.cursor_is_shown = 0, True
        for match in TOKEN.finditer(text):
            self._take(*match.groups())

    def _take(self, numbers: str, action: str, to_start: str, down: str, letter: str) -> None:
        if action == "K":
            self.lines[self.row] = ""
        elif action == "A":
            self.row -= int(numbers or 1)
        elif numbers == "?25":
            self.cursor_is_shown = action == "h"
        elif to_start:
            self.column = 0
        elif down:
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif letter:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
            self.column += 1
            if "━" in self.lines[self.row]:
                self.widest_bar = max(self.widest_bar, len(self.lines[self.row]))


def stop_when(trigger: str, module: str, *arguments: str, folder: Path) -> tuple[int, Screen, str]:
    """Run a command, press Ctrl-C after the text `trigger`; return exit code, screen and output."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm", PYTHONPATH=os.pathsep.join(sys.path))
        os.execv(sys.executable, [sys.executable, "-m", f"cyclegan_audio.{module}", *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    received, is_stopped = b"", False
    while True:
        if not select.select([terminal], [], [], 300)[0]:
            os.kill(child, 9)
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # on Linux: the other side is closed
            part = b""
        if not part:
            break
        received += part
        if not is_stopped and trigger in received.decode(errors="ignore"):
            os.write(terminal, b"\x03")
            is_stopped = True
    os.close(terminal)
    text = received.decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), Screen(text), text


@pytest.mark.parametrize("verb", ["prepare", "translate", "train"])
def test_ctrl_c_leaves_clean_lines(verb, music, corpus, tiny, tmp_path):
    low, high = music / "low", music / "high"
    trigger, arguments = {
        "prepare": (
            "preparing",
            [*("--genre", f"low={low}"), *("--genre", f"high={high}"), "corpus=corpus", "workers=1"],
        ),
        "translate": ("translating to lofi", ["demo", str(low), "out", "--to", "lofi"]),
        "train": (
            "disc ",
            [
                *tiny,
                f"corpus={corpus}",
                "genre_pair.a=low",
                "genre_pair.b=high",
                "logger=none",
                "run_dir=run",
            ],
        ),
    }[verb]
    code, screen, text = stop_when(trigger, verb, *arguments, folder=tmp_path)
    assert code == INTERRUPTED_EXIT_CODE, text
    lines = [line.rstrip() for line in screen.lines]
    last = f"stopped; resume with: cyclegan-audio train resume={tmp_path / 'run'}"
    assert [line for line in lines if line][-1] == (last if verb == "train" else "stopped")
    assert lines.count("stopped") == (verb != "train")
    assert screen.cursor_is_shown
    assert not [line for line in lines if "━" in line or "Traceback" in line or "^C" in line]
    assert 20 < screen.widest_bar <= COLUMNS
    if verb == "train":
        assert "stopping after this batch" in text
        assert re.search(r"epoch 1/50 .*batch \d+/8, cycle \d\.\d{3}, disc \d\.\d{3}", text)
