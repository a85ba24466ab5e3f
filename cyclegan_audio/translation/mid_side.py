"""Channels as a mid and sides, and silence."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.io import MAX_RATE, MIN_RATE
from cyclegan_audio.utils.errors import UserError, check_number

BLOCK = 64  # samples; silence and the limiter's gain are decided by block
OPPOSED = -0.5  # correlation to the loudest channel below which a channel is turned round for the mid
MAX_CHANNELS = 64


def as_channels(waveform: Tensor | np.ndarray, sample_rate: int) -> Tensor:
    """Return a waveform (C, T) or (T,) as (C, T) float32 on the CPU.

    Raises:
        UserError: no array, another shape, samples that are whole numbers, or a sample rate that is not one
            of music.
    """
    check_number("sample_rate", sample_rate, MIN_RATE, MAX_RATE, integer=True)
    if not isinstance(waveform, Tensor | np.ndarray):
        kind = type(waveform).__name__
        raise UserError(f"a waveform is a numpy array or a torch tensor, not {kind}; convert it")
    _check_shape(tuple(waveform.shape))
    _check_floats(waveform.dtype)
    if isinstance(waveform, np.ndarray):
        waveform = torch.from_numpy(np.require(waveform, np.float32, ["C", "W"]))
    return torch.atleast_2d(waveform.detach()).cpu().float()


def _check_shape(shape: tuple[int, ...]) -> None:
    if not 1 <= len(shape) <= 2:
        raise UserError(f"a waveform of shape {shape} is not (channels, samples); give it that shape")
    if len(shape) == 2 and (shape[0] > MAX_CHANNELS or shape[0] > shape[1] > 0):
        raise UserError(f"a waveform of shape {shape} is not (channels, samples); transpose it (waveform.T)")


def _check_floats(dtype: torch.dtype | np.dtype) -> None:
    if dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f":
        return
    name = str(dtype).removeprefix("torch.")
    scale = f"; divide by {2.0 ** (8 * dtype.itemsize - 1):.0f}" if name.startswith("int") else "; scale them"
    raise UserError(f"samples of {name} have no full scale{scale} to get floats in [-1, 1]")


def mid_and_sides(channels: Tensor) -> Tensor:
    """(C, T) to the mean and what all channels but the last have beside it, (C, T)."""
    mid = channels.mean(0, keepdim=True)
    return torch.cat([mid, channels[:-1] - mid])


def from_mid_and_sides(parts: Tensor) -> Tensor:
    """Undo `mid_and_sides`: the sides sum to 0, so the last one follows from the others."""
    mid, sides = parts[:1], parts[1:]
    return torch.cat([mid + sides, mid - sides.sum(0, keepdim=True)]) if len(sides) else mid


def polarity(covariance: Tensor) -> Tensor:
    """(C, C) covariance to signs (C, 1): -1 for a channel that would cancel the loudest in their mean."""
    power = covariance.diagonal()
    loudest = int(power.argmax())
    correlation = covariance[loudest] / (power * power[loudest]).sqrt().clamp_min(1e-20)
    return torch.where(correlation < OPPOSED, -1.0, 1.0).float()[:, None]


def activity_mask(channels: Tensor, reach: int) -> Tensor:
    """(1, T) weights: 1 near sound, 0 further than `reach` samples from any, a ramp between."""
    sound = F.pad(channels, (0, -channels.shape[-1] % BLOCK)).unflatten(1, (-1, BLOCK))
    blocks = (sound.amax((0, 2)) > 0) | (sound.amin((0, 2)) < 0)
    near = reach // (2 * BLOCK)
    weights = F.max_pool1d(blocks.float()[None], 2 * near + 1, 1, near)[0, :, None]
    ramp = torch.arange(BLOCK, device=channels.device) / BLOCK
    return torch.lerp(weights, torch.cat([weights[1:], weights[-1:]]), ramp).reshape(1, -1)[
        :, : channels.shape[-1]
    ]
