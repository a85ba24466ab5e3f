"""Screening rules on level: silence, gaps, clipping, DC offset, and defects of channels.

Clips are `channels` (C, T) at the sample rate of the file; levels are RMS in dBFS (a full-scale square wave
has 0 dB).
"""

import dataclasses
import math

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.dc_blocker import MAX_OFFSET, channel_offsets

SILENCE_DB = -120.0  # level of digital silence, instead of minus infinity
FRAME_S = 0.05


def level_db(clip: Tensor) -> float:
    """Return the RMS level of a clip (T,) in dBFS (a full-scale square wave has 0 dB); NaN stays NaN."""
    samples = clip.double()
    rms = math.sqrt(float(samples @ samples) / len(samples))
    return rms if math.isnan(rms) else max(20 * math.log10(max(rms, 1e-12)), SILENCE_DB)


def frame_levels_db(clip: Tensor, rate: int) -> Tensor:
    """Return the RMS levels (N,) in dB of frames of 50 ms of a clip (T,), without an incomplete last one."""
    n = max(1, min(round(FRAME_S * rate), len(clip)))
    power = clip[: len(clip) // n * n].view(-1, n).square().mean(1)
    return (10 * power.clamp_min(1e-24).log10()).clamp_min(SILENCE_DB)


@dataclasses.dataclass(frozen=True)
class Silence:
    """Rejects silent and nearly silent clips.

    Attributes:
        level_db: clips with a lower RMS level are silent.
        quiet_db: frames below this level are quiet.
        quiet_share: clips with a larger share of quiet frames are silent.
    """

    reason = "silence"
    enabled: bool = True
    level_db: float = -60.0
    quiet_db: float = -55.0
    quiet_share: float = 0.5

    def rejects(self, mono: Tensor, levels_db: Tensor) -> bool:
        """Return whether the mono mix (T,) with frame levels (N,) is silent."""
        quiet_share = float((levels_db < self.quiet_db).float().mean())
        return level_db(mono) < self.level_db or quiet_share > self.quiet_share


@dataclasses.dataclass(frozen=True)
class Gap:
    """Rejects clips with a gap, as between two songs.

    Attributes:
        level_db: frames below this level are silent.
        seconds: consecutive silent frames of at least this duration are a gap.
    """

    reason = "gap"
    enabled: bool = True
    level_db: float = -60.0
    seconds: float = 0.8

    def rejects(self, levels_db: Tensor) -> bool:
        """Return whether frame levels (N,) contain a gap."""
        n = math.ceil(round(self.seconds / FRAME_S, 6))
        if len(levels_db) < n:
            return False
        return bool((levels_db.unfold(0, n, 1).amax(1) < self.level_db).any())


@dataclasses.dataclass(frozen=True)
class Clipping:
    """Rejects clipped waveforms.

    Attributes:
        share: clips with a larger share of clipped samples are rejected.
        run: consecutive samples at the peak that count as clipped; a loud sine of 30 Hz has fewer at 16 bit.
    """

    reason = "clipping"
    enabled: bool = True
    share: float = 0.01
    run: int = 4
    tolerance = 2.0**-15  # relative to the peak: one step of 16 bit

    def rejects(self, channels: Tensor) -> bool:
        """Return whether any channel of (C, T) is clipped."""
        peaks = channels.abs().amax(1)
        return any(
            peak > 0 and self._flat_share(channel, float(peak)) > self.share
            for channel, peak in zip(channels, peaks, strict=True)
        )

    def _flat_share(self, channel: Tensor, peak: float) -> float:
        """Return the share of samples in runs at the peak, from the indices of the few samples there."""
        margin = peak * (1 - self.tolerance)
        n_clipped = 0
        for at_peak in (channel >= margin, channel <= -margin):
            indices = np.flatnonzero(at_peak.numpy())  # torch.nonzero takes ten times as long
            if len(indices) < self.run:
                continue
            ends = np.append(np.flatnonzero(np.diff(indices) != 1), len(indices) - 1)
            lengths = np.diff(ends, prepend=-1)
            n_clipped += int(lengths[lengths >= self.run].sum())
        return n_clipped / len(channel)


@dataclasses.dataclass(frozen=True)
class DCOffset:
    """Finds files whose DC offset must be subtracted, and rejects clips that still have one.

    Attributes:
        offset: largest allowed mean of a channel, relative to full scale.
    """

    reason = "dc offset"
    enabled: bool = True
    offset: float = MAX_OFFSET

    def must_be_subtracted(self, channels: Tensor | None, decoded: Tensor | None) -> bool:
        """Return whether (C, T) has an offset, damaged samples apart, that was not subtracted.

        Args:
            channels: a clip; None without audio.
            decoded: the clip as decoded if its offset was subtracted, else None.
        """
        if not self.enabled or channels is None or decoded is not None:
            return False
        return bool((channel_offsets(channels).abs() > self.offset).any())

    def rejects(self, channels: Tensor) -> bool:
        """Return whether any channel of (C, T) has an offset."""
        return bool((channels.mean(1).abs() > self.offset).any())


@dataclasses.dataclass(frozen=True)
class DeadChannel:
    """Rejects stereo clips with one nearly silent channel.

    Attributes:
        below_db: a dead channel is this far below the other.
    """

    reason = "dead channel"
    enabled: bool = True
    below_db: float = 50.0

    def rejects(self, channels: Tensor) -> bool:
        """Return whether (2, T) has a dead channel; of more channels some may be silent (surround)."""
        if len(channels) != 2:
            return False
        left_db, right_db = (level_db(channel) for channel in channels)
        return abs(left_db - right_db) > self.below_db


@dataclasses.dataclass(frozen=True)
class DualMono:
    """Rejects stereo clips with equal channels. Off by default, since clips are mixed to mono anyway.

    Attributes:
        below_db: the difference of equal channels is this far below their sum.
    """

    reason = "dual mono"
    enabled: bool = False
    below_db: float = 60.0

    def rejects(self, channels: Tensor) -> bool:
        """Return whether (2, T) is dual mono; other channel counts are not."""
        if len(channels) != 2:
            return False
        return level_db(channels[0] - channels[1]) < level_db(channels[0] + channels[1]) - self.below_db


@dataclasses.dataclass(frozen=True)
class PhaseCancellation:
    """Rejects clips whose channels cancel in the mono mix (one has reversed polarity).

    Attributes:
        below_db: a cancelled mix is this far below its channels.
    """

    reason = "phase cancellation"
    enabled: bool = True
    below_db: float = 10.0

    def rejects(self, channels: Tensor) -> bool:
        """Return whether the mono mix of (C, T) is that much quieter than its channels."""
        power = float(channels.square().mean())
        mix = float(channels.mean(0).square().mean())
        return power > 0 and 10 * math.log10(max(mix, 1e-24) / power) < -self.below_db
