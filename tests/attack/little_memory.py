"""Read weights with ever more free memory, in processes of their own."""

import os
import resource
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import safetensors.torch  # noqa: F401 (in the forks it would take memory)
import torch

from cyclegan_audio.inference.metadata import checksum
from cyclegan_audio.inference.weights import read_safetensors
from cyclegan_audio.utils.shortages import Shortage, find_shortage
from tests.attack.processes import address_space

READ, SHORTAGE, OTHER = range(3)  # how a reading ended
BLOCK_BYTES = 16 << 10


def read_with_ever_more_memory(path: Path, write_end: Connection) -> None:
    """Read the weights of `path` with 0 to 4, and with 64, MiB to spare; send how each time ended."""
    torch.set_num_threads(1)
    content = path.read_bytes()
    read = partial(read_safetensors, path, len(content), checksum(content))
    write_end.send([_end_of(read, kib << 10) for kib in (*range(0, 4 << 10, 64), 64 << 10)])


def _end_of(read: Callable[[], object], n_bytes: int) -> int:
    """Fill the memory of a fork, then allow some more and run `read`."""
    if (process := os.fork()) == 0:
        filled = _fill_memory()
        try:
            _limit_memory(address_space() + n_bytes)
            read()
        except Exception as error:
            os._exit(SHORTAGE if find_shortage(error) is Shortage.MEMORY else OTHER)
        except BaseException:  # a panic of native code
            os._exit(OTHER)
        del filled  # until here the memory stays full
        os._exit(READ)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _limit_memory(n_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _fill_memory() -> list[bytearray]:
    """Take what this process has asked of the system and freed, so that anything more needs more of it."""
    _limit_memory(address_space())
    filled: list[bytearray] = []
    while True:
        try:
            filled.append(bytearray(BLOCK_BYTES))
        except MemoryError:
            return filled
