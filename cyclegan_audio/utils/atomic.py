"""Atomic writes: files and folders appear under their name complete or not at all."""

import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

_UNIQUE_NAME = re.compile(r"\.[0-9a-f]{32}\.part\.\w+")
# A temporary file has no lock for an instant: as it is created, and as another file takes its name.
MIN_STALE_S = 10.0


def temporary_path(target: Path, *, single_writer: bool = False) -> Path:
    """Return a hidden path in the folder of `target`, with its suffix.

    Args:
        target: the final path.
        single_writer: whether only one process at a time writes `target`. The name is then fixed, so that the
            next write replaces what a killed process left; otherwise each call returns another name.
    """
    name = target.stem if single_writer else uuid.uuid4().hex
    return target.with_name(f".{name}.part{target.suffix}")


class AtomicFile:
    """A file that is written to `temporary` and renamed to `target` by `commit`.

    Attributes:
        target: the final path.
        temporary: the path to write to; see `temporary_path`.
    """

    def __init__(self, target: Path, *, single_writer: bool = False) -> None:
        self.target = target
        self.temporary = temporary_path(target, single_writer=single_writer)

    def commit(self) -> None:
        """Rename the temporary file to the target, replacing an older one.

        Raises:
            OSError: the temporary file is missing, or the target is a folder.
        """
        os.replace(self.temporary, self.target)

    def discard(self) -> None:
        """Delete the temporary file if it exists; a committed file stays."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@contextmanager
def atomic_path(target: Path, *, single_writer: bool = False, fsync: bool = False) -> Iterator[Path]:
    """Yield a temporary path; rename it to `target` if the block ends without an error.

    Args:
        target: the final path, in a folder that exists.
        single_writer: see `temporary_path`.
        fsync: whether to flush to disk before the rename, so that the file survives a power failure.

    Raises:
        OSError: from the block or the rename; an older `target` stays then.
    """
    file = AtomicFile(target, single_writer=single_writer)
    file.discard()  # a link to another file may have its known name, and would be followed
    try:
        with nullcontext() if single_writer else _locked(file.temporary):
            yield file.temporary
            if fsync:
                with file.temporary.open("rb+") as handle:
                    os.fsync(handle.fileno())
            file.commit()
    finally:
        file.discard()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Create a file and hold a lock on it, which tells `delete_stale` that its process lives."""
    with path.open("ab") as file:
        with suppress(OSError):  # a file system without locks: then no file is ever taken for stale
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def delete_stale(folder: Path, suffixes: Collection[str]) -> None:
    """Delete the temporary files that killed processes left in a folder, not those of living ones.

    Args:
        folder: the folder, without its subfolders.
        suffixes: suffixes of files that are written by `atomic_path` only, which locks them.
    """
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(folder) if _UNIQUE_NAME.fullmatch(entry.name)]
        for path in (folder / name for name in names):
            if path.suffix.lower() in suffixes and path.is_file():
                _delete_if_stale(path)


def _delete_if_stale(path: Path) -> None:
    with suppress(OSError):  # another process holds its lock, or has just deleted it
        if time.time() - path.stat().st_mtime >= MIN_STALE_S:
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def atomic_write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target` atomically."""
    with atomic_path(target) as part:
        part.write_bytes(content)


def atomic_write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target` atomically."""
    atomic_write_bytes(target, text.encode("utf-8"))


def atomic_write_files(texts: Mapping[Path, str]) -> None:
    """Write several files as UTF-8 and rename them after the last one is written.

    Raises:
        OSError: a file cannot be written; then no target changes.
    """
    files = {AtomicFile(target): text for target, text in texts.items()}
    try:
        for file, text in files.items():
            file.temporary.write_text(text, encoding="utf-8")
        for file in files:
            file.commit()
    finally:
        for file in files:
            file.discard()


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new temporary folder; rename it to `target` if the block ends without an error.

    Args:
        target: a missing or empty folder, which only one process writes.

    Raises:
        OSError: the folder cannot be created or renamed.
    """
    part = temporary_path(target, single_writer=True)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
