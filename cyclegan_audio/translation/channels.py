"""Channels as a mid and sides, silence, and the level of a translated song."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.translation.streams import Tape

MAX_PEAK = 0.99
MAX_LOUDNESS_CHANGE_DB = 20.0
BLOCK = 64  # samples; silence and the limiter's gain are decided by block
LIMITER_BLOCKS = 3  # over which the limiter's gain rises and falls: 4 ms at 44.1 kHz
LIMITER_REACH = 2 * LIMITER_BLOCKS * BLOCK  # samples that decide a gain, on both sides
OPPOSED = -0.5  # correlation to the loudest channel below which a channel is turned round for the mid


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


def near_sound(channels: Tensor, reach: int) -> Tensor:
    """(1, T) weights: 1 near sound, 0 further than `reach` samples from any, a ramp between."""
    sound = F.pad(channels, (0, -channels.shape[-1] % BLOCK)).unflatten(1, (-1, BLOCK))
    blocks = (sound.amax((0, 2)) > 0) | (sound.amin((0, 2)) < 0)
    near = reach // (2 * BLOCK)
    weights = F.max_pool1d(blocks.float()[None], 2 * near + 1, 1, near)[0, :, None]
    ramp = torch.arange(BLOCK, device=channels.device) / BLOCK
    return torch.lerp(weights, torch.cat([weights[1:], weights[-1:]]), ramp).reshape(1, -1)[
        :, : channels.shape[-1]
    ]


def loudness_gain(wanted_lufs: float, found_lufs: float) -> float:
    """The factor from one loudness to another, 20 dB at most; 1 where either is silence."""
    change_db = wanted_lufs - found_lufs
    if not abs(change_db) < float("inf"):
        return 1.0
    return 10 ** (max(-MAX_LOUDNESS_CHANGE_DB, min(change_db, MAX_LOUDNESS_CHANGE_DB)) / 20)


def limited(blocks: Iterable[Tensor], gain: float = 1.0) -> Iterator[Tensor]:
    """Blocks (C, n) times `gain`, lowered around peaks above 0.99, all channels alike; the rest as it is."""
    tape, done = Tape(), 0
    for block in blocks:
        tape.append(block * gain)
        stop = (tape.stop - LIMITER_REACH) // BLOCK * BLOCK
        if stop > done:
            yield _limit_part(tape, done, stop)
            done = stop
            tape.forget(max(done - LIMITER_REACH, 0))
    if tape.stop > done:
        yield _limit_part(tape, done, tape.stop)


def _limit_part(tape: Tape, start: int, stop: int) -> Tensor:
    begin = max(start - LIMITER_REACH, 0)
    piece = tape.between(begin, stop + LIMITER_REACH)
    part = piece[:, start - begin : stop - begin]
    if piece.abs().max() <= MAX_PEAK:
        return part
    return part * _limiter_gain(piece)[:, start - begin : stop - begin]


def _limiter_gain(waveform: Tensor) -> Tensor:
    """(1, T) for (C, T).

    The gain that a block needs is held over `LIMITER_BLOCKS` on both sides and then smoothed over one block
    less, so that it is reached before the peak and is never more than the peak allows.
    """
    envelope = waveform.abs().amax(0)[None, None]
    peaks = F.max_pool1d(envelope, BLOCK, ceil_mode=True)
    held = F.max_pool1d(peaks, 2 * LIMITER_BLOCKS + 1, 1, LIMITER_BLOCKS)
    reach = LIMITER_BLOCKS - 1
    gain = F.pad(MAX_PEAK / held.clamp_min(MAX_PEAK), (reach, reach), mode="replicate")
    gain = F.avg_pool1d(gain, 2 * reach + 1, 1)
    return F.interpolate(gain, scale_factor=BLOCK, mode="linear")[0, :, : waveform.shape[-1]]
