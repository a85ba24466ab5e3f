"""Compute onset strength and chroma of mels, by which pieces of music are compared.

Clips are (N, M, F) in dB. For onsets, levels more than `RANGE_DB` below the loudest point of a clip are
clipped, so that inaudible noise is not taken for a hi-hat. Gradients flow through all functions of clips.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram

RANGE_DB = 70.0
ATTACK_S = 0.022  # from before an attack to its peak
CHROMA_HZ = (500.0, 4000.0)  # below, the bands of the usual settings are wider than a semitone
SEGMENT_S = 0.2
A4_HZ = 440.0


def audible_db(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Return the level per Hz of (N, M, F), clipped at `RANGE_DB` below the loudest point of each clip."""
    gain_db = 20 * mel.filter_bank(mels_db.device).sum(1).clamp_min(1e-9).log10()[:, None]
    density_db = mels_db - gain_db
    return density_db.maximum(density_db.amax((1, 2), keepdim=True) - RANGE_DB)


def onset_strength(mels_db: Tensor, mel: MelSpectrogram, above_hz: float = 0.0) -> Tensor:
    """Compute the mean rise (N, F) in dB of the bands above `above_hz` over the last `ATTACK_S`.

    Raises:
        ValueError: no band lies above `above_hz`.
    """
    audible = audible_db(mels_db, mel)
    if above_hz > 0:
        bands = mel.band_hz >= above_hz
        if not bands.any():
            raise ValueError(f"no mel band lies above {above_hz:.0f} Hz; raise f_max_hz of the mel")
        audible = audible[:, bands.to(mels_db.device)]
    lag = max(round(ATTACK_S / mel.frame_s), 1)
    return F.pad((audible[..., lag:] - audible[..., :-lag]).clamp_min(0).mean(1), (lag, 0))


def chroma(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Sum magnitudes by pitch class (A first) in segments of `SEGMENT_S`: (N, M, F) in dB to (N, 12, S).

    A clip that is shorter is one segment.
    """
    segment = min(max(round(SEGMENT_S / mel.frame_s), 1), mels_db.shape[2])
    magnitude = mel.db_to_mel(mels_db - mels_db.amax((1, 2), keepdim=True))
    weights = pitch_class_weights(mel, magnitude.device).to(magnitude.dtype)
    return F.avg_pool1d(torch.matmul(weights, magnitude), segment)


@lru_cache(maxsize=16)
def pitch_class_weights(mel: MelSpectrogram, device: torch.device | str = "cpu") -> Tensor:
    """Compute the weight of each band in each pitch class, (12, M); 0 outside `CHROMA_HZ`; cached."""
    with torch.inference_mode(False):  # a training may use what an evaluation has cached
        hz = mel.band_hz
        semitones = 12 * torch.log2(hz.clamp_min(1.0) / A4_HZ)
        distance = (semitones[None] - torch.arange(12)[:, None] + 6).remainder(12) - 6
        weights = torch.cos(torch.pi / 2 * distance.clamp(-1, 1)).square()
        return (weights * ((hz >= CHROMA_HZ[0]) & (hz <= CHROMA_HZ[1]))).to(device)
