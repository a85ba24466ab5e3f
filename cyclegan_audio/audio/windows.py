"""Cut a long mel into overlapping windows and cross-fade windows back; reflection padding for any length."""

import math

import torch
from torch import Tensor


def pad_reflect(x: Tensor, length: int) -> Tensor:
    """Lengthen the last axis to `length` by reflection at both ends in turn, as often as it takes.

    A single frame is repeated. A longer input comes back as it is.
    """
    n = x.shape[-1]
    if n >= length:
        return x
    period = max(2 * (n - 1), 1)
    index = torch.arange(length, device=x.device) % period
    return x[..., torch.minimum(index, period - index) if n > 1 else index]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Lengthen the last axis to a multiple of `multiple` as `pad_reflect` does; crop by `[..., :F]`."""
    return pad_reflect(x, -(-x.shape[-1] // multiple) * multiple)


def n_windows(n_frames: int, window: int, overlap: int) -> int:
    """How many windows cover `n_frames`."""
    return 1 + max(0, math.ceil((n_frames - window) / (window - overlap)))


def split_windows(mel: Tensor, window: int, overlap: int) -> Tensor:
    """Cut (M, F) into windows (N, M, window) that share `overlap` frames; the last is padded by reflection.

    Raises:
        ValueError: the overlap is more than half a window (at most two windows may meet in a frame).
    """
    if not 0 <= overlap <= window // 2:
        raise ValueError(f"overlap {overlap} must be between 0 and half of the window {window}")
    hop = window - overlap
    count = n_windows(mel.shape[-1], window, overlap)
    padded = pad_reflect(mel, (count - 1) * hop + window)
    return padded.unfold(-1, window, hop).transpose(0, 1).contiguous()


def join_windows(windows: Tensor, n_frames: int, overlap: int) -> Tensor:
    """Cross-fade windows (N, M, W), as `cut` made them, back to (M, n_frames).

    Raised-cosine weights that sum to 1; where two windows agree, the result is exactly theirs.
    """
    count, _, window = windows.shape
    hop = window - overlap
    out = windows.new_empty(windows.shape[1], (count - 1) * hop + window)
    fade = fade_in(overlap, windows)
    out[:, :window] = windows[0]
    for i in range(1, count):
        start = i * hop
        meeting = out[:, start : start + overlap]
        out[:, start : start + overlap] = torch.lerp(meeting, windows[i, :, :overlap], fade)
        out[:, start + overlap : start + window] = windows[i, :, overlap:]
    return out[:, :n_frames]


def fade_in(length: int, like: Tensor) -> Tensor:
    """Raised-cosine weights (length,) that rise from 0 to 1; with their reverse they sum to 1."""
    place = (torch.arange(length, dtype=torch.float64) + 0.5) / max(length, 1)
    return (0.5 - 0.5 * torch.cos(math.pi * place)).to(like)
