"""Kills of `translate`: what is left of an unfinished song, and what the next start makes of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cyclegan_audio import translate
from cyclegan_audio.audio.io import decode, save

WAITING = """
import sys, time
from cyclegan_audio import translate
from cyclegan_audio.translation import file_translation

def wait(source, path):
    print("waits", flush=True)
    time.sleep(60)

file_translation.copy_tags = wait  # the last step: the file is whole, but has a temporary name
translate.main(sys.argv[1:])
"""
OPTIONS = ("--to", "rnb", "--vocoder", "mask", "--device", "cpu")


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    save(path, torch.randn(2, 44_100, generator=torch.Generator().manual_seed(0)) * 0.1, 44_100)
    return path


def waiting_translations(song: Path, *targets: Path) -> list[subprocess.Popen]:
    """Start translations that wait before their file gets its name; return when all wait."""
    command = [sys.executable, "-c", WAITING, "demo", str(song)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, str(target), *OPTIONS], **pipes) for target in targets]
    for process in processes:
        while "waits" not in (line := process.stdout.readline()):
            assert line, process.communicate()
    return processes


def age(folder: Path) -> list[Path]:
    """Make the temporary files of a folder look old; return them."""
    paths = [path for path in folder.iterdir() if path.name.startswith(".")]
    for path in paths:
        os.utime(path, (0, 0))
    return paths


@pytest.mark.parametrize(
    ("number", "suffix", "code"),
    [
        (signal.SIGTERM, ".mp3", 143),
        pytest.param(signal.SIGHUP, ".wav", 129, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, ".m4a", 130, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_translation_leaves_nothing(song, tmp_path, number, suffix, code):
    (process,) = waiting_translations(song, tmp_path / "new" / f"out{suffix}")
    assert len(list((tmp_path / "new").iterdir())) == 1
    process.send_signal(number)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == code
    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_the_next_start_deletes_what_a_killed_one_left_but_not_what_is_being_written(song, tmp_path):
    killed, living = waiting_translations(song, tmp_path / "a.mp3", tmp_path / "b.mp3")
    killed.kill()
    killed.communicate()
    assert len(age(tmp_path)) == 2
    translate.main(["demo", str(song), str(tmp_path / "c.flac"), *OPTIONS])
    (rest,) = age(tmp_path)
    assert decode(rest)[0].shape[1] == pytest.approx(44_100, abs=128)
    living.kill()
    living.communicate()
    save(tmp_path / "d.wav", torch.zeros(1, 100), 8000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.flac", "d.wav"]


def test_a_second_signal_ends_at_once_and_ignored_signals_stay_ignored():
    code = (
        "import os, signal, sys; from cyclegan_audio.utils.signals import orderly_end\n"
        "number = signal.Signals[sys.argv[1]]\n"
        "with orderly_end():\n"
        "    try: os.kill(os.getpid(), number)\n"
        "    finally: print('cleans', flush=True); os.kill(os.getpid(), number)\n"
        "print('goes on')"
    )
    command = [sys.executable, "-c", code]
    twice = subprocess.run([*command, "SIGTERM"], capture_output=True, text=True)
    assert (twice.returncode, twice.stdout) == (-signal.SIGTERM, "cleans\n")
    ignored = subprocess.run(
        [*command, "SIGHUP"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert (ignored.returncode, ignored.stdout) == (0, "cleans\ngoes on\n")
