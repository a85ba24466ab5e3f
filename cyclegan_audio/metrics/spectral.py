"""Measure the spectrum of mels: bandwidth, brightness, harmony (chroma), bass, and fixed filters.

Levels are relative to the loudest point of a clip, so that mels whose full scale is unknown (images) can be
measured too. Below 500 Hz mel bands are wider than a semitone, so that only the movement of the bass can be
compared.
"""

import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import audible_db, chroma
from cyclegan_audio.metrics.rhythm import HIHATS_ABOVE_HZ, row_correlation

ROLL_OFF_FRACTION = 0.95
BANDWIDTH_DB = 50.0
BASS_BELOW_HZ = 250.0


def band_energy(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute each band's fraction of the clip's energy, (N, M, F) in dB to (N, M)."""
    bank = mel.filter_bank(mels_db.device)
    bins = (bank.sum(1).square() / bank.square().sum(1).clamp_min(1e-20)).clamp_min(1.0)
    magnitude = mel.db_to_mel(mels_db - mels_db.amax((1, 2), keepdim=True))
    energy = (magnitude / bank.sum(1)[:, None].clamp_min(1e-20)).square().mean(2) * bins
    return energy / energy.sum(1, keepdim=True).clamp_min(1e-30)


def roll_off_hz(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute the frequency (N,) below which 95 % of the clip's energy lies."""
    reached = band_energy(mels_db, mel).cumsum(1) >= ROLL_OFF_FRACTION
    return mel.band_hz.to(mels_db.device)[reached.double().argmax(1)]


def bandwidth_hz(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute the highest band (N,) in Hz whose mean level is at most 50 dB below the loudest band's."""
    level_db = audible_db(mels_db, mel).mean(2)
    audible = level_db >= level_db.amax(1, keepdim=True) - BANDWIDTH_DB
    highest = len(mel.band_hz) - 1 - audible.flip(1).double().argmax(1)
    return mel.band_hz.to(mels_db.device)[highest]


def high_band_db(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute the energy above 6 kHz relative to the whole clip's (N,), in dB."""
    high = (mel.band_hz >= HIHATS_ABOVE_HZ).to(mels_db.device)
    return 10 * band_energy(mels_db, mel)[:, high].sum(1).clamp_min(1e-12).log10()


def fixed_filter_fraction(source_db: Tensor, fake_db: Tensor) -> Tensor:
    """Compute the fraction (N,) of the change that the best constant gain per band explains.

    1 for an equaliser and for no change at all; 0 for a change whose mean is 0 in every band.
    """
    change = (fake_db - source_db).double()
    residual = change - change.mean(2, keepdim=True)
    total = change.square().sum((1, 2))
    return 1 - (residual.square().sum((1, 2)) / total.clamp_min(1e-12)).where(total > 1e-6, 0.0)


def chroma_similarity(a_db: Tensor, b_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute the cosine similarity (N,) of the chroma of two clips, centred per frame, weighted by loudness.

    1 for the same pitches however bright the timbre, about 0 for unrelated music.
    """
    a, b = (chroma(x, mel).log1p() for x in (a_db, b_db))
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    weight = (a.norm(dim=1) * b.norm(dim=1)).sqrt()
    cosine = F.cosine_similarity(a, b, dim=1)
    return (cosine * weight).sum(1) / weight.sum(1).clamp_min(1e-9)


def bass_similarity(a_db: Tensor, b_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Correlate the levels (N,) below 250 Hz over bands and frames, without each band's mean."""
    low = mel.band_hz < BASS_BELOW_HZ
    centred = []
    for mels_db in (a_db, b_db):
        bass = audible_db(mels_db, mel)[:, low.to(mels_db.device)]
        centred.append(bass - bass.mean(2, keepdim=True))
    return row_correlation(*centred)
