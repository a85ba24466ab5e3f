"""Rules on level: silence, gaps, clipping, DC, and channels that lack something.

Each rule says whether a clip breaks it. Clips are `channels` (C, T) at the file's own rate; levels are RMS
in dB to full scale (a full-scale square wave has 0 dB).
"""

import dataclasses
import math

import numpy as np
from torch import Tensor

LOWEST_DB = -120.0  # what digital silence is given instead of minus infinity
FRAME_S = 0.05


def level_db(clip: Tensor) -> float:
    """RMS level of a clip (T,) in dB to full scale (a full-scale square wave has 0 dB); NaN stays NaN."""
    samples = clip.double()
    rms = math.sqrt(float(samples @ samples) / len(samples))
    return rms if math.isnan(rms) else max(20 * math.log10(max(rms, 1e-12)), LOWEST_DB)


def frame_levels_db(clip: Tensor, rate: int) -> Tensor:
    """RMS level of each 50 ms of a clip (T,), (N,) dB; an incomplete last frame is left out."""
    n = max(1, min(round(FRAME_S * rate), len(clip)))
    power = clip[: len(clip) // n * n].view(-1, n).square().mean(1)
    return (10 * power.clamp_min(1e-24).log10()).clamp_min(LOWEST_DB)


@dataclasses.dataclass(frozen=True)
class Silence:
    """Silence and near silence.

    Attributes:
        level_db: clips of lower RMS level are silent.
        quiet_db: so are clips of which frames below this level take up...
        quiet_share: ...more than this share.
    """

    reason = "silence"
    enabled: bool = True
    level_db: float = -60.0
    quiet_db: float = -55.0
    quiet_share: float = 0.5

    def rejects(self, mono: Tensor, levels_db: Tensor) -> bool:
        """Whether the mono mix (T,) with frame levels (N,) is silent."""
        quiet_share = float((levels_db < self.quiet_db).float().mean())
        return level_db(mono) < self.level_db or quiet_share > self.quiet_share


@dataclasses.dataclass(frozen=True)
class Gap:
    """A hole in the music, as between two songs.

    Attributes:
        level_db: frames below this level count as a hole...
        seconds: ...where they follow each other for at least this time.
    """

    reason = "gap"
    enabled: bool = True
    level_db: float = -60.0
    seconds: float = 0.8

    def rejects(self, levels_db: Tensor) -> bool:
        """Whether frame levels (N,) hold a gap."""
        n = math.ceil(round(self.seconds / FRAME_S, 6))
        if len(levels_db) < n:
            return False
        return bool((levels_db.unfold(0, n, 1).amax(1) < self.level_db).any())


@dataclasses.dataclass(frozen=True)
class Clipping:
    """Waveforms cut flat at the top or bottom.

    Attributes:
        share: clips with a larger share of their samples in flat tops are clipped.
        run: equal samples in a row that make a flat top; a loud sine of 30 Hz has fewer at 16 bit.
    """

    reason = "clipping"
    enabled: bool = True
    share: float = 0.01
    run: int = 4
    tolerance = 2.0**-15  # of the peak: one step of 16 bit

    def rejects(self, channels: Tensor) -> bool:
        """Whether any channel of (C, T) is clipped."""
        peaks = channels.abs().amax(1)
        return any(
            peak > 0 and self._flat_share(channel, float(peak)) > self.share
            for channel, peak in zip(channels, peaks, strict=True)
        )

    def _flat_share(self, channel: Tensor, peak: float) -> float:
        """Share of samples in runs at the peak, by the places of peaks alone, which are few."""
        margin = peak * (1 - self.tolerance)
        flat = 0
        for at_peak in (channel >= margin, channel <= -margin):
            places = np.flatnonzero(at_peak.numpy())  # torch's takes ten times as long
            if len(places) < self.run:
                continue
            ends = np.append(np.flatnonzero(np.diff(places) != 1), len(places) - 1)
            lengths = np.diff(ends, prepend=-1)
            flat += int(lengths[lengths >= self.run].sum())
        return flat / len(channel)


@dataclasses.dataclass(frozen=True)
class DCOffset:
    """A constant offset.

    Attributes:
        offset: clips with a larger mean, to full scale, in any channel.
    """

    reason = "dc offset"
    enabled: bool = True
    offset: float = 0.01

    def rejects(self, channels: Tensor) -> bool:
        """Whether any channel of (C, T) has an offset."""
        return bool((channels.mean(1).abs() > self.offset).any())


@dataclasses.dataclass(frozen=True)
class DeadChannel:
    """A channel that carries next to nothing while another plays.

    Attributes:
        below_db: how far under the loudest channel a dead one lies.
    """

    reason = "dead channel"
    enabled: bool = True
    below_db: float = 50.0

    def rejects(self, channels: Tensor) -> bool:
        """Whether (C, T) has a dead channel; more than two channels may rest (bass, surround)."""
        if len(channels) != 2:
            return False
        left_db, right_db = (level_db(channel) for channel in channels)
        return abs(left_db - right_db) > self.below_db


@dataclasses.dataclass(frozen=True)
class DualMono:
    """Two channels that carry the same. Off by default: clips are mixed to mono, so nothing is lost.

    Attributes:
        below_db: how far the difference of the channels lies under their sum.
    """

    reason = "mono as stereo"
    enabled: bool = False
    below_db: float = 60.0

    def rejects(self, channels: Tensor) -> bool:
        """Whether (2, T) is mono; other channel counts are not."""
        if len(channels) != 2:
            return False
        return level_db(channels[0] - channels[1]) < level_db(channels[0] + channels[1]) - self.below_db


@dataclasses.dataclass(frozen=True)
class PhaseCancellation:
    """Channels that cancel each other in the mono mix (one of them has its polarity reversed).

    Attributes:
        below_db: how far the mix lies under the channels.
    """

    reason = "channels cancel"
    enabled: bool = True
    below_db: float = 10.0

    def rejects(self, channels: Tensor) -> bool:
        """Whether the mean of (C, T) is so much quieter than its channels."""
        power = float(channels.square().mean())
        mix = float(channels.mean(0).square().mean())
        return power > 0 and 10 * math.log10(max(mix, 1e-24) / power) < -self.below_db
