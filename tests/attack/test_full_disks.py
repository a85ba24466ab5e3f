"""Full disks: commands that may write files of a few bytes only end in one line; nothing is half written.

A limit on the size of files stands for the full disk. It also holds for libraries that write by themselves.
"""

import errno
import os
import random
import resource
import shutil
from pathlib import Path

import pytest

from tests.attack.conftest import COMMANDS, PREPARE, TRAIN, assert_whole_and_completed
from tests.attack.processes import Ended, contents, leftovers, run_command

SHORT = (*TRAIN, "run_dir=trained", "n_epochs_decay=0")
SONG = "music/low/low_0.wav"
FULL = os.strerror(errno.EFBIG)  # the system's words for a file beyond the limit


def run_on_full_disk(folder: Path, max_bytes: int, verb: str, *arguments: str) -> Ended:
    limits = {resource.RLIMIT_FSIZE: max_bytes}
    return run_command(verb, *arguments, folder=folder, limits=limits)


def test_a_full_disk_at_the_first_checkpoint_advises_to_start_again(quick_workplace, tmp_path):
    place = shutil.copytree(quick_workplace, tmp_path / "place")
    ended = run_on_full_disk(place, 100_000, "train", *SHORT)
    ended.assert_one_line("first checkpoint")
    run = place / "trained"
    assert ended.errors == [
        f"error: the checkpoint {run}/checkpoints/best.ckpt cannot be written ({FULL}); free disk space, "
        f"then start it again with the same command and run_dir={run} (no checkpoint yet)"
    ]
    assert not list((run / "checkpoints").iterdir())
    ended = run_command("train", *SHORT, folder=place)
    assert ended.code == 0, ended.output
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_a_run_folder_that_cannot_be_written_at_all_advises_to_start_again(quick_workplace, tmp_path):
    place = shutil.copytree(quick_workplace, tmp_path / "place")
    ended = run_on_full_disk(place, 10, "train", *SHORT)
    ended.assert_one_line("config.yaml")
    assert "free disk space, then start it again with the same command" in ended.errors[0]
    assert contents(place) == contents(quick_workplace)


def test_an_export_for_torch(tmp_path):
    ended = run_on_full_disk(tmp_path, 100_000, "export", "demo", "model.pt2", "--to", "rnb")
    ended.assert_one_line("100,000 bytes")
    assert f"cannot write model.pt2 ({FULL})" in ended.errors[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_translation(quick_workplace, tmp_path, suffix):
    place = shutil.copytree(quick_workplace, tmp_path / "place")
    arguments = ("demo", SONG, f"out.{suffix}", "--to", "rnb", "--vocoder", "mask", "--device", "cpu")
    ended = run_on_full_disk(place, 100_000, "translate", *arguments)
    ended.assert_one_line("100,000 bytes")
    assert contents(place) == contents(quick_workplace)
    assert not leftovers(place)


def test_a_corpus(quick_workplace, tmp_path):
    place = shutil.copytree(quick_workplace, tmp_path / "place")
    ended = run_on_full_disk(place, 50_000, "prepare", *PREPARE)
    ended.assert_one_line("50,000 bytes")
    assert f"cannot write the corpus prepared ({FULL})" in ended.errors[0]
    assert not leftovers(place)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_fills_at_a_random_write(name, seed, workplace, undisturbed, tmp_path):
    wanted, _ = undisturbed(name)
    max_bytes = int(10 ** random.Random(f"{name} {seed}").uniform(0, 6))
    where = f"{name}, seed {seed}, {max_bytes} bytes"
    place = shutil.copytree(workplace, tmp_path / "place")
    ended = run_on_full_disk(place, max_bytes, *COMMANDS[name])
    if ended.code:
        ended.assert_one_line(where)
    assert not leftovers(place), where
    assert_whole_and_completed(name, place, contents(workplace), wanted, where)
