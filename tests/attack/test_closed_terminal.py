"""A terminal is closed, or SIGTERM comes, while a command works: it ends in order and leaves no halves."""

import os
import pty
import select
import signal
import sys
from pathlib import Path

import pytest

from cyclegan_audio.utils.errors import INTERRUPTED_EXIT_CODE

TRIGGERS = {
    "prepare": "preparing",
    "train": "disc ",
    "translate": "translating to lofi",
    "evaluate": "translating held-out clips",
}


def end_by(number: int, verb: str, *arguments: str, folder: Path) -> tuple[int, str]:
    """Run a command; at the trigger send SIGTERM, or close the terminal; return exit code and output."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm", PYTHONPATH=os.pathsep.join(sys.path))
        os.execv(sys.executable, [sys.executable, "-m", f"cyclegan_audio.{verb}", *arguments])
    received = b""
    while TRIGGERS[verb] not in received.decode(errors="ignore"):
        if not select.select([terminal], [], [], 300)[0]:
            os.kill(child, signal.SIGKILL)
        received += os.read(terminal, 1 << 16)
    if number == signal.SIGHUP:
        os.close(terminal)
    else:
        os.kill(child, number)
        while True:
            try:
                received += os.read(terminal, 1 << 16)
            except OSError:  # the command has ended
                break
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), received.decode()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_commands_end_in_order(number, music, corpus, tiny, tmp_path):
    low, high = music / "low", music / "high"
    run = [
        *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "logger=none", "run_dir=run",
        "precision=32-true", "threads=1",
    ]  # fmt: skip
    calls = {
        "prepare": [f"--genre=low={low}", f"--genre=high={high}", "corpus=corpus", "workers=2"],
        "train": run,
        "translate": ["demo", str(low), "out", "--to", "lofi"],
        "evaluate": ["run"],
    }
    for verb, arguments in calls.items():
        code, shown = end_by(number, verb, *arguments, folder=tmp_path)
        assert code == (INTERRUPTED_EXIT_CODE if verb == "train" else 128 + number), f"{verb}: {shown}"
        assert "Traceback" not in shown
        assert not list(tmp_path.rglob(".*.part*")), verb
        if verb == "train":
            assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
