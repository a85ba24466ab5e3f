"""Kills and stops at random moments: what was there stays whole, and the same command completes the rest."""

import random
import shutil
import signal

import pytest

from cyclegan_audio.utils.errors import INTERRUPTED_EXIT_CODE
from tests.attack.conftest import COMMANDS, GROWING
from tests.attack.processes import contents, leftovers, run_command
from tests.attack.test_full_disks import again

TRANSLATE = (
    "translate", "demo", "music/paired", "out", "--to", "rnb", "--vocoder", "mask", "--device", "cpu",
)  # fmt: skip


def test_a_killed_translation_is_completed(quick_workplace, tmp_path):
    whole, place = (shutil.copytree(quick_workplace, tmp_path / name) for name in ("whole", "place"))
    undisturbed = run_command(*TRANSLATE, folder=whole)
    assert undisturbed.code == 0, undisturbed.output
    ended = run_command(*TRANSLATE, folder=place, signal_after_s=0.7 * undisturbed.seconds)
    assert "Traceback" not in ended.output
    wanted = contents(whole)
    assert contents(place).items() <= wanted.items()
    if contents(place) != wanted:
        completed = run_command(*TRANSLATE, folder=place)
        assert completed.code == 0, completed.output
    assert contents(place) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_end_at_a_random_moment(name, number, seed, workplace, undisturbed, tmp_path):
    wanted, seconds = undisturbed(name)
    moment = random.Random(f"{name} {seed}").uniform(0, 1) * seconds
    where = f"{name}, seed {seed}, {number.name} after {moment:.2f} s"
    place = shutil.copytree(workplace, tmp_path / "place")
    before = contents(place)
    ended = run_command(*COMMANDS[name], folder=place, signal_after_s=moment, number=number)
    assert "Traceback" not in ended.output, f"{where}\n{ended.output}"
    if ended.code == -number:  # SIGKILL, or SIGTERM before the command began
        assert number == signal.SIGKILL or contents(place) == before, where
    else:
        stopped = INTERRUPTED_EXIT_CODE if name == "train" else 128 + number
        assert ended.code in (0, stopped, 128 + number), f"{where}: {ended.code}\n{ended.output}"
        assert not leftovers(place), where
    found = contents(place)  # reads each file as a whole
    assert before.keys() <= found.keys(), where
    for file, content in found.items():
        is_old = content == before.get(file)
        assert is_old or name in GROWING or content == wanted.get(file), f"{where}: {file}"
    if found != wanted:
        ended = run_command(*again(name, place), folder=place)
        assert ended.code == 0, f"{where}\n{ended.output}"
    assert contents(place) == wanted, where
