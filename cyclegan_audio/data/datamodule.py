"""Unpaired batches of two genres as a LightningDataModule."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.data.base_datamodule import ResumableDataModule
from cyclegan_audio.data.dataset import CPU, Batch, UnpairedMelDataset
from cyclegan_audio.data.sampler import UnpairedSampler, validation_pairs, warn_of_large_batch
from cyclegan_audio.utils.errors import UserError, check_number

log = logging.getLogger(__name__)

FLOAT_BYTES = 4


class UnpairedMelDataModule(ResumableDataModule):
    """Training: an epoch goes once over genre A, B is drawn at random. Validation: fixed pairs.

    Args:
        corpus: folder of the corpus.
        genre_a: domain A.
        genre_b: domain B.
        frame_multiple: frames are padded by reflection to a multiple of it, as the generators need.
        mel: refuse a corpus with another mel; None takes the corpus's own.
        batch_size: pairs in a batch.
        num_workers: processes that load; the pairs do not depend on it.
        crop_frames: frames of a random cut in time for training; None takes whole clips.
        gain_db: training clips become louder or softer by up to this, at random.
        time_shift: training clips begin at a random frame, what stood before it coming after their end.
        val_pairs: fixed pairs for validation, fewer where there are not as many clips.
        cache_mb: mels are kept in memory up to this size in 2^20 bytes.
        cache_device: keep mels on the device that trains, so that no batch has to be copied there;
            `auto`: where that is a CUDA device and no worker loads them.
        normalise: what is made alike in both genres, of `loudness` and `bandwidth` (`corpus.normalisation`).
        seed: of pairs, order, crops, gains and rolls.
    """

    def __init__(
        self,
        corpus: str | Path,
        genre_a: str,
        genre_b: str,
        *,
        frame_multiple: int,
        mel: MelSpectrogram | Mapping[str, Any] | None = None,
        batch_size: int = 1,
        num_workers: int = 0,
        crop_frames: int | None = None,
        gain_db: float = 0.0,
        time_shift: bool = False,
        val_pairs: int = 32,
        cache_mb: float = 1024,
        cache_device: bool | str = "auto",
        normalise: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_number("data.batch_size", batch_size, low=1, integer=True)
        check_number("data.num_workers", num_workers, low=0, integer=True)
        check_number("data.val_pairs", val_pairs, low=1, integer=True)
        check_number("data.cache_mb", cache_mb, low=0)
        check_number("data.gain_db", gain_db, low=0)
        _check_cache_device(cache_device, num_workers)
        if crop_frames is not None:
            check_number("data.crop_frames", crop_frames, low=frame_multiple, integer=True)
        self.folder, self.required_mel = corpus, mel
        self.named_genres = (str(genre_a), str(genre_b))
        self.batch_size, self.num_workers = batch_size, num_workers
        self.cache_device, self.normalise = cache_device, normalise
        self.crop_frames, self.frame_multiple = crop_frames, frame_multiple
        self.gain_db, self.time_shift = gain_db, time_shift
        self.val_pairs, self.cache_mb, self.seed = val_pairs, cache_mb, seed
        self.train_data: UnpairedMelDataset
        self.val_data: UnpairedMelDataset

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, opened, found fit for these settings and matched on first use.

        Raises:
            UserError: no corpus, another mel, a genre that it lacks, no training clips, crops too long, or
                nothing to match by.
        """
        corpus = Corpus.open(self.folder)
        self._check_corpus(corpus)
        genres = corpus.check_genres(*self.named_genres)
        clips = {genre: corpus.clips(genre, "train") for genre in genres}
        return corpus.normalised(
            CorpusNormalisation.of(clips, self.normalise, corpus.mel, f"the corpus {corpus.folder}")
        )

    @property
    def genres(self) -> tuple[str, str]:
        """Domain A and domain B, as the corpus spells them."""
        return self.corpus.check_genres(*self.named_genres)

    @property
    def mel(self) -> MelSpectrogram:
        """The corpus's mel settings."""
        return self.corpus.mel

    @property
    def window_frames(self) -> int:
        """Frames F of a training batch."""
        frames = self.crop_frames or self.corpus.clip_frames
        return frames + -frames % self.frame_multiple

    def setup(self, stage: str | None = None) -> None:
        """Load what training and validation need; a second call does nothing."""
        if hasattr(self, "train_data"):
            return
        train, val = self.clips("train"), self.clips("val")
        if val == train:
            log.warning("warning: a genre has no validation clips (too few tracks): training clips stand in")
        warn_of_large_batch(self.batch_size, len(train[0]), self.genres[0])
        n_frames = self.corpus.clip_frames
        n_bytes = sum(map(len, train + val)) * self.mel.n_mels * n_frames * FLOAT_BYTES
        in_memory = n_bytes <= self.cache_mb * 2**20
        device = self._device() if in_memory else CPU
        self.train_data, self.val_data = (
            UnpairedMelDataset(self.corpus, *clips, crop, self.frame_multiple, in_memory, device)
            for clips, crop in ((train, self.crop_frames), (val, None))
        )
        n_starts = n_frames - (self.crop_frames or n_frames) + 1
        n_rolls = n_frames if self.time_shift else 1
        self.sampler = UnpairedSampler(
            len(train[0]), len(train[1]), n_starts, self.seed, n_rolls, self.gain_db
        )

    def clips(self, split: str) -> tuple[list[Clip], list[Clip]]:
        """The clips of both genres in a split; `index_a` and `index_b` of a batch count in these lists.

        Where a genre has no validation clips, training clips stand in for both.
        """
        a, b = (self.corpus.clips(genre, split) for genre in self.genres)
        return (a, b) if split != "val" or (a and b) else self.clips("train")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches (B, 1, M, window_frames), of this process where several train together."""
        if self.trainer is not None:
            self.sampler.share(self.trainer.global_rank, self.trainer.world_size, self.batch_size)
        return self._loader(self.train_data, self.sampler, self.num_workers)

    def held_out_batches(self) -> DataLoader[Batch]:
        """Validation batches (B, 1, M, F) of whole clips, the same each time."""
        n_a, n_b = (len(self.val_data.clips[side]) for side in ("a", "b"))
        return self._loader(self.val_data, validation_pairs(n_a, n_b, self.val_pairs, self.seed), 0)

    def _loader(self, data: UnpairedMelDataset, draws: Any, num_workers: int) -> DataLoader[Batch]:
        return DataLoader(
            data,
            self.batch_size,
            sampler=draws,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available() and data.device == CPU,
        )

    def _device(self) -> torch.device:
        device = CPU if self.trainer is None else self.trainer.strategy.root_device
        pays = device.type == "cuda" and self.num_workers == 0
        return device if self.cache_device is True or (self.cache_device == "auto" and pays) else CPU

    def _check_corpus(self, corpus: Corpus) -> None:
        """Refuse what cannot be trained on; see `corpus`."""
        if (mel := self.required_mel) is not None:
            wanted = mel if isinstance(mel, MelSpectrogram) else MelSpectrogram.from_dict(mel)
            wanted.check_compatible(corpus.mel, "this command", f"the corpus {corpus.folder}")
        for genre in corpus.check_genres(*self.named_genres):
            if not corpus.clips(genre, "train"):
                raise UserError(f"{corpus.folder} has no training clips of {genre}; prepare more music")
        if self.gain_db > 0 and corpus.mel.scaling == "clip":
            raise UserError(
                f"data.gain_db={self.gain_db} does nothing for mel {corpus.mel.name}, which scales each clip "
                "to its own extremes; leave it out, or prepare the corpus with mel=hifi"
            )
        if self.crop_frames is not None and self.crop_frames > corpus.clip_frames:
            raise UserError(
                f"data.crop_frames={self.crop_frames} does not fit clips of {corpus.clip_frames} frames; "
                f"choose {self.frame_multiple} to {corpus.clip_frames}, or null for whole clips"
            )


def _check_cache_device(cache_device: bool | str, num_workers: int) -> None:
    if cache_device not in (True, False, "auto"):
        raise UserError(f"data.cache_device={cache_device} is not known; choose true, false or auto")
    if cache_device is True and num_workers > 0:
        raise UserError("data.cache_device=true has no use for workers; choose data.num_workers=0")
