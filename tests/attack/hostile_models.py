"""Make hostile models by mutation of real ones, and load and translate by them within limits."""

import json
import math
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cyclegan_audio.inference.checkpoints import load_model, save_pretrained
from cyclegan_audio.inference.export import export_model
from cyclegan_audio.inference.metadata import NO_CHECKSUM, sign_content
from cyclegan_audio.inference.translation_model import METADATA_FILE, TranslationModel, make_metadata
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from tests.vocoders.sounds import preset

PAIR_JSON, CHECKPOINT, ONNX = "pair.json", "model.ckpt", "model.onnx"
LIMIT_S, LIMIT_BYTES = 60, 2 << 30  # for one model: time, and further address space
CANARY = "canary"  # the file that hostile code would write

Mutation = Callable[[Path], None]  # changes a copy of all base models in a folder


def write_base_models(folder: Path) -> None:
    """Write a small model with random weights as a pretrained folder, a checkpoint and an ONNX file."""
    torch.manual_seed(0)
    config = {
        "model": {
            "generator": {
                "_target_": f"{ResnetGenerator.__module__}.ResnetGenerator",
                "n_filters": 4,
                "n_blocks": 1,
            }
        },
        "data": {"corpus": "nowhere"},
    }
    generators = {direction: ResnetGenerator(4, 1).eval() for direction in DIRECTIONS}
    model = TranslationModel(
        ("lofi", "rnb"), preset("hifi"), generators, 64, config, 7, {"abc": [[0.0, 4.0]]},  # type: ignore[arg-type]
        {"loudness_lufs": -14.0, "cutoff_hz": 16000.0}, {"gen_total": "gen"},
    )  # fmt: skip
    save_pretrained(model, folder)
    metadata = make_metadata(model.genres, model.mel, 64, config, model.training_intervals)
    metadata |= {"batches": 7, "normalisation": model.normalisation, "loss_terms": model.loss_terms}
    state = {f"gen_{d}.{k}": v for d, network in generators.items() for k, v in network.state_dict().items()}
    torch.save({"state_dict": state, "cyclegan_audio": metadata}, folder / CHECKPOINT)
    export_model(model, folder / ONNX, "rnb")  # one direction is quicker


WRONG_VALUES: dict[str, Any] = {
    "null": None, "empty": "", "text": "x", "minus one": -1, "zero": 0, "1e308": 1e308, "nan": math.nan,
    "list": [], "mapping": {}, "true": True, "long list": [0] * 1_000_000, "long text": "x" * 1_000_000,
    "huge integer": 10**4000, "deep": "[" * 200 + "]" * 200, "escape": "\x1b[31m\n",
}  # fmt: skip


def field_paths(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the paths of all fields of nested values."""
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from field_paths(value, (*path, key))


def change_metadata(kind: str, change: Callable[[dict[str, Any]], None]) -> Mutation:
    """Return the mutation that changes the metadata of one kind of file; a checksum stays valid."""

    def mutate(folder: Path) -> None:
        if kind == PAIR_JSON:
            metadata = json.loads((folder / PAIR_JSON).read_text())
            change(metadata)
            (folder / PAIR_JSON).write_text(json.dumps(metadata))
        elif kind == CHECKPOINT:
            change_checkpoint(lambda content: change(content["cyclegan_audio"]))(folder)
        else:
            change_onnx_metadata(folder / ONNX, change)

    return mutate


def change_onnx_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the metadata of an ONNX file."""
    import onnx

    proto = onnx.load(path, load_external_data=False)
    metadata = json.loads(proto.metadata_props[0].value)
    metadata["checksum"] = NO_CHECKSUM
    change(metadata)
    onnx.helper.set_model_props(proto, {METADATA_FILE: json.dumps(metadata)})
    content = proto.SerializeToString()
    path.write_bytes(sign_content(content) if NO_CHECKSUM.encode() in content else content)


def change_checkpoint(change: Callable[[dict[str, Any]], Any]) -> Mutation:
    """Return the mutation that changes the content of the checkpoint, or replaces it by a result."""

    def mutate(folder: Path) -> None:
        content = torch.load(folder / CHECKPOINT, weights_only=True)
        changed = change(content)
        torch.save(content if changed is None else changed, folder / CHECKPOINT)

    return mutate


def set_field(path: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    """Return the change of one field of metadata. Without its hash, the mel's other checks are reached."""

    def change(metadata: dict[str, Any]) -> None:
        metadata["mel"].pop("hash" if path != ("mel", "hash") else "", None)
        part: Any = metadata
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = json.loads(value) if isinstance(value, str) and value.startswith("[[") else value

    return change


def delete_field(path: tuple[Any, ...]) -> Callable[[dict[str, Any]], None]:
    def change(metadata: dict[str, Any]) -> None:
        part: Any = metadata
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]

    return change


def field_mutations(folder: Path) -> dict[str, Mutation]:
    """Return all mutations of single fields of the metadata of the base models, by name."""
    checkpoint = torch.load(folder / CHECKPOINT, weights_only=True)["cyclegan_audio"]
    described = {PAIR_JSON: json.loads((folder / PAIR_JSON).read_text()), CHECKPOINT: checkpoint}
    described[ONNX] = json.loads(onnx_metadata(folder / ONNX))
    mutations = {}
    for kind, metadata in described.items():
        for path in field_paths(metadata):
            name = f"{kind}: {'.'.join(map(str, path))}"
            mutations[f"{name} deleted"] = change_metadata(kind, delete_field(path))
            for label, value in WRONG_VALUES.items():
                mutations[f"{name} = {label}"] = change_metadata(kind, set_field(path, value))
    return mutations


def onnx_metadata(path: Path) -> str:
    """Return the metadata of an ONNX file."""
    import onnx

    return str(onnx.load(path).metadata_props[0].value)


def byte_mutations(rng: np.random.Generator, n: int) -> dict[str, Mutation]:
    """Return `n` mutations that flip bits of a file, cut it, or overwrite a part with zeros."""
    files = [PAIR_JSON, "gen_ab.safetensors", CHECKPOINT, ONNX]
    mutations: dict[str, Mutation] = {}
    for number in range(n):
        file, damage = files[rng.integers(len(files))], ["flip", "cut", "zeros"][rng.integers(3)]
        seed = int(rng.integers(2**31))
        mutations[f"{file}: {damage} {number} by seed {seed}"] = damage_file(file, damage, seed)
    return mutations


def damage_file(file: str, damage: str, seed: int) -> Mutation:
    def mutate(folder: Path) -> None:
        rng = np.random.default_rng(seed)
        content = bytearray((folder / file).read_bytes())
        at = int(rng.integers(len(content)))
        if damage == "cut":
            del content[at:]
        elif damage == "zeros":
            content[at : at + 64] = bytes(len(content[at : at + 64]))
        else:
            for place in rng.integers(len(content), size=8):
                content[place] ^= 1 << int(rng.integers(8))
        (folder / file).write_bytes(content)

    return mutate


def replace_file(file: str, make: Callable[[Path], Any]) -> Mutation:
    """Return the mutation that puts what `make` makes in place of a file."""

    def mutate(folder: Path) -> None:
        (folder / file).unlink()
        make(folder / file)

    return mutate


def rewrite_weights(change: Callable[[str, torch.Tensor], Any], n_filters: int | None = None) -> Mutation:
    """Return the mutation that changes each tensor of the checkpoint, and the generators' size."""

    def replace(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        if n_filters:
            content["cyclegan_audio"]["config"]["model"]["generator"]["n_filters"] = n_filters
            with torch.device("meta"):
                shapes = ResnetGenerator(n_filters, 1).state_dict()
            state = {f"gen_{d}.{key}": value for d in DIRECTIONS for key, value in shapes.items()}
        content["state_dict"] = {key: change(key, value) for key, value in state.items()}

    return change_checkpoint(replace)


def runs_of(folder: Path) -> list[Path]:
    """Return the three models in a folder."""
    return [folder, folder / CHECKPOINT, folder / ONNX]


def make_hostile(base: Path, folder: Path, mutation: Mutation) -> Path:
    """Write the base models with a mutation to `folder`, and return the RUN that has changed."""
    shutil.copytree(base, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    mutation(folder)
    for path in (folder / CHECKPOINT, folder / ONNX):
        if not (path.is_file() and path.stat().st_size < 1 << 30 and path.read_bytes() == before[path]):
            return path
    return folder


def try_model(run: Path) -> dict[str, Any]:
    """Load a model and translate a second of noise by it; say how it ended."""
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 44100)).astype(np.float32)
    try:
        translator = Translator.load(run, device="cpu")
        for genre in translator.targets:
            out = translator(noise, 44100, genre)
            if not np.isfinite(out).all():
                return {"end": "not finite", "line": ""}
        return {"end": "translated", "line": ""}
    except UserError as error:
        return {"end": "refused", "line": str(error)}
    except BaseException:
        return {"end": "trace", "line": traceback.format_exc()[-1500:]}


def main() -> None:
    """Try the models that are named on standard input, and print a line of JSON for each."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the end of this process, whatever it is doing
    load_model("demo")  # imports take address space
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        signal.alarm(LIMIT_S)
        before = peak_bytes()
        end = try_model(Path(line.strip()))
        print(json.dumps({"run": line.strip(), "n_bytes": peak_bytes() - before, **end}), flush=True)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
