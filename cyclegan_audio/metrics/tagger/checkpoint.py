"""Read the weights of MSD_musicnn from the package musicnn, without TensorFlow, and keep them in a cache."""

import hashlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.metrics.tagger.network import Musicnn
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, error_reason
from cyclegan_audio.utils.regular_files import check_file

MODEL = "MSD_musicnn"
DATA_FILE = ".data-00000-of-00001"
DATA_BYTES = 9_465_596
SHA256 = "e6330872d1394b7a67d4e025697cd5900a1e2a246caf4dadcf2f08f0814e6005"  # `fingerprint` of the weights
CACHE_FILE = "cyclegan_audio_msd_musicnn.safetensors"
MISSING = "the package musicnn is not installed; run: pip install --no-deps musicnn"
REMEDY = (
    f"name the folder {MODEL} of the package musicnn, or install it again: "
    "pip install --no-deps --force-reinstall musicnn"
)


def load_weights(folder: str | Path | None = None) -> dict[str, Tensor]:
    """Return the weights as a state of `Musicnn`, from the cache if they were read before.

    Args:
        folder: the folder MSD_musicnn of the package musicnn; by default that of the installed package.

    Raises:
        UserError: the package is not installed, the folder has no checkpoint, or its weights are others.
    """
    if folder is None and (cached := _read_cache()) is not None:
        return cached
    source = Path(folder) if folder is not None else _installed_folder()
    if source is None:
        raise UserError(MISSING)
    weights = _read_checkpoint(source)
    if fingerprint(weights) != SHA256:
        raise UserError(f"{source} does not hold the weights of {MODEL}; {REMEDY}")
    _write_cache(weights)
    return weights


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the weights in the order of `Musicnn`'s state."""
    digest = hashlib.sha256()
    for name in _shapes():
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _installed_folder() -> Path | None:
    """Return the folder of the checkpoint in the installed package, which is never imported."""
    spec = importlib.util.find_spec("musicnn")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((Path(folder) / MODEL for folder in folders if (Path(folder) / MODEL).is_dir()), None)


def _shapes() -> dict[str, torch.Size]:
    """Return the shapes of the weights by their names in `Musicnn`."""
    with torch.device("meta"):
        state = Musicnn().state_dict()
    return {name: tensor.shape for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _read_checkpoint(folder: Path) -> dict[str, Tensor]:
    """Read a checkpoint of TensorFlow (`tensor_bundle`): float32 tensors one after another, sorted by name.

    Each trained tensor is followed by the two moments that Adam keeps of it. The order of the dimensions is
    height, width, inputs, outputs.
    """
    path = folder / DATA_FILE
    try:
        check_file(path, DATA_BYTES)
        values = np.fromfile(path, dtype="<f4")
    except (OSError, UserError) as error:
        raise UserError(f"{path} cannot be read ({error_reason(error)}); {REMEDY}") from error
    if values.nbytes != DATA_BYTES:
        raise UserError(f"{path} has {values.nbytes} bytes instead of {DATA_BYTES}; {REMEDY}")
    shapes, names = _shapes(), _names()
    sizes = {theirs: shapes[ours].numel() for theirs, ours in names.items()}
    trained = {name: size for name, size in sizes.items() if "/moving_" not in name}
    sizes |= {f"{name}/{slot}": size for name, size in trained.items() for slot in ("Adam", "Adam_1")}
    sizes |= {"beta1_power": 1, "beta2_power": 1}
    order = sorted(sizes)
    tensors = dict(zip(order, np.split(values, np.cumsum([sizes[name] for name in order])), strict=False))
    return {ours: _to_torch(tensors[theirs], shapes[ours]) for theirs, ours in names.items()}


def _names() -> dict[str, str]:
    """Return the names in `Musicnn` by those in the checkpoint, which counts layers in their order."""
    convolutions = [*(f"front.{n}" for n in range(5)), *(f"middle.{n}" for n in range(3))]
    norms = ["input_norm", *(f"front_norm.{n}" for n in range(5)), *(f"middle_norm.{n}" for n in range(3))]
    norms += ["pooled_norm", "dense_norm"]
    of_layer = {"kernel": "weight", "bias": "bias"}
    of_norm = {"gamma": "weight", "beta": "bias"}
    of_norm |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    kinds = (
        ("conv2d", convolutions, of_layer),
        ("dense", ["dense", "output"], of_layer),
        ("batch_normalization", norms, of_norm),
    )
    return {
        f"{kind}{f'_{number}' if number else ''}/{theirs}": f"{layer}.{ours}"
        for kind, layers, parts in kinds
        for number, layer in enumerate(layers)
        for theirs, ours in parts.items()
    }


def _to_torch(values: np.ndarray, shape: torch.Size) -> Tensor:
    """Change the order of the dimensions from TensorFlow's to `shape`."""
    if len(shape) == 1:
        return torch.from_numpy(values.copy())
    outputs, inputs, *kernel = shape
    stored = torch.from_numpy(values).view(*kernel, inputs, outputs)
    return stored.permute(-1, -2, *range(len(kernel))).contiguous()


def _cache_file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / CACHE_FILE


def _read_cache() -> dict[str, Tensor] | None:
    """Return the weights of the cache; None where it has none, or others."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        check_file(_cache_file(), DATA_BYTES)
        weights = load_file(_cache_file())
        forms = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
        expected = {name: (shape, torch.float32) for name, shape in _shapes().items()}
        return weights if forms == expected and fingerprint(weights) == SHA256 else None
    except (OSError, UserError, SafetensorError):
        return None


def _write_cache(weights: dict[str, Tensor]) -> None:
    """Keep the weights in the cache; without space or permission they are read again next time."""
    from safetensors.torch import save

    with suppress(OSError):
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part:
            part.write_bytes(save(weights))
