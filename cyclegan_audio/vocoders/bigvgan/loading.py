"""Published BigVGAN checkpoints: found by file, folder or name, read without running any code in them."""

import dataclasses
import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders.bigvgan.network import BigVGAN

CONFIG = "config.json"
WEIGHTS = "bigvgan_generator.pt"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # owner/model, as model hubs call them


def find(checkpoint: str) -> tuple[Path, Path]:
    """Its configuration and its weights: from a folder, a `.pt` file beside `config.json`, or OWNER/MODEL.

    Only a name that is no file here is looked for in the network (once; the hub's client keeps it).

    Raises:
        UserError: there is nothing of the kind.
    """
    path = Path(checkpoint)
    config, weights = (path / CONFIG, path / WEIGHTS) if path.is_dir() else (path.with_name(CONFIG), path)
    if config.is_file() and weights.is_file():
        return config, weights
    if path.exists() or not _NAME.fullmatch(checkpoint):
        raise UserError(
            f"{checkpoint} is no BigVGAN; name a folder with {CONFIG} and {WEIGHTS}, or OWNER/MODEL"
        )
    return fetch(checkpoint, CONFIG), fetch(checkpoint, WEIGHTS)


def fetch(name: str, file: str) -> Path:
    """A file of the model `name` in the public hub, from its client's cache where it is there already.

    Raises:
        UserError: no client, no network, or no such model.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise UserError("fetching a vocoder by name needs: pip install 'cyclegan-audio[vocos]'") from error
    try:
        return Path(hf_hub_download(name, file))
    except Exception as error:  # the client raises its own and its HTTP library's errors
        said = " ".join(str(error).split())[:120]
        raise UserError(
            f"{file} of {name} cannot be fetched ({said}); name a local copy by its folder"
        ) from error


def read_config(path: Path) -> dict[str, Any]:
    """The checkpoint's configuration.

    Raises:
        UserError: it cannot be read, or describes a network of another kind.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = str(config["resblock"]), config["activation"], bool(config["snake_logscale"])
        whole_window = config["win_size"] == config["n_fft"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no configuration of a BigVGAN ({error!r}); fetch the model again"
        ) from error
    if kind != ("1", "snakebeta", True) or not whole_window:
        raise UserError(f"{path} describes a BigVGAN of another kind; use one of its second version")
    return config


def check_mel(config: dict[str, Any], mel: MelSpectrogram, name: str) -> None:
    """Refuse a mel other than the one that the checkpoint was made for.

    Its reference is `mel_spectrogram` of the published code: Slaney's triangles on sqrt(|STFT|^2 + 1e-9), a
    periodic Hann window, reflection by (n_fft - hop) / 2, natural logarithm above 1e-5.

    Raises:
        UserError: shows what differs.
    """
    made_for = dataclasses.replace(
        mel,
        sample_rate=config["sampling_rate"],
        n_fft=config["n_fft"],
        hop_length=config["hop_size"],
        window="hann",
        n_mels=config["num_mels"],
        filters="slaney",
        f_min_hz=float(config["fmin"]),
        f_max_hz=float(config["fmax"] or config["sampling_rate"] / 2),
        padding="reflect",
        magnitude_epsilon=1e-9,
        floor=1e-5,
    )
    made_for.check_compatible(mel, f"the vocoder {name}", "the mels of this model")


def load(config: dict[str, Any], weights: Path) -> BigVGAN:
    """The network with its weights, in eval mode.

    Raises:
        UserError: the file is damaged, of another kind, or does not fit the configuration.
    """
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)["generator"]
        network = BigVGAN(
            n_mels=config["num_mels"],
            rates=config["upsample_rates"],
            kernel_sizes=config["upsample_kernel_sizes"],
            n_channels=config["upsample_initial_channel"],
            block_kernel_sizes=config["resblock_kernel_sizes"],
            block_dilations=config["resblock_dilation_sizes"],
            tanh=config.get("use_tanh_at_final", True),
            final_bias=config.get("use_bias_at_final", True),
        )
        network.load_state_dict(fold_weight_norm(state))
    except (
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
        EOFError,
        OSError,
        pickle.UnpicklingError,
    ) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise UserError(
            f"{weights} cannot be read as a BigVGAN checkpoint ({said}); fetch it again"
        ) from error
    return network.eval()


def fold_weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights v g / |v|, the norm over all axes but the first, in place of `weight_g` and `weight_v`."""
    folded = {}
    for name, value in state.items():
        if name.endswith(".weight_v"):
            gain = state[name.removesuffix("v") + "g"]
            norm = torch.linalg.vector_norm(value, dim=tuple(range(1, value.ndim)), keepdim=True)
            folded[name.removesuffix("_v")] = value * (gain / norm)
        elif not name.endswith(".weight_g"):
            folded[name] = value
    return folded
