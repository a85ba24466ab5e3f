"""Cut a file into clips in a stream: memory use does not depend on the file's length."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan_audio.audio import io
from cyclegan_audio.audio.dc_blocker import DCBlocker
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.audio.time_stretch import wsola
from cyclegan_audio.corpus.preparation.beats import ClipInterval, bar_intervals
from cyclegan_audio.utils.errors import UserError, check_number


@dataclasses.dataclass(frozen=True)
class RawClip:
    """A clip as cut from its file, before screening.

    Attributes:
        start_s: start in the file.
        duration_s: length in the file.
        channels: (C, T_file) float32 at `rate`; None without audio.
        rate: sample rate of the file; 0 without audio.
        mono: (T,) mean of all channels at the mel's sample rate, as stored, T the same for all clips of a
            corpus; None without audio.
        mono_rate: sample rate of the mel.
        mel_db: (M, F) mel in dB.
        decoded: (C, T_file) as decoded, if a DC offset was subtracted from `channels` and `mono`; else None.
    """

    start_s: float
    duration_s: float
    channels: Tensor | None
    rate: int
    mono: Tensor | None
    mono_rate: int
    mel_db: Tensor
    decoded: Tensor | None = None


ALIGN_CHOICES = ("none", "beats")


@dataclasses.dataclass(frozen=True)
class ClipSettings:
    """Settings for cutting files into clips.

    Attributes:
        seconds: length of a stored clip.
        overlap: share of a clip that the next clip repeats.
        skip_start_s: seconds skipped at the start of a file.
        skip_end_s: seconds skipped at its end.
        align: `none`, or `beats`: from downbeat to downbeat, stretched to `seconds`.
        bars: bars per clip with `align=beats`; None takes as many as come closest to `seconds`.
    """

    seconds: float = 4.0
    overlap: float = 0.0
    skip_start_s: float = 0.0
    skip_end_s: float = 0.0
    align: str = "none"
    bars: int | None = None

    def __post_init__(self) -> None:
        check_number("clip.seconds", self.seconds, low=0)
        check_number("clip.overlap", self.overlap, low=0, high=0.99)
        for name in ("skip_start_s", "skip_end_s"):
            check_number(f"clip.{name}", getattr(self, name), low=0)
        if self.align not in ALIGN_CHOICES:
            raise UserError(f"clip.align={self.align} is unknown; choose one of {', '.join(ALIGN_CHOICES)}")
        if self.bars is not None:
            check_number("clip.bars", self.bars, low=1, integer=True)
            if self.align == "none":
                raise UserError(
                    f"clip.bars={self.bars} needs clip.align=beats; add it, or leave out clip.bars"
                )

    @property
    def unaligned(self) -> "ClipSettings":
        """Return the same settings without alignment to beats."""
        return dataclasses.replace(self, align="none", bars=None)

    def intervals(self, path: Path) -> Iterable[ClipInterval]:
        """Return the intervals of all clips by start; they may continue past the end of the file.

        Override this to cut differently; clips of another length than `seconds` are stretched to it.
        """
        if self.align == "beats":
            return bar_intervals(path, self.seconds, self.bars, self.overlap, self.skip_start_s)
        step_s = self.seconds * (1 - self.overlap)
        return (
            ClipInterval(self.skip_start_s + number * step_s, self.seconds) for number in itertools.count()
        )


@dataclasses.dataclass
class AudioInfo:
    """Properties of a file: those of its first block, and, once its stream has ended, its length."""

    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    codec: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in a track record."""
        return dataclasses.asdict(self)


class ClipStream:
    """Iterates over the clips of a file; `info` is complete afterwards.

    Yields `RawClip`, or start_s and reason of a clip that is dropped before it is cut.

    Args:
        path: the file.
        clip: how it is cut.
        mel: the mel of its clips.
        subtract_dc: whether to subtract its DC offset.

    Raises:
        UserError: while iterating, if the file cannot be read or is damaged.
    """

    def __init__(
        self, path: Path, clip: ClipSettings, mel: MelSpectrogram, subtract_dc: bool = False
    ) -> None:
        self.path, self.clip, self.mel, self.subtract_dc = path, clip, mel, subtract_dc
        self.info = AudioInfo()
        self._native, self._decoded, self._mono = RollingBuffer(), RollingBuffer(), RollingBuffer()

    def __iter__(self) -> Iterator[RawClip | tuple[float, str]]:
        intervals = iter(self.clip.intervals(self.path))
        interval = next(intervals, None)
        resampler = blocker = None
        for block in io.stream_blocks(self.path):
            resampler, samples = resampler or self._start(block), block.samples
            if self.subtract_dc:
                blocker = blocker or DCBlocker(block.rate)
                self._decoded.append(samples)
                samples = blocker.push(samples)
            self._native.append(samples)
            self._mono.append(resampler.push(samples.mean(0)))
            while interval and self._is_buffered(interval):
                yield self._cut_clip(interval)
                interval = next(intervals, None)
            self._discard_before(interval)
        if resampler and (last := resampler.finish()) is not None:
            self._mono.append(last)
        self.info.duration_s = self._native.stop / self.info.sample_rate
        while interval and self._is_buffered(interval):
            yield self._cut_clip(interval)
            interval = next(intervals, None)

    def _start(self, block: io.Block) -> Resampler:
        self.info = AudioInfo(0.0, block.rate, block.samples.shape[0], block.codec)
        return Resampler(block.rate, self.mel.sample_rate)

    def _sample_range(self, interval: ClipInterval) -> tuple[int, int]:
        """Return the first sample of the mono signal and the one after the last."""
        start = round(interval.start_s * self.mel.sample_rate)
        return start, start + round(interval.length_s * self.mel.sample_rate)

    def _is_buffered(self, interval: ClipInterval) -> bool:
        n_skipped = round(self.clip.skip_end_s * self.mel.sample_rate)
        return self._sample_range(interval)[1] + n_skipped <= self._mono.stop

    def _cut_clip(self, interval: ClipInterval) -> RawClip | tuple[float, str]:
        if interval.reason:
            return interval.start_s, interval.reason
        rate = self.info.sample_rate
        n_samples = round(self.clip.seconds * self.mel.sample_rate)
        mono = wsola(self._mono.read(*self._sample_range(interval)), n_samples)
        native_start = round(interval.start_s * rate)
        span = native_start, native_start + round(interval.length_s * rate)
        return RawClip(
            interval.start_s,
            interval.length_s,
            self._native.read(*span),
            rate,
            mono,
            self.mel.sample_rate,
            self.mel.mel_db(mono[None])[0],
            self._decoded.read(*span) if self.subtract_dc else None,
        )

    def _discard_before(self, interval: ClipInterval | None) -> None:
        start_s = interval.start_s if interval else float("inf")
        for buffer in (self._native, self._decoded):
            buffer.discard_before(int(min(start_s * self.info.sample_rate, buffer.stop)))
        self._mono.discard_before(int(min(start_s * self.mel.sample_rate, self._mono.stop)))
