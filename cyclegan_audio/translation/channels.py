"""Channels as a mid and sides, and the level of a translated song."""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_PEAK = 0.99
MAX_LOUDNESS_CHANGE = 10.0
BLOCK = 64  # samples; silence and the limiter's gain are decided by block
LIMITER_BLOCKS = 3  # over which the limiter's gain rises and falls: 4 ms at 44.1 kHz


def mid_and_sides(channels: Tensor) -> Tensor:
    """(C, T) to the mean and what all channels but the last have beside it, (C, T)."""
    mid = channels.mean(0, keepdim=True)
    return torch.cat([mid, channels[:-1] - mid])


def from_mid_and_sides(parts: Tensor) -> Tensor:
    """Undo `mid_and_sides`: the sides sum to 0, so the last one follows from the others."""
    mid, sides = parts[:1], parts[1:]
    return torch.cat([mid + sides, mid - sides.sum(0, keepdim=True)]) if len(sides) else mid


def near_sound(channels: Tensor, reach: int) -> Tensor:
    """(1, T) weights: 1 near sound, 0 further than `reach` samples from any, a ramp between."""
    sound = F.pad(channels, (0, -channels.shape[-1] % BLOCK)).unflatten(1, (-1, BLOCK))
    blocks = (sound.amax((0, 2)) > 0) | (sound.amin((0, 2)) < 0)
    near = reach // (2 * BLOCK)
    weights = F.max_pool1d(blocks.float()[None], 2 * near + 1, 1, near)[0, :, None]
    ramp = torch.arange(BLOCK) / BLOCK
    return torch.lerp(weights, torch.cat([weights[1:], weights[-1:]]), ramp).reshape(1, -1)[
        :, : channels.shape[-1]
    ]


def level(out: Tensor, reference: Tensor) -> Tensor:
    """`out` (C, T), changed in place, at the RMS of `reference`, its peaks limited to 0.99."""
    ratio = torch.linalg.vector_norm(reference) / torch.linalg.vector_norm(out).clamp_min(1e-9)
    out *= ratio.clamp(1 / MAX_LOUDNESS_CHANGE, MAX_LOUDNESS_CHANGE)
    return limit(out)


def limit(waveform: Tensor) -> Tensor:
    """Lower (C, T) in place around peaks above 0.99, all channels alike; the rest stays as it is.

    The gain that a block needs is held over `LIMITER_BLOCKS` on both sides and then smoothed over one block
    less, so that it is reached before the peak and is never more than the peak allows.
    """
    envelope = waveform.abs().amax(0)[None, None]
    if envelope.max() <= MAX_PEAK:
        return waveform
    peaks = F.max_pool1d(envelope, BLOCK, ceil_mode=True)
    held = F.max_pool1d(peaks, 2 * LIMITER_BLOCKS + 1, 1, LIMITER_BLOCKS)
    reach = LIMITER_BLOCKS - 1
    gain = F.pad(MAX_PEAK / held.clamp_min(MAX_PEAK), (reach, reach), mode="replicate")
    gain = F.avg_pool1d(gain, 2 * reach + 1, 1)
    smooth = F.interpolate(gain, scale_factor=BLOCK, mode="linear")[0, :, : waveform.shape[-1]]
    return waveform.mul_(smooth)
