"""Check that a path is a file of a sane size before it is opened: opening a pipe waits for ever."""

import stat
from pathlib import Path

from cyclegan_audio.utils.errors import UserError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_file(path: Path, max_bytes: int) -> None:
    """Check that a path is a regular file of at most `max_bytes`.

    Raises:
        OSError: it is missing or cannot be read.
        UserError: it is of another kind, or larger.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a folder")
        raise UserError(f"it is {kind} in place of a file")
    if status.st_size > max_bytes:
        raise UserError(f"it has {status.st_size:,} bytes, more than it can need ({max_bytes:,})")
