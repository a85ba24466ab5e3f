"""What stands around a fit: one process a run folder."""

import subprocess
import sys

import pytest

from cyclegan_audio.inference.run_paths import LOCK
from cyclegan_audio.training.runner import run_lock
from cyclegan_audio.utils.errors import UserError

HOLD = """
import sys
from pathlib import Path
from cyclegan_audio.training.runner import run_lock
with run_lock(Path(sys.argv[1]), True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_folder_is_held_by_one_process_until_that_is_killed(tmp_path):
    run_dir = tmp_path / "run"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process trains in"), run_lock(run_dir, True):
            pass
        with run_lock(run_dir, False):  # a rank that does not write
            pass
    finally:
        other.kill()
        other.wait()
    assert (run_dir / LOCK).exists()
    with run_lock(run_dir, True):
        pass
    assert not (run_dir / LOCK).exists()
