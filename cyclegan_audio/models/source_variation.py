"""Variation of the generators' sources in training, so that they accept recordings unlike the corpus."""

import math

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import CLIP_RANGE_DB, MelSpectrogram
from cyclegan_audio.models.band_curves import N_POINTS, band_curve
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.rng import SeededRNG

LOWEST_CUTOFF = 0.6  # share of the bands below the low-pass: 4.3 kHz with mel=hifi
SLOPES_DB = (0.5, 4.0)  # of the low-pass, a band
NOISE_SPREAD_DB = 2.0  # standard deviation of the noise floor's points


class SourceVariation(nn.Module):
    """Vary level, equaliser, bandwidth and noise floor of mels (B, 1, M, F) in [-1, 1], each clip on its own.

    The numbers are dB of the mel, of which `use_mel` gives the `unit_db`.

    Args:
        probability: share of the clips that are varied; 0 turns it off.
        quietest_db: smallest change of the level; each clip's is uniform up to `loudest_db`.
        loudest_db: largest change of the level.
        equaliser_db: largest size of the equaliser at `N_POINTS` points over the bands, interpolated.
        noise_db: largest level of the noise floor above -1; each clip's is uniform from 0.
    """

    def __init__(
        self,
        probability: float = 0.0,
        quietest_db: float = -20.0,
        loudest_db: float = 6.0,
        equaliser_db: float = 6.0,
        noise_db: float = 20.0,
    ) -> None:
        super().__init__()
        name = "model.source_variation"
        check_number(f"{name}.probability", probability, low=0, high=1)
        check_number(f"{name}.quietest_db", quietest_db)
        check_number(f"{name}.loudest_db", loudest_db)
        check_number(f"{name}.equaliser_db", equaliser_db, low=0)
        check_number(f"{name}.noise_db", noise_db, low=0)
        if quietest_db > loudest_db:
            raise UserError(f"{name}.quietest_db {quietest_db} must be at most loudest_db {loudest_db}")
        self.probability = probability
        self.quietest_db, self.loudest_db = quietest_db, loudest_db
        self.equaliser_db, self.noise_db = equaliser_db, noise_db
        self.unit_db = CLIP_RANGE_DB / 2
        self.rng = SeededRNG(0)  # `seed_rank` seeds it

    def use_mel(self, mel: MelSpectrogram) -> None:
        """Take the dB of a unit from `mel`."""
        self.unit_db = mel.unit_db

    def forward(self, mels: Tensor) -> Tensor:
        """Vary mels; those that are not varied stay as they are."""
        chosen, level, cutoff, slope, floor = self.rng.uniform((5, len(mels), 1, 1, 1)).to(mels)
        points = self.rng.uniform((len(mels), N_POINTS)).to(mels)
        n_bands = mels.shape[2]
        gain_db = _between(level, self.quietest_db, self.loudest_db)
        gain_db = gain_db + self.equaliser_db * band_curve(2 * points - 1, n_bands)
        bands = torch.arange(n_bands).to(mels)[:, None]
        above_cutoff = (bands - n_bands * _between(cutoff, LOWEST_CUTOFF, 1.0)).clamp_min(0)
        gain_db = gain_db - _between(slope, *SLOPES_DB) * above_cutoff
        noise_db = self.noise_db * floor + NOISE_SPREAD_DB * self.rng.normal_like(mels)
        varied = _add_powers(mels + gain_db / self.unit_db, noise_db / self.unit_db - 1, self.unit_db)
        return torch.where(chosen < self.probability, varied.clamp(-1, 1), mels)


def _between(share: Tensor, low: float, high: float) -> Tensor:
    return low + share * (high - low)


def _add_powers(one: Tensor, other: Tensor, unit_db: float) -> Tensor:
    """Add the powers of two mels in units of `unit_db` dB."""
    neper = unit_db * math.log(10) / 10
    return torch.logaddexp(one * neper, other * neper) / neper
