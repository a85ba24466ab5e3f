"""Limits of the address space: one line that says what helps, no hang, nothing half written.

The random limits begin at 4 MiB: below it the interpreter and OpenBLAS, not this program, decide how it ends.
"""

import random
import resource
import shutil
from pathlib import Path

import pytest

from tests.attack.conftest import COMMANDS, GROWING, TRAIN
from tests.attack.processes import Ended, contents, leftovers, run_command
from tests.attack.test_full_disks import again

NATIVE_ENDS = (  # native code ends the process itself: no line of this program is possible
    "terminate called after throwing an instance of 'std::",
    "cannot allocate memory for thread-local data: ABORT",
    "libgomp: ",
    "OpenBLAS",
)
SHORTAGES = ("not enough memory", "no more threads", "a worker process was killed")


def run_in_little_memory(folder: Path, mib: float, verb: str, *arguments: str) -> Ended:
    limits = {resource.RLIMIT_AS: int(mib * 2**20)}
    return run_command(verb, *arguments, folder=folder, limits=limits)


def assert_explained(ended: Ended, where: str) -> None:
    """Check that a failure has one line about the shortage, or was native code's own end."""
    if ended.code == 0 or any(words in ended.output for words in NATIVE_ENDS):
        return
    ended.assert_one_line(where)
    assert any(words in ended.errors[0] for words in SHORTAGES), f"{where}\n{ended.output}"


@pytest.mark.parametrize(
    ("mib", "command", "advice"),
    [
        (60, ("train", *TRAIN, "run_dir=trained", "model.generator.n_filters=512"), "data.batch_size"),
        (10, ("export", "demo", "model.onnx"), "--to GENRE"),
    ],
    ids=["train", "export"],
)
def test_a_command_without_memory(mib, command, advice, quick_workplace, tmp_path):
    place = shutil.copytree(quick_workplace, tmp_path / "place")
    ended = run_in_little_memory(place, mib, *command)
    ended.assert_one_line(f"{mib} MiB")
    assert ended.errors[0].startswith("error: not enough memory; close other programs, or ")
    assert advice in ended.errors[0]
    assert contents(place) == contents(quick_workplace)
    assert not leftovers(place)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_random_limit_of_memory(name, seed, workplace, undisturbed, tmp_path):
    wanted, _ = undisturbed(name)
    mib = 10 ** random.Random(f"{name} {seed}").uniform(0.6, 2.8)
    where = f"{name}, seed {seed}, {mib:.0f} MiB"
    place = shutil.copytree(workplace, tmp_path / "place")
    ended = run_in_little_memory(place, mib, *COMMANDS[name])
    assert_explained(ended, where)
    before, found = contents(workplace), contents(place)  # reads each file as a whole
    for file, content in found.items():
        is_old = content == before.get(file)
        assert is_old or name in GROWING or content == wanted.get(file), f"{where}: {file}"
    if found != wanted:
        ended = run_command(*again(name, place), folder=place)
        assert ended.code == 0, f"{where}\n{ended.output}"
    assert contents(place) == wanted, where
