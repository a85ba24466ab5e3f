"""Harmony and bass from mels alone: whether two clips sound the same pitches at the same time.

Mel bands of the usual settings are a semitone wide or less from 500 Hz up; below, where a band is wider than
a tone, only the movement of the bass can be followed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.onsets import audible_db, row_correlation

CHROMA_HZ = (500.0, 4000.0)
BASS_BELOW_HZ = 250.0
SEGMENT_S = 0.2
A4_HZ = 440.0


def chroma(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Add up magnitude by pitch class (A first) in segments of `SEGMENT_S`: (N, M, F) dB to (N, 12, S)."""
    segment = max(round(SEGMENT_S / mel.frame_s), 1)
    magnitude = mel.db_to_mel(mels_db - mels_db.amax((1, 2), keepdim=True))
    return F.avg_pool1d(torch.matmul(pitch_classes(mel).to(magnitude), magnitude), segment)


def pitch_classes(mel: MelSpectrogram) -> Tensor:
    """Weigh how much each band belongs to each pitch class, (12, M); 0 outside `CHROMA_HZ`."""
    hz = mel.band_hz
    semitones = 12 * torch.log2(hz.clamp_min(1.0) / A4_HZ)
    distance = (semitones[None] - torch.arange(12)[:, None] + 6).remainder(12) - 6
    weights = torch.cos(torch.pi / 2 * distance.clamp(-1, 1)).square()
    return weights * ((hz >= CHROMA_HZ[0]) & (hz <= CHROMA_HZ[1]))


def chroma_similarity(a_db: Tensor, b_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compare the chroma of two clips by cosine (N,), weighted by loudness, without the mean of a frame.

    1 for the same pitches whatever their timbre's brightness, about 0 for unrelated music.
    """
    a, b = (chroma(x, mel).log1p() for x in (a_db, b_db))
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    weight = (a.norm(dim=1) * b.norm(dim=1)).sqrt()
    cosine = F.cosine_similarity(a, b, dim=1)
    return (cosine * weight).sum(1) / weight.sum(1).clamp_min(1e-9)


def bass_similarity(a_db: Tensor, b_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Correlate the levels below 250 Hz over bands and frames, each band's mean taken out, (N,)."""
    low = mel.band_hz < BASS_BELOW_HZ
    parts = []
    for mels_db in (a_db, b_db):
        bass = audible_db(mels_db, mel)[:, low.to(mels_db.device)]
        parts.append(bass - bass.mean(2, keepdim=True))
    return row_correlation(*parts)
