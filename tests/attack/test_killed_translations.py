"""Kills of `translate`: what is left of an unfinished song, and what the next start makes of it."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from cyclegan_audio import translate
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.translation import file_translation
from tests.attack.held_process import HeldProcess

OPTIONS = ("--to", "rnb", "--vocoder", "mask", "--device", "cpu")


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    save(path, torch.randn(2, 44_100, generator=torch.Generator().manual_seed(0)) * 0.1, 44_100)
    return path


def held_translation(song: Path, target: Path) -> HeldProcess:
    """Start a translation that stops at its last step: the file is whole, but has a temporary name."""
    command = ["demo", str(song), str(target), *OPTIONS]
    process = HeldProcess(partial(translate.main, command), file_translation, "copy_tags")
    process.hold()
    return process


def age(folder: Path) -> list[Path]:
    """Make the temporary files of a folder look old; return them."""
    paths = [path for path in folder.iterdir() if path.name.startswith(".")]
    for path in paths:
        os.utime(path, (0, 0))
    return paths


@pytest.mark.parametrize(
    ("number", "suffix", "code"),
    [(signal.SIGTERM, ".mp3", 143), (signal.SIGHUP, ".wav", 129), (signal.SIGINT, ".m4a", 130)],
)
def test_a_stopped_translation_leaves_nothing(song, tmp_path, capfd, number, suffix, code):
    process = held_translation(song, tmp_path / "new" / f"out{suffix}").process
    assert len(list((tmp_path / "new").iterdir())) == 1
    os.kill(process.pid, number)
    process.join(30)
    errors = capfd.readouterr().err
    assert process.exitcode == code
    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_the_next_start_deletes_what_a_killed_one_left_but_not_what_is_being_written(song, tmp_path):
    killed, living = (held_translation(song, tmp_path / name).process for name in ("a.mp3", "b.mp3"))
    killed.kill()
    killed.join()
    assert len(age(tmp_path)) == 2
    translate.main(["demo", str(song), str(tmp_path / "c.flac"), *OPTIONS])
    (rest,) = age(tmp_path)
    assert decode(rest)[0].shape[1] == pytest.approx(44_100, abs=128)
    living.kill()
    living.join()
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
