"""Checkpoints: find the one of a run, load models from it without `conf/`, save small pretrained models."""

import json
import pickle
import shlex
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build
from cyclegan_audio.config.allow_list import check_from_file
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, CONFIG, LAST
from cyclegan_audio.inference.translation_model import (
    METADATA_FILE,
    METADATA_FORMAT,
    TranslationModel,
    make_metadata,
)
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.utils.atomic import atomic_path, atomic_write_text
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

EMA_PREFIX = "ema.networks.{}.module."  # of averaged weights (`models.ema`) in a state dict
PRETRAINED = Path(__file__).resolve().parent / "pretrained"
READ_ERRORS = (
    *(RuntimeError, EOFError, OSError, KeyError, ValueError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)

Weights = dict[str, dict[str, Tensor]]  # a state dict for each direction


def list_pretrained() -> list[str]:
    """Return the names of the models that ship with the package, which `Translator.load` takes."""
    return sorted(file.parent.name for file in PRETRAINED.glob(f"*/{METADATA_FILE}"))


def resolve_run(
    run: str | Path, checkpoint: str | Path | None = None, prefer: Sequence[str] = (BEST, LAST)
) -> Path:
    """Find the file or folder of a RUN: a checkpoint, a run folder's best or last one, a pretrained model.

    Args:
        run: path or name.
        checkpoint: used instead of the run's default.
        prefer: names of checkpoints in a run folder; the first that exists is taken.

    Raises:
        UserError: there is none.
    """
    path = Path(checkpoint) if checkpoint is not None else Path(run)
    if path.is_file() or (path / METADATA_FILE).is_file():
        return path
    if checkpoint is not None:
        raise UserError(f"{path} is not a checkpoint; name a .ckpt file of the run{suggest_path(path)}")
    for name in prefer:
        if (path / CHECKPOINTS / name).is_file():
            return path / CHECKPOINTS / name
    if (path / CONFIG).is_file():
        option = shlex.quote(f"run_dir={path}")
        raise UserError(
            f"{path} has no checkpoint yet: its training has just started, or ended before the first one; "
            f"if it ended, start it again with the same command and {option}"
        )
    if path.is_dir():
        raise UserError(f"{path} has no {CHECKPOINTS}/{LAST}; name the folder that training printed")
    if path.name == str(run) and (PRETRAINED / path.name / METADATA_FILE).is_file():
        return PRETRAINED / path.name
    names = ", ".join(list_pretrained())
    raise UserError(
        f"no run {str(run)!r}; give a run folder, a .ckpt file, or a pretrained model ({names})"
        f"{suggest_path(path)}"
    )


def read_checkpoint(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a training checkpoint of this package without running code from it.

    Raises:
        UserError: the file is damaged or not such a checkpoint.
    """
    try:
        _check_integrity(path)
        content = torch.load(path, map_location=device, weights_only=True)
        if content["cyclegan_audio"]["format"] != METADATA_FORMAT:
            raise UserError(
                f"{path} was written by another version of cyclegan_audio; use that version, or train again"
            )
    except (*READ_ERRORS, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason[:80]}); it is damaged or another kind of file, "
            "use another checkpoint of the run"
        ) from error
    return content


def _check_integrity(path: Path) -> None:
    """Check every part of a checkpoint against its checksum, which `torch.load` does not.

    Raises:
        ValueError: a part has changed.
        zipfile.BadZipFile: the file is truncated or not a checkpoint.
    """
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise ValueError(f"the part {broken} does not match its checksum")


def load_model(
    run: str | Path,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    trust_packages: Collection[str] = (),
) -> TranslationModel:
    """Load the model of a RUN (see `resolve_run`) or of an exported ONNX file.

    Args:
        run: path or name.
        device: device of the generators.
        checkpoint: used instead of the run's default.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

    Raises:
        UserError: there is no such run, its checkpoint is damaged or names another generator, or it is a
            torch.export program.
    """
    path = resolve_run(run, checkpoint)
    if path.suffix == ".onnx":
        from cyclegan_audio.inference.export import load_onnx

        return load_onnx(path)
    if path.suffix == ".pt2":
        raise UserError(
            f"{path} is a program for torch.export.load; give the run itself, or export it to .onnx"
        )
    metadata, weights = _read_pretrained(path, device) if path.is_dir() else _read_trained(path, device)
    try:
        return _build_model(metadata, weights, path, device, trust_packages)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path} does not describe a complete model ({error!r}); it is damaged, use another checkpoint"
        ) from error


def _build_model(
    metadata: Mapping[str, Any],
    weights: Weights,
    path: Path,
    device: str | torch.device,
    trust_packages: Collection[str],
) -> TranslationModel:
    config = metadata["config"]["model"]["generator"]
    return TranslationModel(
        genres=(metadata["genres"][0], metadata["genres"][1]),
        mel=MelSpectrogram.from_dict(metadata["mel"]),
        generators={
            direction: _build_generator(config, weights[direction], path, trust_packages).to(device)
            for direction in _stored_directions(metadata)
        },
        window_frames=metadata["window_frames"],
        config=metadata["config"],
        batches=metadata["batches"],
        training_intervals=metadata.get("training_intervals", {}),
        normalisation=metadata.get("normalisation", {}),
        loss_terms=metadata.get("loss_terms", {}),
    )


def save_pretrained(model: TranslationModel, folder: Path) -> None:
    """Save the generators as 16-bit safetensors in `folder`, then the metadata."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for direction, generator in model.generators.items():
        weights = {key: value.half().contiguous() for key, value in generator.state_dict().items()}
        with atomic_path(folder / f"gen_{direction}.safetensors") as part:
            save_file(weights, part)
    config = {"model": {"generator": model.config["model"]["generator"]}}
    metadata = make_metadata(
        model.genres, model.mel, model.window_frames, config, model.training_intervals, list(model.generators)
    )
    metadata |= {"batches": model.batches, "normalisation": model.normalisation}
    atomic_write_text(folder / METADATA_FILE, json.dumps(metadata, indent=1) + "\n")


def _read_trained(path: Path, device: str | torch.device) -> tuple[dict[str, Any], Weights]:
    """Read metadata and generators' weights of a training checkpoint; averaged weights if it has them."""
    content = read_checkpoint(path, device)
    state = content.get("state_dict", {})
    weights = {}
    for direction in DIRECTIONS:
        name = f"gen_{direction}"
        weights[direction] = _strip_prefix(EMA_PREFIX.format(name), state) or _strip_prefix(f"{name}.", state)
    return content["cyclegan_audio"], weights


def _stored_directions(metadata: Mapping[str, Any]) -> list[str]:
    """Return the directions of the generators; old metadata, always of both, does not list them."""
    return metadata.get("directions", list(DIRECTIONS))


def _strip_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _read_pretrained(folder: Path, device: str | torch.device) -> tuple[dict[str, Any], Weights]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        metadata = json.loads((folder / METADATA_FILE).read_text())
        files = {name: folder / f"gen_{name}.safetensors" for name in _stored_directions(metadata)}
        return metadata, {direction: load_file(file, str(device)) for direction, file in files.items()}
    except (*READ_ERRORS, SafetensorError) as error:
        raise UserError(
            f"{folder} does not hold a complete model ({error}); install or save it again"
        ) from error


def _build_generator(
    config: Mapping[str, Any], weights: dict[str, Tensor], path: Path, trust_packages: Collection[str]
) -> nn.Module:
    """Build a generator with its weights, of a class that `config.allow_list` allows."""
    name = "model.generator"
    check_from_file(config, path, name, trust_packages=trust_packages, base=nn.Module)
    generator: nn.Module = build(name, OmegaConf.create({**config, "_partial_": False}))
    try:
        generator.load_state_dict({key: value.float() for key, value in weights.items()})
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights do not fit the configuration; the file is damaged, use another one"
        ) from error
    return generator.eval()
