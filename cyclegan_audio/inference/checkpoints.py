"""Checkpoints: find the one of a run, load models from it without `conf/`, save small pretrained models."""

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from pydoc import locate
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config.allow_list import check_from_file
from cyclegan_audio.inference.hub import download_pair, is_hub_run
from cyclegan_audio.inference.metadata import (
    MAX_TEXT_BYTES,
    ModelMetadata,
    checksum,
    naming,
    parse_metadata,
)
from cyclegan_audio.inference.pair_card import README, PairFacts, write_readme
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, CONFIG, LAST
from cyclegan_audio.inference.start_pair import PRETRAINED, START_PAIR, name_start, own_intervals
from cyclegan_audio.inference.translation_model import (
    METADATA_FORMAT,
    PAIR_FILE,
    TranslationModel,
    make_metadata,
    weights_file,
)
from cyclegan_audio.inference.weights import (
    MAX_FILE_BYTES,
    build_on_meta,
    check_archive,
    check_generator,
    check_tensors,
    check_weights,
    n_bytes,
    read_safetensors,
)
from cyclegan_audio.models.directions import DOMAINS
from cyclegan_audio.models.networks.whitening import check_moments
from cyclegan_audio.utils.atomic import atomic_write_bytes, atomic_write_text
from cyclegan_audio.utils.errors import FileError, UserError, error_reason
from cyclegan_audio.utils.fields import check_plain, check_value, from_mapping
from cyclegan_audio.utils.hints import suggest_path
from cyclegan_audio.utils.regular_files import check_file

EMA_PREFIX = "ema.networks.{}.module."  # of averaged weights (`models.ema`) in a state dict
ONNX = ".onnx"  # suffix of exported models
DEMO_PAIRS = ("demo", START_PAIR)  # pretrained models of the demo songs


def list_pretrained() -> list[str]:
    """Return the names of the models that ship with the package, which `Translator.load` takes."""
    return sorted(file.parent.name for file in PRETRAINED.glob(f"*/{PAIR_FILE}"))


def resolve_run(
    run: str | Path, checkpoint: str | Path | None = None, prefer: Sequence[str] = (BEST, LAST)
) -> Path:
    """Find the file or folder of a RUN: a checkpoint, a run folder's best or last one, or a pair.

    Args:
        run: path, name of a pair that ships, or `hf:OWNER/NAME[@REVISION]`, which is downloaded.
        checkpoint: used instead of the run's default.
        prefer: names of checkpoints in a run folder; the first that exists is taken.

    Raises:
        UserError: there is none.
    """
    if checkpoint is None and is_hub_run(run):
        return download_pair(str(run))
    path = Path(checkpoint) if checkpoint is not None else Path(run)
    if _is_model(path):
        return path
    if checkpoint is not None:
        raise UserError(f"{path} is not a checkpoint; name a .ckpt file of the run{suggest_path(path)}")
    for name in prefer:
        if (path / CHECKPOINTS / name).exists():
            return path / CHECKPOINTS / name
    if not path.is_dir() and path.name == str(run) and (PRETRAINED / path.name / PAIR_FILE).is_file():
        return PRETRAINED / path.name
    raise UserError(_why_no_run(path))


def _why_no_run(path: Path) -> str:
    """Return why a path is no RUN, and what to do."""
    if (path / CONFIG).is_file():
        option = shlex.quote(f"run_dir={path}")
        return (
            f"{path} has no checkpoint yet: its training has just started, or ended before the first one; "
            f"if it ended, start it again with the same command and {option}"
        )
    if path.is_dir():
        return f"{path} has no {CHECKPOINTS}/{LAST}; name the folder that training printed"
    return (
        f"no run {str(path)!r}; give a run folder, a .ckpt file, hf:OWNER/NAME, or a pretrained model "
        f"({', '.join(list_pretrained())}){suggest_path(path)}"
    )


def list_checkpoints(run: str | Path) -> list[Path]:
    """List the checkpoints in a run folder by their batches, of those with the same batches one.

    Args:
        run: path of the folder.

    Raises:
        UserError: a checkpoint is damaged.
    """
    by_batches: dict[int, Path] = {}
    for path in sorted((Path(run) / CHECKPOINTS).glob(f"*{Path(LAST).suffix}")):  # the best one first
        metadata = from_mapping(ModelMetadata, read_checkpoint(path)["cyclegan_audio"])
        by_batches.setdefault(metadata.batches, path)
    return [path for _, path in sorted(by_batches.items())]


def _is_model(path: Path) -> bool:
    """Return whether a path is a file or a pretrained folder.

    Raises:
        UserError: it is a pipe, a device or a socket.
    """
    if path.exists() and not path.is_dir():
        with naming(path):
            check_file(path, MAX_FILE_BYTES)
        return True
    return (path / PAIR_FILE).exists()


def read_checkpoint(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a training checkpoint of this package without running code from it.

    Raises:
        UserError: the file is damaged or not such a checkpoint.
    """
    with naming(path):
        check_file(path, MAX_FILE_BYTES)
    try:
        check_archive(path)
        content = torch.load(path, map_location=device, weights_only=True)
        check_value("its content", content, dict[str, Any])
        check_value("state_dict", content.get("state_dict", {}), dict[str, Any])
        metadata = content["cyclegan_audio"]
        check_plain("cyclegan_audio", {key: metadata[key] for key in metadata if key != "rank_states"})
        file_format = metadata["format"]
    except Exception as error:  # damaged bytes raise almost anything
        is_pickle = isinstance(error, UnpicklingError)
        reason = "it holds more than weights and plain values" if is_pickle else error_reason(error)
        raise FileError(
            f"{path} cannot be read as a checkpoint ({reason}); it is damaged or another kind of file, "
            "use another checkpoint of the run"
        ) from error
    if file_format != METADATA_FORMAT:
        raise FileError(
            f"{path} was written by another version of cyclegan_audio; use that version, or train again"
        )
    return content


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
    if path.suffix == ONNX:
        from cyclegan_audio.inference.export import load_onnx

        return load_onnx(path)
    if path.suffix == ".pt2":
        raise UserError(
            f"{path} is a program for torch.export.load; give the run itself, or export it to .onnx"
        )
    if path.is_dir():
        with naming(path / PAIR_FILE):
            return _read_pretrained(path, device, trust_packages)
    with naming(path):
        return _read_trained(path, device, trust_packages)


def save_pretrained(
    model: TranslationModel, folder: Path, run: str = "", extras: Mapping[str, bytes] | None = None
) -> None:
    """Save a pair in `folder`: generators as safetensors, pictures and sounds, `pair.json` and README.md.

    Parameters are rounded to 16 bits. Buffers stay as they are: rounded moments of whitening would move
    points of bands with a small spread by up to 1 dB.

    Args:
        model: the model with its card.
        folder: the folder, which is created.
        run: the RUN that names the pair in README.md; by default the folder.
        extras: name to content of pictures and sounds.
    """
    from safetensors.torch import save

    contents = dict(extras or {})
    for direction, generator in model.generators.items():
        buffers = dict(generator.named_buffers())
        weights = {
            key: (value if key in buffers else value.half()).contiguous()
            for key, value in generator.state_dict().items()
        }
        contents[weights_file(direction)] = save(weights)
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(folder / name, content)
    config: dict[str, Any] = {"model": {"generator": model.config["model"]["generator"]}}
    if (start := name_start(model)) is not None:
        config["init_from"] = start
    metadata = make_metadata(
        model.genres, model.mel, model.window_frames, config, model.training_intervals, list(model.generators)
    )
    metadata |= {"batches": model.batches, "normalisation": model.normalisation}
    metadata |= {"card": model.card.to_dict()}
    metadata |= {"checksums": {name: checksum(content) for name, content in contents.items()}}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in metadata.items()]
    atomic_write_text(folder / PAIR_FILE, "{\n" + ",\n".join(lines) + "\n}\n")
    atomic_write_text(
        folder / README, write_readme(_pair_facts(model, run or str(folder)), model.card, contents)
    )


def _pair_facts(model: TranslationModel, run: str) -> PairFacts:
    settings = model.config["model"]["generator"]
    package, _, name = settings["_target_"].partition(".")
    arguments = ", ".join(f"{key} {value}" for key, value in settings.items() if not key.startswith("_"))
    mel, generator = model.mel, next(iter(model.generators.values()))
    return PairFacts(
        run=run,
        genres=model.genres,
        targets=model.targets,
        network=f"{name.rpartition('.')[2]} ({arguments})",
        n_parameters=sum(parameter.numel() for parameter in generator.parameters()),
        mel=f"{mel.name}: {mel.sample_rate} Hz, {mel.n_mels} bands, hop {mel.hop_length}",
        batches=model.batches,
        intervals=own_intervals(model),
        start=name_start(model),
        package=None if package == "cyclegan_audio" else package,
    )


def _read_trained(
    path: Path, device: str | torch.device, trust_packages: Collection[str]
) -> TranslationModel:
    """Load the model of a training checkpoint; averaged weights if it has them."""
    content = read_checkpoint(path, device)
    metadata = from_mapping(ModelMetadata, content["cyclegan_audio"])
    state, size = content.get("state_dict", {}), path.stat().st_size

    def read(direction: str, network: nn.Module) -> dict[str, Tensor]:
        name = f"gen_{direction}"
        weights = _strip_prefix(EMA_PREFIX.format(name), state) or _strip_prefix(f"{name}.", state)
        check_tensors(weights, size)
        return weights

    return _build_model(metadata, read, device, path, trust_packages)


def read_discriminators(run: str | Path) -> dict[str, dict[str, Tensor]]:
    """Read the weights of a RUN's discriminators by domain; empty where it has generators alone.

    Args:
        run: path or name, see `resolve_run`.

    Raises:
        UserError: there is no such run, or its checkpoint is damaged.
    """
    path = resolve_run(run)
    if path.is_dir() or path.suffix == ONNX:
        return {}
    state = read_checkpoint(path).get("state_dict", {})
    weights = {domain: _strip_prefix(f"disc_{domain}.", state) for domain in DOMAINS}
    with naming(path):
        for of_domain in weights.values():
            check_tensors(of_domain, path.stat().st_size)
    return {domain: of_domain for domain, of_domain in weights.items() if of_domain}


def _strip_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _read_pretrained(
    folder: Path, device: str | torch.device, trust_packages: Collection[str]
) -> TranslationModel:
    """Load the model of a pretrained folder."""
    file = folder / PAIR_FILE
    check_file(file, MAX_TEXT_BYTES)
    metadata = parse_metadata(file.read_bytes())

    def read(direction: str, network: nn.Module) -> dict[str, Tensor]:
        path = folder / weights_file(direction)
        with naming(path):
            return read_safetensors(path, n_bytes(network), metadata.checksums.get(path.name))

    return _build_model(metadata, read, device, file, trust_packages)


def _build_model(
    metadata: ModelMetadata,
    read: Callable[[str, nn.Module], dict[str, Tensor]],
    device: str | torch.device,
    path: Path,
    trust_packages: Collection[str],
) -> TranslationModel:
    """Build a model.

    Args:
        metadata: its metadata.
        read: reads the weights of a direction for a generator without memory.
        device: device of the generators.
        path: the file of the metadata.
        trust_packages: see `load_model`.
    """
    mel = MelSpectrogram.from_dict(metadata.mel)
    config = metadata.part_of_config("model", "generator")
    generator_type, arguments = _generator_class(config, path, trust_packages)
    network = build_on_meta("config.model.generator", generator_type, arguments)
    generators: dict[str, nn.Module] = {}
    for direction in metadata.directions:
        weights = read(direction, network)
        check_weights(weights, network)
        generator = generator_type(**arguments)
        generator.load_state_dict({key: value.float() for key, value in weights.items()})
        check_moments(generator)
        if not generators:
            check_generator(generator.eval(), mel.n_mels, metadata.window_frames)
        generators[direction] = generator.eval().to(device)
    return metadata.build_model(generators, mel)


def _generator_class(
    config: Mapping[str, Any], path: Path, trust_packages: Collection[str]
) -> tuple[type[nn.Module], dict[str, Any]]:
    """Return a generator's class, if `config.allow_list` allows it, and its arguments."""
    check_from_file(config, path, "model.generator", trust_packages=trust_packages, base=nn.Module)
    check_value("config.model.generator._target_", config.get("_target_"), str)
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    return locate(config["_target_"]), arguments  # type: ignore[return-value]
