"""Augment mels in dB (N, M, F) to train a classifier, and degrade them to test it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.genre_classifier.network import GenreNetSettings

CUTOFFS_HZ = (4000.0, 20000.0)  # range of random low-pass cutoffs
NOISE_SPREAD_DB = 6.0


def low_pass(mels_db: Tensor, band_hz: Tensor, cutoff_hz: float | Tensor) -> Tensor:
    """Set bands above the cutoff (a number, or one per clip (N,)) to the lowest level of the clip."""
    cutoff = torch.as_tensor(cutoff_hz).reshape(-1, 1, 1)
    return torch.where(band_hz[:, None] > cutoff, mels_db.amin((1, 2), keepdim=True), mels_db)


def add_noise(mels_db: Tensor, below_db: float, seed: int = 0) -> Tensor:
    """Add noise to every band of (N, M, F), `below_db` below the loudest point of each clip."""
    noise_db = NOISE_SPREAD_DB * torch.randn(mels_db.shape, generator=torch.Generator().manual_seed(seed))
    return mels_db.maximum(mels_db.amax((1, 2), keepdim=True) - below_db + noise_db)


def shift_bands(x: Tensor, bands: Tensor) -> Tensor:
    """Shift each clip of (N, M, F) up by a number of bands (N,), repeating the outermost band."""
    source = (torch.arange(x.shape[1]) - bands[:, None]).clamp(0, x.shape[1] - 1)
    return x.gather(1, source[:, :, None].expand_as(x))


def crop_at_tempo(x: Tensor, length: int, tempo: Tensor, position: Tensor) -> Tensor:
    """Crop (N, M, F) to (N, M, length) and change its tempo by interpolation.

    Args:
        x: the clips.
        length: frames of the result.
        tempo: (N,) frames of the clip per frame of the result, limited by the clip's length.
        position: (N,) of the crop, from 0 (start of the clip) to 1 (end).
    """
    last = x.shape[2] - 1
    steps = torch.arange(length) * tempo.clamp(max=last / max(length - 1, 1))[:, None]
    index = steps + position[:, None] * (last - steps[:, -1:])
    before = index.long().clamp(0, max(last - 1, 0))
    low, high = (
        x.gather(2, at[:, None, :].expand(-1, x.shape[1], -1))
        for at in (before, (before + 1).clamp(max=last))
    )
    return torch.lerp(low, high, (index - before)[:, None, :])


def sample_cutoffs_hz(n: int, random: torch.Generator) -> Tensor:
    """Sample cutoff frequencies (n,), uniform in octaves."""
    low, high = (math.log(hz) for hz in CUTOFFS_HZ)
    return (low + (high - low) * torch.rand(n, generator=random)).exp()


def augment(mels_db: Tensor, band_hz: Tensor, settings: GenreNetSettings, random: torch.Generator) -> Tensor:
    """Augment mels (N, M, F) as noise, equalisers, codecs and generators change them; the result is shorter.

    A crop at another tempo, a smooth random gain over bands, Gaussian noise, a noise floor and, half the
    time, a low-pass. Noise is added after the tempo change, so that interpolation does not smooth it.
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
    floor = torch.where(uniform(0, 1, 1, 1) < 0.5, uniform(-quiet, quiet, 1, 1), uniform(quiet, loud, 1, 1))
    spread = uniform(*settings.floor_spread_db, 1, 1) * torch.randn(x.shape, generator=random)
    x = x.maximum(low + (high - low) * floor + spread)
    cutoff_hz = torch.where(uniform(0, 1) < 0.5, sample_cutoffs_hz(n, random), torch.inf)
    return low_pass(x, band_hz, cutoff_hz)
