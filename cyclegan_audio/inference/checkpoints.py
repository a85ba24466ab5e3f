"""Finding trained generators, loading them without `conf/`, and shipping them small."""

import json
import pickle
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.inference.pair_metadata import CARD, FORMAT, make_card
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, CONFIG, LAST
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.utils.atomic import atomic_path, atomic_write_text
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

AVERAGED = "average.networks.{}.module."  # before the names of averaged weights (`models.average`)
PRETRAINED = Path(__file__).resolve().parent / "pretrained"
DAMAGE = (RuntimeError, EOFError, OSError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


def list_pretrained() -> list[str]:
    """Return the names of the pairs that ship with the package, which `Translator.load` takes."""
    return sorted(card.parent.name for card in PRETRAINED.glob(f"*/{CARD}"))


def resolve_run(
    run: str | Path, checkpoint: str | Path | None = None, prefer: Sequence[str] = (BEST, LAST)
) -> Path:
    """The file or folder behind a RUN: a checkpoint, a run folder (its best, else its last), a shipped pair.

    Args:
        run: path or name.
        checkpoint: taken in place of the run's own choice.
        prefer: names of a run folder's checkpoints, the first that is there counts.

    Raises:
        UserError: there is nothing of the kind.
    """
    path = Path(checkpoint) if checkpoint is not None else Path(run)
    if path.is_file() or (path / CARD).is_file():
        return path
    if checkpoint is not None:
        raise UserError(f"{path} is not a checkpoint; name a .ckpt file of the run{suggest_path(path)}")
    for name in prefer:
        if (path / CHECKPOINTS / name).is_file():
            return path / CHECKPOINTS / name
    if (path / CONFIG).is_file():
        again = shlex.quote(f"run_dir={path}")
        raise UserError(
            f"{path} has no checkpoint: its training has just begun, or ended before it wrote the first one; "
            f"if it ended, start it again by the same command with {again}"
        )
    if path.is_dir():
        raise UserError(f"{path} has no {CHECKPOINTS}/{LAST}; name the folder that training printed")
    if path.name == str(run) and (PRETRAINED / path.name / CARD).is_file():
        return PRETRAINED / path.name
    shipped = ", ".join(list_pretrained())
    raise UserError(
        f"no run {str(run)!r}: give a run folder, a .ckpt file, or one that ships here ({shipped})"
        f"{suggest_path(path)}"
    )


def read_checkpoint(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """A training checkpoint of this package, read without running any code in it.

    Raises:
        UserError: the file is damaged or of another kind.
    """
    try:
        _check_complete(path)
        content = torch.load(path, map_location=device, weights_only=True)
        if content["cyclegan_audio"]["format"] != FORMAT:
            raise UserError(
                f"{path} was written by another version of cyclegan_audio; train again or use that one"
            )
    except (*DAMAGE, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason[:80]}); it is damaged or of another kind, "
            "use another checkpoint of the run"
        ) from error
    return content


def _check_complete(path: Path) -> None:
    """Check every part of a checkpoint against its checksum, which `torch.load` does not.

    Raises:
        ValueError: a part has changed.
        zipfile.BadZipFile: not a checkpoint, or cut off.
    """
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise ValueError(f"the part {broken} does not match its checksum")


def load_model(
    run: str | Path, device: str | torch.device = "cpu", checkpoint: str | Path | None = None
) -> TranslationModel:
    """The generators of a RUN (see `resolve_run`), or of an exported ONNX file, ready to translate.

    Raises:
        UserError: there is no such run, its checkpoint is damaged, or it is a torch.export program.
    """
    path = resolve_run(run, checkpoint)
    if path.suffix == ".onnx":
        from cyclegan_audio.inference.export.files import load_exported

        return load_exported(path)
    if path.suffix == ".pt2":
        raise UserError(
            f"{path} is a program for torch.export.load; give the run itself, or its export to .onnx"
        )
    card, weights = _read_shipped(path, device) if path.is_dir() else _read_trained(path, device)
    try:
        return _pair(card, weights, path, device)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path} does not describe a whole pair ({error!r}); it is damaged, use another checkpoint"
        ) from error


def _pair(
    card: Mapping[str, Any], weights: dict[str, dict[str, Tensor]], path: Path, device: str | torch.device
) -> TranslationModel:
    config = card["config"]["model"]["generator"]
    return TranslationModel(
        genres=(card["genres"][0], card["genres"][1]),
        mel=MelSpectrogram.from_dict(card["mel"]),
        generators={
            direction: _build(config, weights[direction], path).to(device) for direction in _directions(card)
        },
        window_frames=card["window_frames"],
        config=card["config"],
        batches=card["batches"],
        training_intervals=card.get("training_intervals", {}),
        normalisation=card.get("normalisation", {}),
        loss_terms=card.get("loss_terms", {}),
    )


def save_pretrained(pair: TranslationModel, folder: Path) -> None:
    """Write the generators as 16-bit safetensors with their card into `folder`, the card last."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for direction, generator in pair.generators.items():
        weights = {key: value.half().contiguous() for key, value in generator.state_dict().items()}
        with atomic_path(folder / f"gen_{direction}.safetensors") as part:
            save_file(weights, part)
    config = {"model": {"generator": pair.config["model"]["generator"]}}
    card = make_card(
        pair.genres, pair.mel, pair.window_frames, config, pair.training_intervals, list(pair.generators)
    )
    card |= {"batches": pair.batches, "normalisation": pair.normalisation}
    atomic_write_text(folder / CARD, json.dumps(card, indent=1) + "\n")


def _read_trained(
    path: Path, device: str | torch.device
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The card of a training checkpoint, and the weights of its generators: averages where they are kept."""
    content = read_checkpoint(path, device)
    state = content.get("state_dict", {})
    weights = {
        direction: _below(AVERAGED.format(f"gen_{direction}"), state) or _below(f"gen_{direction}.", state)
        for direction in DIRECTIONS
    }
    return content["cyclegan_audio"], weights


def _directions(card: Mapping[str, Any]) -> list[str]:
    """Which generators there are; cards from before there were models of one direction do not say so."""
    return card.get("directions", list(DIRECTIONS))


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _read_shipped(
    folder: Path, device: str | torch.device
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        card = json.loads((folder / CARD).read_text())
        files = {direction: folder / f"gen_{direction}.safetensors" for direction in _directions(card)}
        return card, {direction: load_file(file, str(device)) for direction, file in files.items()}
    except (*DAMAGE, SafetensorError) as error:
        raise UserError(
            f"{folder} does not hold a whole pair ({error}); install or export it again"
        ) from error


def _build(config: Mapping[str, Any], weights: dict[str, Tensor], path: Path) -> nn.Module:
    """A generator of this package (and of no other, whatever the checkpoint says) with its weights."""
    numbers = {key: value for key, value in config.items() if not key.startswith("_")}
    target = str(config["_target_"])
    built = locate(target) if target.startswith("cyclegan_audio.models.") else None
    if not (isinstance(built, type) and issubclass(built, nn.Module)):
        raise UserError(
            f"{path} names the generator {target}; a checkpoint makes only generators of this version of the "
            "package: load the weights of another into its class in Python"
        )
    generator = built(**numbers)
    try:
        generator.load_state_dict({key: value.float() for key, value in weights.items()})
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights do not fit its own configuration; the file is damaged"
        ) from error
    return generator.eval()
