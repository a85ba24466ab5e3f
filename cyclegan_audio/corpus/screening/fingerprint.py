"""A fingerprint of a mel, after Haitsma and Kalker (A highly robust audio fingerprinting system, 2002).

A bit says whether the difference of two neighbouring bands grew since the frame before: gain, equaliser,
codec and sample rate leave nearly all bits as they are.
"""

import base64
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WORD_BITS = 16
FRAME_S = 0.046  # about what a word stands for
SMOOTHED_FRAMES = 8  # 0.37 s as in the paper, so that half a frame of shift changes few bits
LOWEST, HIGHEST = 0.04, 0.85  # share of the mel's bands left out below, and kept up to


def fingerprint(mel_db: Tensor, duration_s: float) -> np.ndarray:
    """Mel in dB (M, F) of `duration_s` to words of 16 bits, (N,) uint16, one for each 46 ms but nine."""
    n_mels, n_frames = mel_db.shape
    pool = max(1, round(FRAME_S * n_frames / duration_s))
    edges = torch.linspace(LOWEST * n_mels, HIGHEST * n_mels, WORD_BITS + 2).round().long().tolist()
    power = torch.pow(10.0, mel_db[edges[0] : edges[-1]] / 10)
    sizes = [b - a for a, b in itertools.pairwise(edges)]
    bands = torch.stack([band.mean(0) for band in power.split(sizes)])
    frames = F.avg_pool1d(bands[None], pool)
    if frames.shape[-1] <= SMOOTHED_FRAMES:
        return np.zeros(0, np.uint16)
    window = torch.hann_window(SMOOTHED_FRAMES + 2)[1:-1].expand(WORD_BITS + 1, 1, -1)
    level_db = 10 * (F.conv1d(frames, window, groups=WORD_BITS + 1)[0] + 1e-12).log10()
    bits = level_db.diff(dim=0).diff(dim=1) < 0
    weights = 2 ** torch.arange(WORD_BITS)
    return (bits.long() * weights[:, None]).sum(0).numpy().astype(np.uint16)


def to_text(words: np.ndarray) -> str:
    """Words as text for JSON."""
    return base64.b64encode(words.astype("<u2").tobytes()).decode("ascii")


def from_text(text: str) -> np.ndarray:
    """The words in a text of `to_text`."""
    return np.frombuffer(base64.b64decode(text), "<u2")


def bit_errors(one: np.ndarray, other: np.ndarray, offset: int) -> tuple[float, float]:
    """Share of differing bits with `other` laid `offset` words later over `one`, and share of time in common.

    Unrelated music differs in half of the bits.
    """
    a, b = one[max(offset, 0) :], other[max(-offset, 0) :]
    n = min(len(a), len(b))
    frames = max(len(one), len(other)) + SMOOTHED_FRAMES  # of a clip, but one
    if n <= 0:
        return math.nan, 0.0
    differing = int(np.bitwise_count(a[:n] ^ b[:n]).sum())
    return differing / (n * WORD_BITS), 1 - abs(offset) / frames
