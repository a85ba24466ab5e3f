"""Analyse a whole piece before its translation: length, loudness, polarity, levels, norm statistics."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cyclegan_audio.audio.dc_blocker import MAX_OFFSET, block_dc, bound_amplitude
from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.audio.windows import pad_reflect
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.models.networks.norm import Statistics
from cyclegan_audio.translation.input_levels import LevelCorrection, PeakMeter
from cyclegan_audio.translation.levelling import LevelCourse, LevelHistogram
from cyclegan_audio.translation.mid_side import polarity
from cyclegan_audio.translation.stages import MelStream, is_audible, n_edge_frames, to_whole_frames
from cyclegan_audio.utils.errors import UserError

Blocks = Callable[[], Iterable[Tensor]]  # returns the same blocks (C, n) at each call
MAX_WINDOWS = 12  # windows that give the norm statistics of a long piece; fewer are less accurate


@dataclass(frozen=True)
class PieceStatistics:
    """Properties of a whole piece that its translation needs; those of the mel are of its lifted sound.

    Attributes:
        n_samples: samples of each channel.
        lufs: loudness, ungated if everything is below the gates; minus infinity for silence.
        is_silent: whether every sample is 0.
        signs: (C, 1), -1 for a channel that is inverted for the mid, as it would cancel the others, else 1.
        range_db: the levels that become -1 and 1; None if they are measured during the translation.
        reference_db: the level to which quiet passages are lifted before the generator, minus infinity if
            there are none; None if it is measured during the translation.
        mid_lufs: gated loudness of the mean of the channels; None if unknown.
        is_single_window: whether the piece goes through the generator as one window, with its own statistics.
        norm_statistics: the generator's instance-norm statistics over the piece; None if each window has its
            own.
        correction: the correction of its levels that the piece needs first; None for nearly all pieces.
        has_dc_offset: whether a channel has an offset that must be subtracted first.
    """

    n_samples: int
    lufs: float
    is_silent: bool
    signs: Tensor
    range_db: tuple[float, float] | None = None
    reference_db: float | None = None
    mid_lufs: float | None = None
    is_single_window: bool = False
    norm_statistics: Statistics | None = field(default=None, repr=False)
    correction: LevelCorrection | None = None
    has_dc_offset: bool = False

    @property
    def notes(self) -> list[str]:
        """Describe what is corrected before the translation, a phrase for each correction."""
        notes = self.correction.notes if self.correction else []
        return notes + ["subtracted a DC offset"] * self.has_dc_offset

    def corrected(self, blocks: Blocks, sample_rate: int) -> Iterable[Tensor]:
        """Return the blocks of the piece with its levels corrected and without its DC offset."""
        corrected = self.correction.apply(blocks()) if self.correction else blocks()
        return block_dc(corrected, sample_rate) if self.has_dc_offset else corrected


class ChannelAnalysis:
    """Measure length, loudness, DC offset, polarity and levels of a piece from its samples."""

    def __init__(self, sample_rate: int) -> None:
        self._meter, self._peaks = LoudnessMeter(sample_rate), PeakMeter(sample_rate)
        self._course, self._levels = LevelCourse(sample_rate), LevelHistogram()
        self._covariance: Tensor | None = None
        self._n_samples, self._is_silent, self._sums = 0, True, torch.zeros(1)

    def push(self, block: Tensor) -> None:
        """Add the next samples (C, n)."""
        self._n_samples += block.shape[1]
        self._meter.push(block)
        self._peaks.push(block)
        self._sums = self._sums + bound_amplitude(block).double().sum(1)
        self._levels.add(self._course.push(block))
        covariance = (block @ block.T).double()
        self._covariance = covariance if self._covariance is None else self._covariance + covariance
        self._is_silent = self._is_silent and not block.any()

    def finish(self) -> PieceStatistics:
        """Return the statistics of the channels.

        Raises:
            UserError: there were no samples.
        """
        if self._covariance is None:
            raise UserError("the audio has no samples; give a piece of music")
        signs = polarity(self._covariance)
        self._levels.add(self._course.push(torch.zeros(len(signs), 0), last=True))
        return PieceStatistics(
            self._n_samples,
            self._meter.lufs_or_ungated(),
            self._is_silent,
            signs,
            reference_db=self._levels.reference_db() if self._levels.has_quiet_passages() else -math.inf,
            correction=self._peaks.correction(),
            has_dc_offset=bool((self._sums.abs() > MAX_OFFSET * self._n_samples).any()),
        )


class MidAnalysis:
    """Measure the levels of the mid's mel and its loudness, and sample windows of the mel.

    Attributes:
        sampler: samples windows of the normalised mel in dB.
    """

    def __init__(
        self,
        sample_rate: int,
        mel: MelSpectrogram,
        normalisation: CorpusNormalisation,
        window: int,
        device: torch.device,
    ) -> None:
        self.mel, self.normalisation, self.device = mel, normalisation, device
        self.sampler = WindowSampler(window, mel.floor_db)
        self._resampler, self._mel_stream = Resampler(sample_rate, mel.sample_rate), MelStream(mel)
        self._meter, self._n_samples = LoudnessMeter(sample_rate), 0

    def push(self, mid: Tensor) -> None:
        """Add the next samples (n,)."""
        if self.normalisation.loudness_lufs is not None:
            self._meter.push(mid[None])
        resampled = self._resampler.push(mid)
        self._n_samples += len(resampled)
        self._add_frames(self._mel_stream.push(resampled.to(self.device)))

    def finish(self, statistics: PieceStatistics) -> PieceStatistics:
        """Return `statistics` with those of the mid."""
        last = self._resampler.finish()
        last = torch.zeros(0) if last is None else last
        rest = to_whole_frames(last, self._n_samples, self.mel)
        self._add_frames(self._mel_stream.push(rest.to(self.device), last=True))
        self.sampler.finish()
        range_db = (self.mel.min_db, self.mel.max_db)
        if self.mel.scaling == "clip" and self.sampler.low_db < math.inf:
            range_db = self.mel.range_db(torch.tensor([self.sampler.low_db, self.sampler.high_db]))
        lufs = self._meter.integrated_lufs()
        n_frames = self.sampler.n_frames + 2 * n_edge_frames(self.mel) + 1  # with the continuations
        return replace(
            statistics,
            range_db=range_db,
            mid_lufs=lufs if math.isfinite(lufs) else None,
            is_single_window=n_frames <= MAX_WINDOWS * self.sampler.window,
        )

    def _add_frames(self, mel_db: Tensor) -> None:
        if mel_db.numel():
            self.sampler.push(self.normalisation.apply(mel_db, self.mel))


class WindowSampler:
    """Sample at most `MAX_WINDOWS` windows of a mel stream, evenly spread, and measure its range.

    Args:
        window: frames of a window.
        floor_db: frames with no band above this level are digital silence and are left out.

    Attributes:
        windows: the sampled windows, (M, window) each.
        n_frames: frames of the whole piece, with those of silence.
        low_db: lowest level without silent frames.
        high_db: highest level.
    """

    def __init__(self, window: int, floor_db: float) -> None:
        self.window, self.floor_db = window, floor_db
        self.windows: list[Tensor] = []
        self.n_frames = 0
        self.low_db, self.high_db = math.inf, -math.inf
        self._stride = 1
        self._n_windows = 0
        self._frames: Tensor | None = None

    def push(self, mel_db: Tensor) -> None:
        """Add the next frames (M, n) in dB."""
        self.n_frames += mel_db.shape[1]
        audible = mel_db[:, is_audible(mel_db, self.floor_db)]
        if not audible.shape[1]:
            return
        self.low_db = min(self.low_db, float(audible.min()))
        self.high_db = max(self.high_db, float(audible.max()))
        frames = audible if self._frames is None else torch.cat([self._frames, audible], 1)
        while frames.shape[1] >= self.window:
            if self._n_windows % self._stride == 0:
                self.windows.append(frames[:, : self.window].clone())
            self._n_windows += 1
            frames = frames[:, self.window :]
            if len(self.windows) > MAX_WINDOWS:
                self.windows = self.windows[::2]
                self._stride *= 2
        self._frames = frames.clone()

    def finish(self) -> None:
        """If all audible frames are less than a window, pad them by reflection to one."""
        if not self.windows and self._frames is not None:
            self.windows.append(pad_reflect(self._frames, self.window))
