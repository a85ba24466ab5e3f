"""Faults that one sees or hears at once: lattices, seams, clicks, silence that became noise."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PERIODS = (2, 4)  # frames or bands: two up-samplings by two
REFERENCE_LINES = (4, 12)  # spectral lines beside a lattice's own, compared with it
QUIET_QUANTILE = 0.05
SILENT_DB = 50.0  # under the clip's loudest frame
CLICK_RATIO = 10.0  # of a second difference to those around it
CLICK_CORE_S, CLICK_CONTEXT_S = 0.0002, 0.003
MIN_CLICK = 2e-3  # full scale; smaller steps are not heard
SEAM_FRAMES = 2  # around a border


def checkerboard_db(mels_db: Tensor) -> Tensor:
    """Measure the strongest lattice (N,) in (N, M, F) at the periods that transposed convolutions leave.

    Energy of the spectral lines at periods of 2 and 4 frames (bands) over that of lines nearby, along each
    axis, in dB: about 0 for music, as nothing in it keeps to the frame grid (Odena et al. 2016).
    """
    found = [_checkerboard_db(mels_db), _checkerboard_db(mels_db.transpose(1, 2))]
    return torch.stack(found).amax(0)


def _checkerboard_db(mels_db: Tensor) -> Tensor:
    """The lattice along the last axis."""
    n = mels_db.shape[2] - mels_db.shape[2] % max(PERIODS)
    x = mels_db[..., :n].float()
    x = (x - x.mean(2, keepdim=True)) * torch.hann_window(n, device=x.device)
    power = torch.fft.rfft(x).abs().square().mean(1)
    near, far = REFERENCE_LINES
    ratios = []
    for period in PERIODS:
        line = n // period
        around = [k for k in range(line - far, line + far + 1) if abs(k - line) >= near and 0 < k <= n // 2]
        own = power[:, max(line - 1, 0) : line + 2].mean(1)
        ratios.append(own / power[:, around].mean(1).clamp_min(1e-12))
    return 10 * torch.stack(ratios).amax(0).clamp_min(1e-6).log10()


def frame_levels_db(mels_db: Tensor) -> Tensor:
    """Add up the energy of all bands of each frame (N, F), in dB."""
    energy = torch.exp(mels_db.float() * (math.log(10) / 10)).sum(1)
    return 10 * energy.clamp_min(1e-30).log10()


def noise_floor_db(mels_db: Tensor) -> Tensor:
    """Compare the quietest 5 % of frames with the loudest (N,), in dB."""
    levels = frame_levels_db(mels_db)
    return levels.quantile(QUIET_QUANTILE, dim=1) - levels.amax(1)


def silence_gain_db(source_db: Tensor, fake_db: Tensor) -> Tensor:
    """Measure how much louder the source's silent frames became (N,), in dB; NaN without any.

    A frame is silent where it lies more than 50 dB under the loudest of the source.
    """
    before, after = frame_levels_db(source_db), frame_levels_db(fake_db)
    silent = before < before.amax(1, keepdim=True) - SILENT_DB
    count = silent.sum(1)
    return ((after - before) * silent).sum(1) / count.where(count > 0, torch.nan)


def clicks_per_s(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Count isolated steps a second (N,) in (N, T); see `find_clicks`."""
    return find_clicks(waveforms, sample_rate).sum(1) * sample_rate / waveforms.shape[1]


def find_clicks(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Mark (N, T) where a second difference of (N, T) is far above all that surround it."""
    step = F.pad(waveforms.diff(dim=1).diff(dim=1).abs(), (1, 1))[:, None]
    near, around = (max(round(seconds * sample_rate), 2) for seconds in (CLICK_CORE_S, CLICK_CONTEXT_S))

    def total(values: Tensor, reach: int) -> Tensor:
        so_far = F.pad(values.double(), (reach + 1, reach)).cumsum(-1)
        return so_far[..., 2 * reach + 1 :] - so_far[..., : -2 * reach - 1]

    there = torch.ones_like(step[:1])  # less of it at the ends, which were taken for clicks without this
    usual = (total(step, around) - total(step, near)) / (total(there, around) - total(there, near))
    top = F.max_pool1d(step, 2 * around + 1, 1, around)
    return ((step >= top) & (step > CLICK_RATIO * usual) & (step > MIN_CLICK))[:, 0]


def seam_db(change_db: Tensor, borders: list[int]) -> float:
    """Compare how much a change (M, F) in dB moves at `borders` and elsewhere, in dB.

    0 where windows meet unheard; NaN without a border inside.
    """
    movement = change_db.diff(dim=1).abs().mean(0)
    at = torch.zeros(len(movement), dtype=torch.bool)
    for border in borders:
        at[max(border - SEAM_FRAMES, 0) : border + SEAM_FRAMES] = True
    if not at.any() or at.all():
        return float("nan")
    return float(20 * (movement[at].mean() / movement[~at].mean().clamp_min(1e-9)).clamp_min(1e-9).log10())
