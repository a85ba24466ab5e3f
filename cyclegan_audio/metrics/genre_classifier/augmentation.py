"""Augment mels in dB (N, M, F) to train a classifier, and degrade them to test it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.genre_classifier.network import GenreNetSettings

CUTOFFS_HZ = (4000.0, 20000.0)  # training examples lose all above a random frequency of this range
NOISE_SPREAD_DB = 6.0


def low_pass(mels_db: Tensor, band_hz: Tensor, cutoff_hz: float | Tensor) -> Tensor:
    """Set bands above the cutoff (a number, or one a clip (N,)) to the least value of their clip."""
    cutoff = torch.as_tensor(cutoff_hz).reshape(-1, 1, 1)
    return torch.where(band_hz[:, None] > cutoff, mels_db.amin((1, 2), keepdim=True), mels_db)


def add_noise(mels_db: Tensor, below_db: float, seed: int = 0) -> Tensor:
    """Add noise to every band of (N, M, F), `below_db` under the loudest point of each clip."""
    drawn = NOISE_SPREAD_DB * torch.randn(mels_db.shape, generator=torch.Generator().manual_seed(seed))
    return mels_db.maximum(mels_db.amax((1, 2), keepdim=True) - below_db + drawn)


def shift_bands(x: Tensor, bands: Tensor) -> Tensor:
    """Move each clip of (N, M, F) up by whole bands (N,), down if negative; outermost ones are repeated."""
    source = (torch.arange(x.shape[1]) - bands[:, None]).clamp(0, x.shape[1] - 1)
    return x.gather(1, source[:, :, None].expand_as(x))


def crop_at_tempo(x: Tensor, length: int, tempo: Tensor, where: Tensor) -> Tensor:
    """Cut (N, M, F) at another tempo, interpolated, to (N, M, length).

    Args:
        tempo: (N,) frames of the clip for each of the cut, as far as there are so many.
        where: (N,) of the cut in its clip, from 0 (the beginning) to 1 (the end).
    """
    last = x.shape[2] - 1
    steps = torch.arange(length) * tempo.clamp(max=last / max(length - 1, 1))[:, None]
    place = steps + where[:, None] * (last - steps[:, -1:])
    before = place.long().clamp(0, max(last - 1, 0))
    one, two = (
        x.gather(2, at[:, None, :].expand(-1, x.shape[1], -1))
        for at in (before, (before + 1).clamp(max=last))
    )
    return torch.lerp(one, two, (place - before)[:, None, :])


def sample_cutoffs_hz(n: int, random: torch.Generator) -> Tensor:
    """Draw (n,) frequencies, uniform in octaves."""
    low, high = (math.log(hz) for hz in CUTOFFS_HZ)
    return (low + (high - low) * torch.rand(n, generator=random)).exp()


def augment(mels_db: Tensor, band_hz: Tensor, settings: GenreNetSettings, random: torch.Generator) -> Tensor:
    """Do to mels (N, M, F) what noise, equalisers, codecs and generators do; same shape but shorter.

    A cut in time, played faster or slower, a smooth random gain over bands, random errors of points, a noise
    floor, and, half the time, a low pass. Noise comes after the tempo: it is as rough as noise is.
    """
    n, n_mels, n_frames = mels_db.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=random)

    length = max(1, round(settings.crop_share * n_frames))
    x = crop_at_tempo(mels_db, length, uniform(-settings.stretch, settings.stretch).exp(), uniform(0, 1))
    knots = uniform(-settings.tilt_db, settings.tilt_db, 1, 5)
    x = x + F.interpolate(knots, n_mels, mode="linear", align_corners=True)[:, 0, :, None]
    x = x + uniform(0, settings.noise_db, 1, 1) * torch.randn(x.shape, generator=random)
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    quiet, loud = settings.quiet_floor, settings.loud_floor
    filled = torch.where(uniform(0, 1, 1, 1) < 0.5, uniform(-quiet, quiet, 1, 1), uniform(quiet, loud, 1, 1))
    spread = uniform(*settings.floor_spread_db, 1, 1) * torch.randn(x.shape, generator=random)
    x = x.maximum(low + (high - low) * filled + spread)
    cutoff_hz = torch.where(uniform(0, 1) < 0.5, sample_cutoffs_hz(n, random), torch.inf)
    return low_pass(x, band_hz, cutoff_hz)
