"""A lack of memory, threads or disk space is recognised in the words of every library."""

import errno
import os
import resource
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.locks import LockedError
from cyclegan_audio.utils.shortages import Shortage, disk_reason, find_shortage, find_user_error


@pytest.mark.parametrize(
    ("error", "shortage"),
    [
        (MemoryError(), Shortage.MEMORY),
        (RuntimeError("std::bad_alloc"), Shortage.MEMORY),
        (RuntimeError("could not create a primitive"), Shortage.MEMORY),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), Shortage.MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Shortage.MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), Shortage.GPU_MEMORY),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. "), Shortage.WORKER),
        (BrokenProcessPool("A process in the process pool was terminated"), Shortage.WORKER),
        (RuntimeError("can't start new thread"), Shortage.THREADS),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), Shortage.THREADS),
        (OSError(errno.ENOSPC, "No space left on device"), Shortage.DISK),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Shortage.DISK),
        (RuntimeError("could not create a primitive descriptor for a matmul"), None),
        (ImportError("libgomp.so.1: cannot allocate memory in static TLS block"), None),
        (FileNotFoundError(errno.ENOENT, "No such file", "not enough memory.wav"), None),
        (UserError("there is no song 'out of memory.wav'"), None),
    ],
)
def test_errors_of_libraries(error, shortage):
    assert find_shortage(error) is shortage


def test_real_errors_of_torch_and_numpy():
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**60)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**58)
    assert find_shortage(of_torch.value) is find_shortage(of_numpy.value) is Shortage.MEMORY


def test_a_shortage_behind_other_errors():
    error = UserError("damaged")
    error.__cause__ = KeyError("weights")
    error.__cause__.__context__ = MemoryError()
    assert find_shortage(error) is Shortage.MEMORY
    assert find_user_error(error) is error
    assert find_user_error(error.__cause__) is None


def test_a_circle_of_errors_ends():
    inner, outer = UserError("inner"), KeyError("outer")
    inner.__context__, outer.__cause__ = outer, inner  # as after `raise inner from None` in its handler
    assert find_shortage(inner) is None
    assert find_shortage(outer) is None


def test_a_lock_of_another_process_is_no_shortage():
    error = UserError("another process trains there")
    error.__cause__ = LockedError("lock")
    error.__cause__.__cause__ = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    assert find_shortage(error) is None


def test_the_reason_of_torch_on_a_full_disk_is_that_of_the_system(tmp_path):
    target, limits = tmp_path / "full.ckpt", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(RuntimeError) as full, target.open("wb") as file:
            torch.save(torch.zeros(100_000), file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "unexpected pos" in str(full.value)
    assert find_shortage(full.value) is Shortage.DISK
    assert disk_reason(full.value) == os.strerror(errno.EFBIG)


def test_the_reason_names_the_file():
    error = OSError(errno.ENOSPC, "No space left on device", str(Path("runs/x")))
    assert disk_reason(error) == "runs/x: No space left on device"
    assert disk_reason(RuntimeError("first line\nsecond")) == "first line"
