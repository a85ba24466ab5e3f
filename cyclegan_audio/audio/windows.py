"""Split a mel into overlapping windows, join them by cross-fades, and pad by reflection."""

import math

import torch
from torch import Tensor


def pad_reflect(x: Tensor, length: int) -> Tensor:
    """Pad the end of the last axis to `length` by reflection, back and forth as often as needed.

    A single frame is repeated. A longer input is returned unchanged.
    """
    n = x.shape[-1]
    if n >= length:
        return x
    period = max(2 * (n - 1), 1)
    index = torch.arange(length, device=x.device) % period
    return x[..., torch.minimum(index, period - index) if n > 1 else index]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad the last axis to a multiple of `multiple` by `pad_reflect`; crop with `[..., :F]`."""
    return pad_reflect(x, -(-x.shape[-1] // multiple) * multiple)


def n_windows(n_frames: int, window: int, overlap: int) -> int:
    """Return how many windows cover `n_frames`."""
    return 1 + max(0, math.ceil((n_frames - window) / (window - overlap)))


def split_windows(mel: Tensor, window: int, overlap: int) -> Tensor:
    """Split (M, F) into windows (N, M, window) that share `overlap` frames; the last is padded by reflection.

    Raises:
        ValueError: the overlap is more than half a window (at most two windows may share a frame).
    """
    check_overlap(overlap, window)
    hop = window - overlap
    count = n_windows(mel.shape[-1], window, overlap)
    padded = pad_reflect(mel, (count - 1) * hop + window)
    return padded.unfold(-1, window, hop).transpose(0, 1).contiguous()


def check_overlap(overlap: int, window: int) -> None:
    """Check that at most two windows share a frame.

    Raises:
        ValueError: the overlap is negative or more than half a window.
    """
    if not 0 <= overlap <= window // 2:
        raise ValueError(f"overlap must be between 0 and {window // 2} (half a window), got {overlap}")


def join_windows(windows: Tensor, n_frames: int, overlap: int) -> Tensor:
    """Cross-fade windows (N, M, W) of `split_windows` back to (M, n_frames).

    The raised-cosine weights sum to 1; where two windows agree, the result is exactly their value.
    """
    count, _, window = windows.shape
    hop = window - overlap
    out = windows.new_empty(windows.shape[1], (count - 1) * hop + window)
    fade = fade_in(overlap, windows)
    out[:, :window] = windows[0]
    for i in range(1, count):
        start = i * hop
        previous = out[:, start : start + overlap]
        out[:, start : start + overlap] = torch.lerp(previous, windows[i, :, :overlap], fade)
        out[:, start + overlap : start + window] = windows[i, :, overlap:]
    return out[:, :n_frames]


def fade_in(length: int, like: Tensor) -> Tensor:
    """Return raised-cosine weights (length,) that rise from 0 to 1; with their reverse they sum to 1."""
    position = (torch.arange(length, dtype=torch.float64) + 0.5) / max(length, 1)
    return (0.5 - 0.5 * torch.cos(math.pi * position)).to(like)
