"""Hostile models of special kinds: bombs, traps for readers, and files that describe more than they hold."""

import copy
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cyclegan_audio.inference.metadata import checksum
from tests.attack.hostile_models import (
    CANARY,
    CHECKPOINT,
    ONNX,
    PAIR_JSON,
    Mutation,
    change_checkpoint,
    change_metadata,
    change_onnx_metadata,
    damage_file,
    replace_file,
    rewrite_weights,
    set_field,
)


def compress_checkpoint(folder: Path) -> None:
    """Deflate the parts of the checkpoint, with another one of 64 MB in 64 KB."""
    with zipfile.ZipFile(folder / CHECKPOINT) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    with zipfile.ZipFile(folder / CHECKPOINT, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr("model/data/999", bytes(64 << 20))


def overlap_checkpoint(folder: Path) -> None:
    """List the parts of the checkpoint 5000 times."""
    with zipfile.ZipFile(folder / CHECKPOINT, "a") as archive:
        archive.filelist *= 5000
        archive.writestr("model/.x", b"x")


def name_part_by_escapes(folder: Path) -> None:
    """Add a damaged part whose name holds an escape of the terminal."""
    with zipfile.ZipFile(folder / CHECKPOINT, "a") as archive:
        archive.writestr("model/\x1b[31m", b"to be damaged")
    content = (folder / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(content.replace(b"to be damaged", b"is damaged..."))


def pickle_checkpoint(content: bytes) -> Mutation:
    """Return the mutation that puts a pickle into the checkpoint."""

    def mutate(folder: Path) -> None:
        with zipfile.ZipFile(folder / CHECKPOINT, "w") as archive:
            for name, part in (("data.pkl", content), ("version", b"3\n"), ("byteorder", b"little")):
                archive.writestr(f"model/{name}", part)

    return mutate


def rewrite_safetensors(change: Callable[[bytes], bytes]) -> Mutation:
    """Return the mutation that changes a file of weights and gives it a valid checksum."""

    def mutate(folder: Path) -> None:
        path = folder / "gen_ab.safetensors"
        content = change(path.read_bytes())
        path.write_bytes(content)
        change_metadata(
            PAIR_JSON, lambda metadata: metadata["checksums"].update({path.name: checksum(content)})
        )(folder)

    return mutate


def swap_weights(folder: Path) -> None:
    (folder / "gen_ab.safetensors").rename(folder / "x")
    (folder / "gen_ba.safetensors").rename(folder / "gen_ab.safetensors")
    (folder / "x").rename(folder / "gen_ba.safetensors")


def change_graph(change: Callable[[Any], Any]) -> Mutation:
    """Return the mutation that changes the graph of the ONNX file and gives it a valid checksum."""

    def mutate(folder: Path) -> None:
        import onnx

        proto = onnx.load(folder / ONNX)
        change(proto)
        onnx.save(proto, folder / ONNX)
        change_onnx_metadata(folder / ONNX, lambda metadata: None)

    return mutate


def to_external_data(proto: Any) -> None:
    weights = proto.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = 1
    for key, value in (("location", "/dev/zero"), ("length", "4000000000")):
        weights.external_data.add(key=key, value=value)


def contain_itself(metadata: dict[str, Any]) -> None:
    metadata["config"]["itself"] = metadata["config"]


def repeat_lists(metadata: dict[str, Any]) -> None:
    """Nest lists so that few bytes describe 10^30 values."""
    values: list[Any] = ["x"] * 10
    for _ in range(30):
        values = [values] * 10
    metadata["config"]["model"]["generator"]["n_filters"] = values


def sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 30)


def set_all(kind: str, **values: Any) -> Mutation:
    """Return the mutation that sets fields at the top of metadata."""
    return change_metadata(kind, lambda metadata: metadata.update(copy.deepcopy(values)))


def set_generator(kind: str, **values: Any) -> Mutation:
    """Return the mutation that sets arguments of the generator."""
    return change_metadata(kind, lambda metadata: metadata["config"]["model"]["generator"].update(values))


WEIGHTS = "gen_ab.safetensors"
SHARED = torch.zeros(1 << 16)
SPECIAL: dict[str, tuple[Mutation, str]] = {  # each with words of the line that refuses it
    "window_frames 0": (set_all(PAIR_JSON, window_frames=0), "window_frames must be an integer >= 1"),
    "window_frames -4": (set_all(CHECKPOINT, window_frames=-4), "window_frames must be an integer >= 1"),
    "window_frames 1e9": (set_all(ONNX, window_frames=10**9), "window_frames must be"),
    "window_frames 1.5": (set_all(ONNX, window_frames=1.5), "window_frames must be an integer"),
    "many directions": (set_all(PAIR_JSON, directions=["ab"] * 100_000), "directions must have 1 to 2"),
    "double directions": (set_all(CHECKPOINT, directions=["ab", "ab"]), "directions must differ"),
    "unknown direction": (set_all(PAIR_JSON, directions=["up"]), "directions.0 must be ab or ba"),
    "one genre twice": (set_all(CHECKPOINT, genres=["rnb", "RnB"]), "genres must differ"),
    "batches": (set_all(PAIR_JSON, batches="x"), "batches must be an integer"),
    "another format": (set_all(PAIR_JSON, format=1), "another version"),
    "pipe for weights": (replace_file(WEIGHTS, os.mkfifo), f"{WEIGHTS}: it is a pipe"),
    "device for weights": (
        replace_file(WEIGHTS, lambda path: path.symlink_to("/dev/zero")),
        f"{WEIGHTS}: it is a device",
    ),
    "folder for weights": (replace_file(WEIGHTS, Path.mkdir), f"{WEIGHTS}: it is a folder"),
    "pipe for metadata": (replace_file(PAIR_JSON, os.mkfifo), "pair.json: it is a pipe"),
    "pipe for checkpoint": (replace_file(CHECKPOINT, os.mkfifo), "model.ckpt: it is a pipe"),
    "device for onnx": (
        replace_file(ONNX, lambda path: path.symlink_to("/dev/zero")),
        "model.onnx: it is a device",
    ),
    "sparse weights": (replace_file(WEIGHTS, sparse_file), "more than it can need"),
    "sparse metadata": (replace_file(PAIR_JSON, sparse_file), "more than it can need"),
    "sparse checkpoint": (replace_file(CHECKPOINT, sparse_file), "more than it can need"),
    "swapped weights": (swap_weights, "does not match its checksum"),
    "numbers on the card": (set_all(PAIR_JSON, card={"license": 3}), "card.license must be a text"),
    "rows on the card": (
        set_all(PAIR_JSON, card={"measured": [{"metric": "x"}]}),
        "card.measured.direction is",
    ),
    "no checksums": (set_all(PAIR_JSON, checksums={}), "no checksum of it"),
    "huge header": (rewrite_safetensors(lambda c: (1 << 60).to_bytes(8, "little") + c[8:]), "cannot be read"),
    "long header": (
        rewrite_safetensors(lambda c: (900_000).to_bytes(8, "little") + b"[" * 900_000),
        "cannot",
    ),
    "deep JSON": (replace_file(PAIR_JSON, lambda path: path.write_text("[" * 100_000)), "not valid JSON"),
    "large JSON": (
        replace_file(PAIR_JSON, lambda path: path.write_text(" " * (17 << 20))),
        "bytes, more than",
    ),
    "huge integer": (replace_file(PAIR_JSON, lambda path: path.write_text("9" * 10_000)), "not valid JSON"),
    "text for a mapping": (
        replace_file(PAIR_JSON, lambda path: path.write_text('"x"')),
        "is not a JSON object",
    ),
    "mel.n_fft": (
        change_metadata(PAIR_JSON, set_field(("mel", "n_fft"), "x")),
        "mel.n_fft must be an integer >= 16",
    ),
    "many filters": (
        set_generator(PAIR_JSON, n_filters=10_000),
        "n_filters must be a number >= 0 and <= 2048",
    ),
    "many blocks": (set_generator(CHECKPOINT, n_blocks=10**6), "n_blocks must be a number >= 0 and <= 2048"),
    "more filters": (set_generator(CHECKPOINT, n_filters=2000), "do not fit the configuration"),
    "a text for a number": (set_generator(PAIR_JSON, n_blocks="x"), "n_blocks must be an integer, got 'x'"),
    "unknown argument": (set_generator(PAIR_JSON, x=1), "model.generator.x is 1, which is not read"),
    "code": (
        set_generator(CHECKPOINT, _target_="os.mkdir", name=CANARY),
        "names os.mkdir, which is not built",
    ),
    "compressed": (compress_checkpoint, "a part is compressed"),
    "overlapping": (overlap_checkpoint, "its parts are larger than the file"),
    "escapes": (name_part_by_escapes, "does not match its checksum"),
    "huge bytes": (pickle_checkpoint(b"cbuiltins\nbytearray\n(I1000000000000\ntR."), "cannot be read"),
    "huge tensor": (pickle_checkpoint(b"ctorch\nTensor\n(I1000000000000\ntR."), "cannot be read"),
    "code in a pickle": (pickle_checkpoint(b"cos\nmkdir\n(Vcanary\ntR."), "cannot be read"),
    "a list": (change_checkpoint(lambda content: [content]), "must be a mapping"),
    "a tensor": (change_checkpoint(lambda content: torch.ones(2)), "must be a mapping"),
    "contains itself": (change_metadata(CHECKPOINT, contain_itself), "nested more than"),
    "10^30 values": (change_metadata(CHECKPOINT, repeat_lists), "values"),
    "strides of 0": (
        rewrite_weights(lambda key, x: torch.zeros(1).expand(x.shape), 1000),
        "larger than the file",
    ),
    "one storage": (rewrite_weights(lambda key, x: SHARED[: x.numel()].view(x.shape), 16), "larger than"),
    "meta": (rewrite_weights(lambda key, x: x.to("meta")), "no ordinary tensor"),
    "sparse": (rewrite_weights(lambda key, x: x.to_sparse()), "no ordinary tensor"),
    "complex": (rewrite_weights(lambda key, x: x + 1j), "no ordinary tensor"),
    "texts": (rewrite_weights(lambda key, x: "x"), "no ordinary tensor"),
    "integers": (rewrite_weights(lambda key, x: x.int()), "do not fit the configuration"),
    "not finite": (rewrite_weights(lambda key, x: x * math.nan), "are not finite"),
    "too large for float32": (rewrite_weights(lambda key, x: x.double() + 1e300), "are not finite"),
    "external data": (change_graph(to_external_data), "in other files"),
    "a loop": (change_graph(lambda proto: proto.graph.node.add(op_type="Loop")), "no generator has ('Loop')"),
    "code of others": (
        change_graph(lambda proto: proto.graph.node.add(op_type="Add", domain="x")),
        "no generator has ('xAdd')",
    ),
    "flipped onnx": (damage_file(ONNX, "flip", 0), ONNX),
    "flipped weights": (damage_file(WEIGHTS, "flip", 0), "does not match its checksum"),
    "flipped checkpoint": (damage_file(CHECKPOINT, "flip", 2), CHECKPOINT),
}
