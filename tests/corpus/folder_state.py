"""Compare folders file by file."""

import hashlib
from pathlib import Path


def folder_state(folder: Path) -> dict[str, tuple[int, str]]:
    """Return modification time and SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def folder_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file."""
    return {name: digest for name, (_, digest) in folder_state(folder).items()}
