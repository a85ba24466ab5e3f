"""Check before a training that its networks accept its windows: a pass with shapes only, without numbers."""

from bisect import bisect_left
from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.utils.errors import UserError, error_reason

MAX_FRAMES = 1 << 13  # longest window that is tried, to name one that fits


def check_windows(
    generator: Generator, discriminator: nn.Module, n_mels: int, clip_frames: int, crop_frames: int | None
) -> None:
    """Check that the networks accept the windows of a training.

    Args:
        generator: a generator of the model.
        discriminator: a discriminator of the model.
        n_mels: bands of the mels.
        clip_frames: frames of a clip.
        crop_frames: frames of a crop; None for whole clips.

    Raises:
        UserError: they do not; the message names a crop that fits, if there is one.
    """
    multiple = generator.frame_multiple
    n_windows = -(-(crop_frames or clip_frames) // multiple)
    n_frames = n_windows * multiple
    if not _refusal(generator, discriminator, n_mels, n_frames, "meta"):
        return
    reason = _refusal(generator, discriminator, n_mels, n_frames, "cpu")
    if not reason:  # a network from outside that needs numbers, which the device `meta` does not have
        return
    candidates = range(n_windows + 1, max(n_windows + 2, MAX_FRAMES // multiple))
    index = bisect_left(
        candidates, True, key=lambda n: not _refusal(generator, discriminator, n_mels, n * multiple, "meta")
    )
    if index == len(candidates):
        raise UserError(
            f"the networks do not accept mels of {n_mels} bands and {n_frames} frames ({reason}); "
            "choose another generator= or discriminator=, or prepare the corpus with another mel="
        )
    fitting = candidates[index] * multiple
    if crop_frames is not None and fitting <= clip_frames:
        raise UserError(
            f"data.crop_frames={crop_frames} is too short for the networks; choose {fitting} to "
            f"{clip_frames}, or null for whole clips"
        )
    raise UserError(
        f"clips of {clip_frames} frames are too short for the networks, which need {fitting}; prepare longer "
        "clips with clip.seconds=, or choose another generator= or discriminator="
    )


def check_bands(networks: Mapping[str, object], n_mels: int) -> None:
    """Check that networks that are built for a number of bands, their attribute `n_mels`, get as many.

    Args:
        networks: networks by their part of the model.
        n_mels: bands of the mels.

    Raises:
        UserError: they do not.
    """
    expected = {part: getattr(network, "n_mels", n_mels) for part, network in networks.items()}
    wrong = {f"model.{part}.n_mels": n for part, n in expected.items() if n != n_mels}
    if wrong:
        built = " and ".join(f"{key} is {n}" for key, n in wrong.items())
        raise UserError(
            f"{built}, but the mels of the corpus have {n_mels} bands; "
            f"give {' '.join(f'{key}={n_mels}' for key in wrong)}"
        )


def _refusal(generator: Generator, discriminator: nn.Module, n_mels: int, n_frames: int, device: str) -> str:
    """Return why the networks refuse mels (1, 1, M, F); empty if they accept them."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            reals = generator.training_input(torch.zeros(1, 1, n_mels, n_frames, device=device))
            fakes = _forward(generator, reals)  # type: ignore[arg-type]
            if fakes.shape != reals.shape:
                raise ValueError(f"the generator returns {tuple(fakes.shape)} for {tuple(reals.shape)}")
            _forward(discriminator, fakes)
    except Exception as error:
        return error_reason(error)
    return ""


def _forward(network: nn.Module, x: Tensor) -> Tensor:
    """Apply a copy of the network on the device of `x`, which keeps its state."""
    if not x.is_meta:
        return deepcopy(network)(x)
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return functional_call(network, {name: value.to("meta") for name, value in state.items()}, (x,))
