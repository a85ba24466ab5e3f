"""Convert channels to mid and sides and back, correct their polarity, and mask digital silence."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.io import MAX_RATE, MIN_RATE
from cyclegan_audio.utils.errors import UserError, check_number

BLOCK = 64  # samples; silence and the limiter's gain are determined by block
INVERSION_CORRELATION = -0.5  # a channel with a lower correlation to the loudest one is inverted for the mid
MAX_CHANNELS = 64


def as_channels(waveform: Tensor | np.ndarray, sample_rate: int) -> Tensor:
    """Return a waveform (C, T) or (T,) as (C, T) float32 on the CPU.

    Raises:
        UserError: not an array, another shape, integer samples, or a sample rate out of range.
    """
    check_number("sample_rate", sample_rate, MIN_RATE, MAX_RATE, integer=True)
    if not isinstance(waveform, Tensor | np.ndarray):
        kind = type(waveform).__name__
        raise UserError(f"a waveform must be a numpy array or a torch tensor, got {kind}; convert it")
    _check_shape(tuple(waveform.shape))
    _check_float(waveform.dtype)
    if isinstance(waveform, np.ndarray):
        waveform = torch.from_numpy(np.require(waveform, np.float32, ["C", "W"]))
    return torch.atleast_2d(waveform.detach()).cpu().float()


def _check_shape(shape: tuple[int, ...]) -> None:
    if not 1 <= len(shape) <= 2:
        raise UserError(f"a waveform must have the shape (channels, samples), got {shape}; reshape it")
    if len(shape) == 2 and (shape[0] > MAX_CHANNELS or shape[0] > shape[1] > 0):
        raise UserError(
            f"a waveform must have the shape (channels, samples), got {shape}; transpose it (waveform.T)"
        )


def _check_float(dtype: torch.dtype | np.dtype) -> None:
    if dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f":
        return
    name = str(dtype).removeprefix("torch.")
    action = f"divide by {2.0 ** (8 * dtype.itemsize - 1):.0f}" if name.startswith("int") else "scale them"
    raise UserError(f"samples must be floats in [-1, 1], got {name}; {action}")


def mid_and_sides(channels: Tensor) -> Tensor:
    """Convert channels (C, T) to their mean and the difference of all but the last from it, (C, T)."""
    mid = channels.mean(0, keepdim=True)
    return torch.cat([mid, channels[:-1] - mid])


def from_mid_and_sides(parts: Tensor) -> Tensor:
    """Invert `mid_and_sides`; the sides sum to 0, so the last one follows from the others."""
    mid, sides = parts[:1], parts[1:]
    return torch.cat([mid + sides, mid - sides.sum(0, keepdim=True)]) if len(sides) else mid


def polarity(covariance: Tensor) -> Tensor:
    """Return signs (C, 1) from a covariance (C, C): -1 for a channel that would cancel the loudest one."""
    power = covariance.diagonal()
    loudest = int(power.argmax())
    correlation = covariance[loudest] / (power * power[loudest]).sqrt().clamp_min(1e-20)
    return torch.where(correlation < INVERSION_CORRELATION, -1.0, 1.0).float()[:, None]


def activity_mask(channels: Tensor, reach: int) -> Tensor:
    """Return weights (1, T) for (C, T): 1 near sound, 0 further than `reach` samples from it, with ramps."""
    blocks = F.pad(channels, (0, -channels.shape[-1] % BLOCK)).unflatten(1, (-1, BLOCK))
    is_active = (blocks.amax((0, 2)) > 0) | (blocks.amin((0, 2)) < 0)
    radius = reach // (2 * BLOCK)
    weights = F.max_pool1d(is_active.float()[None], 2 * radius + 1, 1, radius)[0, :, None]
    ramp = torch.arange(BLOCK, device=channels.device) / BLOCK
    return torch.lerp(weights, torch.cat([weights[1:], weights[-1:]]), ramp).reshape(1, -1)[
        :, : channels.shape[-1]
    ]
