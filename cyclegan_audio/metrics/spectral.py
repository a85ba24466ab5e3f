"""Tone of clips from mels alone: bandwidth, roll-off, how bright, and how much of a change is a mere filter.

All are relative to the clip itself, so that they hold for mels whose full scale is not known (pictures).
"""

from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.onsets import HIHATS_ABOVE_HZ, audible_db

ROLL_OFF_SHARE = 0.95
BANDWIDTH_DB = 50.0


def band_energy(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute each band's share of the clip's energy, (N, M, F) dB to (N, M)."""
    bank = mel.filter_bank(mels_db.device)
    bins = (bank.sum(1).square() / bank.square().sum(1).clamp_min(1e-20)).clamp_min(1.0)
    level = mel.db_to_mel(mels_db - mels_db.amax((1, 2), keepdim=True))
    energy = (level / bank.sum(1)[:, None].clamp_min(1e-20)).square().mean(2) * bins
    return energy / energy.sum(1, keepdim=True).clamp_min(1e-30)


def roll_off_hz(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Find the frequency (N,) below which 95 % of the clip's energy lies."""
    reached = band_energy(mels_db, mel).cumsum(1) >= ROLL_OFF_SHARE
    return mel.band_hz.to(mels_db.device)[reached.double().argmax(1)]


def bandwidth_hz(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Find the highest band (N,) in Hz whose mean level is at most 50 dB under that of the loudest band."""
    level_db = audible_db(mels_db, mel).mean(2)
    heard = level_db >= level_db.amax(1, keepdim=True) - BANDWIDTH_DB
    highest = len(mel.band_hz) - 1 - heard.flip(1).double().argmax(1)
    return mel.band_hz.to(mels_db.device)[highest]


def high_band_db(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compare the energy above 6 kHz with the whole clip's (N,), in dB."""
    high = (mel.band_hz >= HIHATS_ABOVE_HZ).to(mels_db.device)
    return 10 * band_energy(mels_db, mel)[:, high].sum(1).clamp_min(1e-12).log10()


def filter_share(source_db: Tensor, fake_db: Tensor) -> Tensor:
    """Compute the share (N,) of the change that the best gain by band, the same in every frame, explains.

    1 for an equaliser, also for no change at all; 0 for a change whose mean is 0 in every band.
    """
    change = (fake_db - source_db).double()
    rest = change - change.mean(2, keepdim=True)
    total = change.square().sum((1, 2))
    return 1 - (rest.square().sum((1, 2)) / total.clamp_min(1e-12)).where(total > 1e-6, 0.0)
