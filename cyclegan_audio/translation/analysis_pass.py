"""What must be known of a whole piece before its first second is translated."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.audio.windows import pad_reflect
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.models.networks.norm import Statistics
from cyclegan_audio.translation.mid_side import polarity
from cyclegan_audio.translation.stages import MelStream, to_whole_frames
from cyclegan_audio.utils.errors import UserError

Blocks = Callable[[], Iterable[Tensor]]  # the same blocks (C, n) every time it is called
MAX_WINDOWS = 12  # that stand for a long piece in the statistics of instance norms; fewer come less near


@dataclass(frozen=True)
class PieceStatistics:
    """A piece before its translation.

    Attributes:
        n_samples: of each channel.
        lufs: its loudness, without gates where all of it is below them; minus infinity for silence.
        is_silent: every sample is 0.
        signs: (C, 1), -1 for a channel that is turned round for the mid, as it would cancel the others there.
        range_db: the levels that become -1 and 1; None where they are found on the way.
        mid_lufs: loudness of the mean of its channels; None where it is not known beforehand.
        is_short: it goes through the generator as one window, whose own statistics are those of the piece.
        statistics: of the generator's instance norms over the piece; None where each window has its own.
    """

    n_samples: int
    lufs: float
    is_silent: bool
    signs: Tensor
    range_db: tuple[float, float] | None = None
    mid_lufs: float | None = None
    is_short: bool = False
    statistics: Statistics | None = field(default=None, repr=False)


class ChannelAnalysis:
    """Length, loudness and polarity of a piece, from its samples."""

    def __init__(self, sample_rate: int) -> None:
        self._meter = LoudnessMeter(sample_rate)
        self._covariance: Tensor | None = None
        self._n_samples, self._is_silent = 0, True

    def push(self, block: Tensor) -> None:
        """The next samples (C, n)."""
        self._n_samples += block.shape[1]
        self._meter.push(block)
        found = (block @ block.T).double()
        self._covariance = found if self._covariance is None else self._covariance + found
        self._is_silent = self._is_silent and not block.any()

    def finish(self) -> PieceStatistics:
        """What was found.

        Raises:
            UserError: there were no samples at all.
        """
        if self._covariance is None:
            raise UserError("the audio holds no samples; give a piece of music")
        signs = polarity(self._covariance)
        return PieceStatistics(self._n_samples, self._meter.lufs_or_ungated(), self._is_silent, signs)


class MidAnalysis:
    """Levels of the mel of a piece's mid, its loudness, and windows that stand for it.

    Attributes:
        windows: of the mel in dB, without the bands that generators never hear.
    """

    def __init__(
        self,
        sample_rate: int,
        mel: MelSpectrogram,
        match: CorpusNormalisation,
        window: int,
        device: torch.device,
    ) -> None:
        self.mel, self.match, self.device = mel, match, device
        self.windows = Windows(window, mel.floor_db)
        self._resampler, self._mels = Resampler(sample_rate, mel.sample_rate), MelStream(mel)
        self._meter, self._taken = LoudnessMeter(sample_rate), 0

    def push(self, mid: Tensor) -> None:
        """The next samples (n,)."""
        if self.match.loudness_lufs is not None:
            self._meter.push(mid[None])
        resampled = self._resampler.push(mid)
        self._taken += len(resampled)
        self._look_at(self._mels.push(resampled.to(self.device)))

    def finish(self, survey: PieceStatistics) -> PieceStatistics:
        """The survey with what was found."""
        left = self._resampler.finish()
        left = torch.zeros(0) if left is None else left
        rest = to_whole_frames(left, self._taken, self.mel)
        self._look_at(self._mels.push(rest.to(self.device), last=True))
        self.windows.finish()
        range_db = (self.mel.min_db, self.mel.max_db)
        if self.mel.scaling == "clip" and self.windows.low_db < math.inf:
            range_db = self.mel.range_db(torch.tensor([self.windows.low_db, self.windows.high_db]))
        lufs = self._meter.integrated_lufs()
        return replace(
            survey,
            range_db=range_db,
            mid_lufs=lufs if math.isfinite(lufs) else None,
            is_short=self.windows.n_frames <= MAX_WINDOWS * self.windows.window,
        )

    def _look_at(self, mel_db: Tensor) -> None:
        if mel_db.numel():
            self.windows.push(self.match.apply(mel_db, self.mel))


def check_finite(blocks: Iterable[Tensor], sample_rate: int) -> Iterator[Tensor]:
    """The blocks as they are.

    Raises:
        UserError: a sample that is not a finite number; says where.
    """
    start = 0
    for block in blocks:
        if not torch.isfinite(block.sum()):
            bad = torch.nonzero(~torch.isfinite(block).all(0))
            at_s = (start + (int(bad[0]) if len(bad) else 0)) / sample_rate
            raise UserError(
                f"the audio has samples that are not finite numbers, first at {at_s:.3f} s; "
                "mend or decode it again"
            )
        start += block.shape[1]
        yield block


class Windows:
    """At most `MAX_WINDOWS` windows of an endless mel, spread evenly over it, and the range of its levels.

    Args:
        window: frames of one.
        floor_db: frames of digital silence, which have no more than this in any band, are left out.

    Attributes:
        found: (M, window) each.
        n_frames: of the whole piece, those of silence too.
    """

    def __init__(self, window: int, floor_db: float) -> None:
        self.window, self.floor_db = window, floor_db
        self.found: list[Tensor] = []
        self.n_frames = 0
        self.low_db, self.high_db = math.inf, -math.inf
        self._stride = 1
        self._seen = 0
        self._frames: Tensor | None = None

    def push(self, mel_db: Tensor) -> None:
        """The next frames (M, n) in dB."""
        self.n_frames += mel_db.shape[1]
        sounding = mel_db[:, (mel_db > self.floor_db + 1e-3).any(0)]
        if not sounding.shape[1]:
            return
        self.low_db = min(self.low_db, float(sounding.min()))
        self.high_db = max(self.high_db, float(sounding.max()))
        held = sounding if self._frames is None else torch.cat([self._frames, sounding], 1)
        while held.shape[1] >= self.window:
            if self._seen % self._stride == 0:
                self.found.append(held[:, : self.window].clone())
            self._seen += 1
            held = held[:, self.window :]
            if len(self.found) > MAX_WINDOWS:
                self.found = self.found[::2]
                self._stride *= 2
        self._frames = held.clone()

    def finish(self) -> None:
        """Where all that sounds is less than one window, it stands alone, filled by reflection."""
        if not self.found and self._frames is not None:
            self.found.append(pad_reflect(self._frames, self.window))
