"""What a metric takes: clips, and what several metrics need to know of them, computed once."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics import onsets
from cyclegan_audio.metrics.genre_classifier.classifier import GenreClassifier


@dataclasses.dataclass(frozen=True)
class MetricInput:
    """N clips of one candidate: the translation, a baseline, or real clips of the target genre.

    Attributes:
        mels_db: the clips (N, M, F) in dB.
        mel: the definition of the mels.
        source_db: the clips (N, M, F) in dB that they were made of; None for real clips.
        target: the genre translated to.
        classifier, linear: classifiers of the two genres; None where they could not be trained.
        waveforms: the sound (1, T) of each clip at the mel's sample rate; None where there is only a mel.
        intended_db: the mels (N, M, F) in dB that the vocoder was given; None for sound of the source.
    """

    mels_db: Tensor
    mel: MelSpectrogram
    source_db: Tensor | None = None
    target: str = ""
    classifier: GenreClassifier | None = None
    linear: GenreClassifier | None = None
    waveforms: Sequence[Tensor] | None = None
    intended_db: Tensor | None = None

    def split(self, size: int) -> Iterator["MetricInput"]:
        """Yield the clips in blocks of at most `size`."""
        for start in range(0, len(self.mels_db), size):
            rows = slice(start, start + size)
            yield dataclasses.replace(
                self,
                mels_db=self.mels_db[rows],
                source_db=None if self.source_db is None else self.source_db[rows],
                waveforms=None if self.waveforms is None else self.waveforms[rows],
                intended_db=None if self.intended_db is None else self.intended_db[rows],
            )

    @cached_property
    def source(self) -> "MetricInput":
        """The clips that these were made of."""
        assert self.source_db is not None
        return MetricInput(self.source_db, self.mel)

    @property
    def duration_s(self) -> float:
        """Seconds of a clip."""
        return self.mels_db.shape[2] * self.mel.frame_s

    @cached_property
    def novelty(self) -> Tensor:
        """Onset strength (N, F) in dB."""
        return onsets.novelty(self.mels_db, self.mel)

    @cached_property
    def onsets_s(self) -> list[np.ndarray]:
        """Times of the onsets of each clip."""
        return onsets.onsets(self.novelty, self.mel.frame_s)

    @cached_property
    def hihat_onsets_s(self) -> list[np.ndarray]:
        """Times of the onsets above 6 kHz of each clip."""
        rise = onsets.novelty(self.mels_db, self.mel, onsets.HIHATS_ABOVE_HZ)
        return onsets.onsets(rise, self.mel.frame_s)

    @cached_property
    def tempo_bpm(self) -> Tensor:
        """Tempo (N,) of each clip."""
        return onsets.tempo_bpm(self.novelty, self.mel.frame_s)

    def beats_s(self, bpm: Tensor) -> list[np.ndarray]:
        """Times of the beats of each clip at a tempo (N,)."""
        return onsets.beats(self.novelty, bpm, self.mel.frame_s)

    @cached_property
    def genre_probability(self) -> np.ndarray | None:
        """The genre classifier's probability (N,) of the target genre; None without a genre classifier."""
        return None if self.classifier is None else self.classifier.probability_of(self.target, self.mels_db)

    @cached_property
    def linear_probability(self) -> np.ndarray | None:
        """The same by the linear classifier."""
        return None if self.linear is None else self.linear.probability_of(self.target, self.mels_db)
