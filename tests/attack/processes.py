"""Run commands in processes of their own with limits or signals, and compare the files that they leave."""

import hashlib
import json
import os
import re
import resource
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile
import torch
from PIL import Image

from cyclegan_audio.metrics.genre_classifier import classifier
from tests.clean_process import CONTEXT, start_clean_process
from tests.conftest import quick_classifier_settings

TIMEOUT_S = 120.0
RESUMED = re.compile(rb"(?m)^resume: .*$")  # of a run's config.yaml
CHANGING = re.compile(r'("(created|started|elapsed_s|minutes)":)[^,}]*')


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), its output, and how long it ran."""

    code: int | None
    output: str
    seconds: float

    @property
    def errors(self) -> list[str]:
        """Return the lines that report an error."""
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    def assert_one_line(self, where: str) -> None:
        """Check that the command failed with one line, and without a trace."""
        assert self.code, f"{where}: exit code {self.code}\n{self.output}"
        assert self.code > 0, f"{where}: ended by signal {-self.code}\n{self.output}"
        assert len(self.errors) == 1, f"{where}\n{self.output}"
        assert "Traceback" not in self.output, f"{where}\n{self.output}"


def run_command(
    verb: str,
    *arguments: str,
    folder: Path,
    limits: Mapping[int, int] | None = None,
    signal_after_s: float | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run a command in `folder`, in a clean process; genre classifiers train for a short time.

    Args:
        verb: the command.
        arguments: its arguments.
        folder: the working directory.
        limits: values of `resource.RLIMIT_...`; that of `RLIMIT_AS` on top of what the process has.
        signal_after_s: when to send `number`, if it still runs then.
        number: the signal.

    Raises:
        AssertionError: it hangs.
    """
    read_end, write_end = CONTEXT.Pipe(duplex=False)  # a file would be subject to the limits
    start = time.monotonic()
    process = start_clean_process(_live, verb, arguments, folder, limits or {}, write_end)
    write_end.close()
    output: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(read_end, output), daemon=True)
    reader.start()
    if signal_after_s is not None:
        process.join(signal_after_s)
        if process.is_alive():
            os.kill(process.pid or 0, number)
    process.join(TIMEOUT_S)
    _assert_ended(process, verb, arguments)
    reader.join(5)
    return Ended(process.exitcode, b"".join(output).decode(errors="replace"), time.monotonic() - start)


def _read_all(read_end: Connection, output: list[bytes]) -> None:
    with read_end:
        while block := os.read(read_end.fileno(), 65536):
            output.append(block)


def _assert_ended(process: BaseProcess, verb: str, arguments: tuple[str, ...]) -> None:
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"{verb} {' '.join(arguments)} hangs for {TIMEOUT_S:g} s")


def _live(
    verb: str, arguments: tuple[str, ...], folder: Path, limits: Mapping[int, int], write_end: Connection
) -> None:
    os.dup2(write_end.fileno(), 1), os.dup2(write_end.fileno(), 2)
    write_end.close()
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
    os.chdir(folder)
    torch.set_num_threads(1)
    classifier.SETTINGS = quick_classifier_settings()
    main = import_module(f"cyclegan_audio.{verb}").main
    sys.argv = [verb, *arguments]
    for kind, value in limits.items():
        size = value + address_space() if kind == resource.RLIMIT_AS else value
        resource.setrlimit(kind, (size, size))
    main()


def address_space() -> int:
    """Return the size of this process's address space in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def leftovers(folder: Path) -> list[Path]:
    """List the temporary files and folders, which carry names of their own."""
    return sorted(path for path in folder.rglob("*") if ".part" in path.name)


def contents(folder: Path) -> dict[str, Any]:
    """Read every file under a final name; what changes from run to run (times, paths) is left out.

    Raises:
        Exception: by a reader: a file is not whole.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): _content(path, folder)
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _content(path: Path, folder: Path) -> Any:
    if path.suffix in READERS:
        return READERS[path.suffix](path)
    data = RESUMED.sub(b"", path.read_bytes().replace(bytes(folder), b""))
    return json.loads(CHANGING.sub(r"\1 0", data.decode())) if path.suffix == ".json" else _digest(data)


def _read_page(path: Path) -> str:
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), f"{path} is cut off"
    return "a page"


def _read_table(path: Path) -> list[str]:
    """Return the first column of the complete rows; `train` cuts off others when it is resumed."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    return [row.split(",")[0] for row in rows if row.count(",") == header.count(",")]


def _read_weights(path: Path) -> dict[str, str]:
    saved = torch.load(path, weights_only=True)
    weights = saved.get("state_dict", saved.get("net"))
    return {name: _digest(value) for name, value in weights.items() if isinstance(value, torch.Tensor)}


def _read_program(path: Path) -> str:
    assert zipfile.ZipFile(path).testzip() is None, f"{path} is damaged"
    return "a program"


def _digest(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _read_sound(path: Path) -> str:
    return _digest(soundfile.read(path)[0])


READERS: dict[str, Callable[[Path], Any]] = {
    ".html": _read_page,
    ".csv": _read_table,
    ".ckpt": _read_weights,
    ".pt": _read_weights,
    ".pt2": _read_program,
    ".npy": lambda path: _digest(np.load(path)),
    ".parquet": lambda path: pq.read_table(path).to_pylist(),
    ".wav": _read_sound,
    ".flac": _read_sound,
    ".png": lambda path: _digest(np.asarray(Image.open(path))),
}
