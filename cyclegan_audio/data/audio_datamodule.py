"""Serve segments of a corpus's audio, for vocoders: the dataset and its LightningDataModule."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.data.sampler import EpochSampler, ResumableDataModule, warn_about_large_batch
from cyclegan_audio.utils.errors import UserError, check_number


class Segment(NamedTuple):
    """A segment: index of its clip, first sample, and gain."""

    clip: int
    start: int = 0
    gain_db: float = 0.0


def sample_segments(n_clips: int, n_starts: int, max_cut_db: float, seed: int, epoch: int) -> list[Segment]:
    """Sample an epoch: every clip once in random order, from a random start, at a random gain <= 0 dB."""
    rng = np.random.default_rng([seed, epoch])
    order, starts = rng.permutation(n_clips), rng.integers(n_starts, size=n_clips)
    gains_db = rng.uniform(-max_cut_db, 0.0, n_clips)
    return [Segment(int(i), int(s), float(g)) for i, s, g in zip(order, starts, gains_db, strict=True)]


class AudioSegmentDataset(Dataset[Tensor]):
    """Waveforms (T,) of clips, indexed by `Segment`; `n_samples` None returns whole clips."""

    def __init__(self, corpus: Corpus, clips: Sequence[Clip], n_samples: int | None) -> None:
        self.corpus, self.clips, self.n_samples = corpus, clips, n_samples

    def __getitem__(self, segment: Segment) -> Tensor:
        clip = self.corpus.audio(self.clips[segment.clip])
        waveform = clip[segment.start :][: self.n_samples or len(clip)]
        return waveform * 10 ** (segment.gain_db / 20)


class AudioSegmentDataModule(ResumableDataModule):
    """Serves one random segment of every training clip of all genres per epoch, and whole validation clips.

    Args:
        corpus: folder of a corpus with all audio.
        segment_frames: length of a segment in mel frames.
        batch_size: segments in a batch.
        max_cut_db: segments get a random attenuation of up to this size.
        val_clips: number of validation clips, spread over the genres.
        num_workers: processes that load; the segments do not depend on it.
        seed: seed of order, starts and gains.
    """

    def __init__(
        self,
        corpus: str | Path,
        *,
        segment_frames: int,
        batch_size: int,
        max_cut_db: float,
        val_clips: int,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_number("data.segment_frames", segment_frames, low=8, integer=True)
        check_number("data.batch_size", batch_size, low=1, integer=True)
        check_number("data.max_cut_db", max_cut_db, low=0)
        check_number("data.val_clips", val_clips, low=1, integer=True)
        check_number("data.num_workers", num_workers, low=0, integer=True)
        self.folder, self.segment_frames, self.batch_size = corpus, segment_frames, batch_size
        self.max_cut_db, self.val_clips = max_cut_db, val_clips
        self.num_workers, self.seed = num_workers, seed

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, opened and checked on first use.

        Raises:
            UserError: the folder is no corpus, has no audio, or its clips are shorter than segments.
        """
        corpus = Corpus.open(self.folder)
        if self.segment_frames > corpus.clip_samples // corpus.mel.hop_length:
            raise UserError(
                f"data.segment_frames={self.segment_frames} is longer than a clip; "
                f"choose at most {corpus.clip_samples // corpus.mel.hop_length}"
            )
        clips = [clip for genre in corpus.genres for clip in corpus.clips(genre, "train")]
        if not clips:
            raise UserError(f"{self.folder} has no training clips; prepare more music")
        corpus.audio(clips[0])
        return corpus

    @property
    def mel(self) -> MelSpectrogram:
        """Return the mel settings of the corpus."""
        return self.corpus.mel

    def clips(self, split: str) -> list[Clip]:
        """Return the clips of all genres in a split, by genre; training clips if the split is empty."""
        clips = [clip for genre in self.corpus.genres for clip in self.corpus.clips(genre, split)]
        return clips or self.clips("train")

    def setup(self, stage: str | None = None) -> None:
        """Create the sampler; a second call does nothing."""
        if hasattr(self, "sampler"):
            return
        n_clips, n_samples = len(self.clips("train")), self.segment_frames * self.mel.hop_length
        warn_about_large_batch(self.batch_size, n_clips, f"the corpus {self.folder}")
        n_starts = self.corpus.clip_samples - n_samples + 1
        self.sampler = EpochSampler(
            n_clips, lambda epoch: sample_segments(n_clips, n_starts, self.max_cut_db, self.seed, epoch)
        )

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return training batches (B, segment_frames * hop_length)."""
        data = AudioSegmentDataset(
            self.corpus, self.clips("train"), self.segment_frames * self.mel.hop_length
        )
        return DataLoader(
            data,
            self.batch_size,
            sampler=self.sampler,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Return single whole clips (1, T), the same in every call."""
        clips = self.clips("val")
        step = max(1, len(clips) // self.val_clips)
        chosen = [Segment(index) for index in range(0, len(clips), step)][: self.val_clips]
        return DataLoader(AudioSegmentDataset(self.corpus, clips, None), 1, sampler=chosen)
