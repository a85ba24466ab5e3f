"""What an offline W&B run wrote, read back from its own file."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
HEADER = 7  # bytes, of the file (":W&B" and a version) and of each piece of a record


def whole_run(folder: Path, wait_s: float = 60) -> dict[str, list[Any]]:
    """The records of the one offline run in `folder` by kind, once W&B's own process has written the last."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    for _ in range(round(wait_s / 0.1)):
        found: dict[str, list[Any]] = {}
        for record in _records(file):
            kind = record.WhichOneof("record_type")
            found.setdefault(kind, []).append(getattr(record, kind))
        if "exit" in found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{file} has no end")


def _records(path: Path) -> Iterator[Any]:
    """The records (protobuf `Record`) of a .wandb file, a log in LevelDB's format."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, whole = path.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while place + HEADER <= len(data):
        if (left := BLOCK - place % BLOCK) < HEADER:  # the rest of a block is padding
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        whole += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # a record in one piece, or its last piece
            yield Record.FromString(whole)
            whole = b""
