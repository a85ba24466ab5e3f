"""Atomic writes: files and folders appear under their name complete or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


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
    try:
        yield file.temporary
        if fsync:
            with file.temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
        file.commit()
    finally:
        file.discard()


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
