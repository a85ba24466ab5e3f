"""Limits of the address space: one line that says what helps, no hang, nothing half written.

The random limits begin at 4 MiB: below it the interpreter and OpenBLAS, not this program, decide how it ends.
"""

import random
import resource
import shutil
from pathlib import Path

import pytest

from cyclegan_audio.inference.start_pair import PRETRAINED
from cyclegan_audio.inference.translation_model import weights_file
from tests.attack.conftest import COMMANDS, TRAIN, assert_whole_and_completed
from tests.attack.little_memory import READ, SHORTAGE, read_with_ever_more_memory
from tests.attack.processes import Ended, contents, leftovers, run_command
from tests.clean_process import CONTEXT, start_clean_process

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


def test_weights_are_read_or_memory_is_short():
    """Few limits of a whole command fall into the reading of its weights, so all of them are tried here."""
    read_end, write_end = CONTEXT.Pipe(duplex=False)
    path = PRETRAINED / "demo" / weights_file("ab")
    process = start_clean_process(read_with_ever_more_memory, path, write_end)
    write_end.close()
    outcomes = read_end.recv()
    process.join()
    assert set(outcomes) == {SHORTAGE, READ}, outcomes
    assert outcomes.count(SHORTAGE) > 10  # the limits are tight enough: the file has 1 MB


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
    assert_whole_and_completed(name, place, contents(workplace), wanted, where)
