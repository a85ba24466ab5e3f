"""Read the file of an offline W&B run."""

import json
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
HEADER = 7  # bytes, of the file (":W&B" and a version) and of each piece of a record


def read_run(folder: Path, wait_s: float = 60) -> dict[str, list[Any]]:
    """Return the records of the only offline run in `folder` by kind, after W&B has written the last one."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    for _ in range(round(wait_s / 0.1)):
        records: dict[str, list[Any]] = {}
        for record in _records(file):
            kind = record.WhichOneof("record_type")
            records.setdefault(kind, []).append(getattr(record, kind))
        if "exit" in records:
            return records
        time.sleep(0.1)
    raise TimeoutError(f"{file} has no last record")


def logged(history: Iterable[Any]) -> dict[str, list[tuple[int, Any]]]:
    """Map each name to (batches, value) of each row that has it; the parts of a picture or a table by `/`."""
    series: dict[str, list[tuple[int, Any]]] = {}
    for row in history:
        values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for name, value in values.items():
            series.setdefault(name, []).append((values.get("trainer/global_step"), value))
    return series


def _records(path: Path) -> Iterator[Any]:
    """Yield the records (protobuf `Record`) of a .wandb file, a log in LevelDB's format."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, offset, content = path.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while offset + HEADER <= len(data):
        if (left := BLOCK - offset % BLOCK) < HEADER:  # the rest of a block is padding
            offset += left
            continue
        _, length, kind = struct.unpack("<IHB", data[offset : offset + HEADER])
        content += data[offset + HEADER : offset + HEADER + length]
        offset += HEADER + length
        if kind in (1, 4):  # a record in one piece, or its last piece
            yield Record.FromString(content)
            content = b""
