"""Measure artefacts: checkerboard patterns, window seams, clicks, and silence that became noise."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PERIODS = (2, 4)  # frames or bands: a generator upsamples twice by two
REFERENCE_LINES = (4, 12)  # nearest and farthest spectral line to compare with
QUIET_QUANTILE = 0.05
SILENT_DB = 50.0  # below the clip's loudest frame
CLICK_RATIO = 10.0  # of a second difference to the mean around it
CLICK_CORE_S, CLICK_CONTEXT_S = 0.0002, 0.003
MIN_CLICK = 2e-3  # full scale; smaller steps are inaudible
SEAM_FRAMES = 2  # on each side of a border


def checkerboard_db(mels_db: Tensor) -> Tensor:
    """Measure the strongest checkerboard (N,) of (N, M, F) at the periods of transposed convolutions, in dB.

    Energy of the spectral lines at periods of 2 and 4 frames (bands) relative to nearby lines, the larger of
    both axes: about 0 for music, which does not follow the frame grid (Odena et al. 2016).
    """
    return torch.stack([_checkerboard_db(mels_db), _checkerboard_db(mels_db.transpose(1, 2))]).amax(0)


def _checkerboard_db(mels_db: Tensor) -> Tensor:
    """Measure the checkerboard along the last axis."""
    n = mels_db.shape[2] - mels_db.shape[2] % max(PERIODS)
    x = mels_db[..., :n].float()
    x = (x - x.mean(2, keepdim=True)) * torch.hann_window(n, device=x.device)
    power = torch.fft.rfft(x).abs().square().mean(1)
    near, far = REFERENCE_LINES
    ratios = []
    for period in PERIODS:
        line = n // period
        nearby = [k for k in range(line - far, line + far + 1) if abs(k - line) >= near and 0 < k <= n // 2]
        peak = power[:, max(line - 1, 0) : line + 2].mean(1)
        ratios.append(peak / power[:, nearby].mean(1).clamp_min(1e-12))
    return 10 * torch.stack(ratios).amax(0).clamp_min(1e-6).log10()


def frame_levels_db(mels_db: Tensor) -> Tensor:
    """Compute the level of each frame (N, F) over all bands, in dB."""
    energy = torch.exp(mels_db.float() * (math.log(10) / 10)).sum(1)
    return 10 * energy.clamp_min(1e-30).log10()


def noise_floor_db(mels_db: Tensor) -> Tensor:
    """Compute the 5 % quantile of frame levels relative to the loudest frame (N,), in dB."""
    levels = frame_levels_db(mels_db)
    return levels.quantile(QUIET_QUANTILE, dim=1) - levels.amax(1)


def silence_gain_db(source_db: Tensor, fake_db: Tensor) -> Tensor:
    """Compute the mean gain (N,) of the source's silent frames, in dB; NaN if there are none.

    A frame is silent if it is more than 50 dB below the loudest frame of the source.
    """
    before, after = frame_levels_db(source_db), frame_levels_db(fake_db)
    silent = before < before.amax(1, keepdim=True) - SILENT_DB
    count = silent.sum(1)
    return ((after - before) * silent).sum(1) / count.where(count > 0, torch.nan)


def clicks_per_s(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Count clicks per second (N,) in waveforms (N, T); see `find_clicks`."""
    return find_clicks(waveforms, sample_rate).sum(1) * sample_rate / waveforms.shape[1]


def find_clicks(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Mark samples (N, T) whose second difference is far above those around it."""
    step = F.pad(waveforms.diff(dim=1).diff(dim=1).abs(), (1, 1))[:, None]
    core, context = (max(round(seconds * sample_rate), 2) for seconds in (CLICK_CORE_S, CLICK_CONTEXT_S))

    def window_sum(values: Tensor, radius: int) -> Tensor:
        cumulative = F.pad(values.double(), (radius + 1, radius)).cumsum(-1)
        return cumulative[..., 2 * radius + 1 :] - cumulative[..., : -2 * radius - 1]

    ones = torch.ones_like(step[:1])  # counts the samples in each window, fewer at the ends
    count = window_sum(ones, context) - window_sum(ones, core)
    local_mean = (window_sum(step, context) - window_sum(step, core)) / count
    local_max = F.max_pool1d(step, 2 * context + 1, 1, context)
    return ((step >= local_max) & (step > CLICK_RATIO * local_mean) & (step > MIN_CLICK))[:, 0]


def seam_db(change_db: Tensor, borders: list[int]) -> float:
    """Compare how much a change (M, F) in dB varies over time at window `borders` and elsewhere, in dB.

    0 if the seams are inaudible; NaN if no border lies inside.
    """
    step = change_db.diff(dim=1).abs().mean(0)
    at_border = torch.zeros(len(step), dtype=torch.bool)
    for border in borders:
        at_border[max(border - SEAM_FRAMES, 0) : border + SEAM_FRAMES] = True
    if not at_border.any() or at_border.all():
        return float("nan")
    ratio = step[at_border].mean() / step[~at_border].mean().clamp_min(1e-9)
    return float(20 * ratio.clamp_min(1e-9).log10())
