"""A file in a stream of pieces, one a clip: memory stays the same however long the file is."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cyclegan_audio.audio import io
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.audio.time_stretch import wsola
from cyclegan_audio.corpus.build.beats import Span, bar_spans
from cyclegan_audio.corpus.raw_clip import RawClip
from cyclegan_audio.utils.errors import UserError, check_number

ALIGN_CHOICES = ("none", "beats")


@dataclasses.dataclass(frozen=True)
class ClipSettings:
    """How a file is cut.

    Attributes:
        seconds: length of a clip as stored.
        overlap: share of a clip that it has in common with the next one.
        skip_start_s: left out at the start of a file.
        skip_end_s: left out at its end.
        align: `none`, or `beats`: from downbeat to downbeat, stretched to `seconds`.
        bars: whole bars of a clip with `align=beats`; None takes as many as come nearest to `seconds`.
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
        """The same without looking for beats."""
        return dataclasses.replace(self, align="none", bars=None)

    def spans(self, path: Path) -> Iterable[Span]:
        """Start and length in seconds of each clip, in the order of starts; may go on beyond the end.

        Another way to cut is another answer here; clips of other length than `seconds` are stretched to it.
        """
        if self.align == "beats":
            return bar_spans(path, self.seconds, self.bars, self.overlap, self.skip_start_s)
        step_s = self.seconds * (1 - self.overlap)
        return (Span(self.skip_start_s + number * step_s, self.seconds) for number in itertools.count())


@dataclasses.dataclass
class AudioInfo:
    """What is known of a file once its stream has ended: of the first block, and how long it was."""

    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    codec: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as kept in the record of a file."""
        return dataclasses.asdict(self)


class ClipStream:
    """Iterates over a file's pieces, or start_s and reason of those without; `facts` is complete afterwards.

    Raises:
        UserError: while iterating, where the file cannot be read or is damaged.
    """

    def __init__(self, path: Path, clip: ClipSettings, mel: MelSpectrogram) -> None:
        self.path, self.clip, self.mel = path, clip, mel
        self.info = AudioInfo()
        self._own, self._mono = RollingBuffer(), RollingBuffer()

    def __iter__(self) -> Iterator[RawClip | tuple[float, str]]:
        spans = iter(self.clip.spans(self.path))
        span = next(spans, None)
        resampler = None
        for block in io.stream_blocks(self.path):
            resampler = resampler or self._begin(block)
            self._own.append(block.samples)
            self._mono.append(resampler.push(block.samples.mean(0)))
            while span and self._is_there(span):
                yield self._piece(span)
                span = next(spans, None)
            self._forget(span)
        if resampler and (last := resampler.finish()) is not None:
            self._mono.append(last)
        self.info.duration_s = self._own.stop / self.info.sample_rate
        while span and self._is_there(span):
            yield self._piece(span)
            span = next(spans, None)

    def _begin(self, block: io.Block) -> Resampler:
        self.info = AudioInfo(0.0, block.rate, block.samples.shape[0], block.codec)
        return Resampler(block.rate, self.mel.sample_rate)

    def _place(self, span: Span) -> tuple[int, int]:
        """First sample of the mono signal and the one after the last."""
        start = round(span[0] * self.mel.sample_rate)
        return start, start + round(span[1] * self.mel.sample_rate)

    def _is_there(self, span: Span) -> bool:
        return self._place(span)[1] + round(self.clip.skip_end_s * self.mel.sample_rate) <= self._mono.stop

    def _piece(self, span: Span) -> RawClip | tuple[float, str]:
        if span.reason:
            return span.start_s, span.reason
        rate = self.info.sample_rate
        n_samples = round(self.clip.seconds * self.mel.sample_rate)
        mono = wsola(self._mono.read(*self._place(span)), n_samples)
        own_start = round(span[0] * rate)
        channels = self._own.read(own_start, own_start + round(span[1] * rate))
        mel_db = self.mel.mel_db(mono[None])[0]
        return RawClip(span.start_s, span.length_s, channels, rate, mono, self.mel.sample_rate, mel_db)

    def _forget(self, span: Span | None) -> None:
        start_s = span[0] if span else float("inf")
        self._own.discard_before(int(min(start_s * self.info.sample_rate, self._own.stop)))
        self._mono.discard_before(int(min(start_s * self.mel.sample_rate, self._mono.stop)))
