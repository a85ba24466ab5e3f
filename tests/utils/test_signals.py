"""SIGTERM and SIGHUP end a command as an error would: temporary files go, and `nohup` is respected."""

import os
import pty
import signal
import subprocess
import sys

import pytest

COMMAND = """
import os, signal, sys
from pathlib import Path
from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.utils.atomic import atomic_path

@handle_user_errors()
def main():
    with atomic_path(Path("song.wav")) as part:
        part.write_text("half")
        for _ in range(2):
            os.kill(os.getpid(), int(sys.argv[1]))
            print("still here", flush=True)

main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_without_temporary_files(number, tmp_path):
    command = [sys.executable, "-c", COMMAND, str(int(number))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + number, "", "stopped\n")
    assert not list(tmp_path.iterdir())


def test_a_command_that_ignores_hangups_goes_on(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", sys.executable, "-c", COMMAND]
    command = [*script, str(int(signal.SIGHUP))]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "still here\n" * 2, "")
    assert [file.name for file in tmp_path.iterdir()] == ["song.wav"]


def test_printing_to_a_terminal_that_has_gone_does_not_fail(tmp_path):
    script = (
        "import signal, sys, time\n"
        "from cyclegan_audio.utils.signals import orderly_end\n"
        "with orderly_end():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('stopped', flush=True)\n"
        "        print('stopped', file=sys.stderr, flush=True)\n"
        "        open('ended', 'w').close()\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        os.execv(sys.executable, [sys.executable, "-c", script])
    assert b"ready" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGHUP
    assert (tmp_path / "ended").is_file()


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", -signal.SIGTERM), ("SIGHUP", 128 + signal.SIGHUP)])
def test_a_second_sigterm_ends_at_once_but_a_second_sighup_does_not(number, code):
    script = (
        "import os, signal, sys\n"
        "from cyclegan_audio.utils.signals import orderly_end\n"
        "with orderly_end():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), signal.{number})\n"
        "    finally:\n"
        f"        os.kill(os.getpid(), signal.{number})\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert ended.returncode == code
