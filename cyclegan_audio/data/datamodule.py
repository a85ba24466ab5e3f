"""Unpaired batches of two genres as a LightningDataModule."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.data.corpus import Clip, Corpus
from cyclegan_audio.data.matching import Match
from cyclegan_audio.data.sampler import Draw, Take, UnpairedSampler, fixed_pairs
from cyclegan_audio.errors import UserError, require_number

log = logging.getLogger(__name__)

FLOAT_BYTES = 4
Batch = dict[str, Tensor]


class UnpairedMels(Dataset[Batch]):
    """Normalised mels of two lists of clips, by `Draw`.

    An item holds `real_a`, `real_b` (1, M, F) in [-1, 1], `range_db_a`, `range_db_b` (2,) the dB of -1
    and 1, and `index_a`, `index_b` the places in the lists. Mels are made louder or softer, rolled along time
    and cut to `crop_frames` (None: not at all) as the draw says, normalised, then padded by reflection at
    the end to a multiple of `frame_multiple`; they are never played backwards.
    """

    def __init__(
        self,
        corpus: Corpus,
        clips_a: Sequence[Clip],
        clips_b: Sequence[Clip],
        crop_frames: int | None,
        frame_multiple: int,
        in_memory: bool,
    ) -> None:
        self.corpus = corpus
        self.clips = {"a": clips_a, "b": clips_b}
        self.crop_frames = crop_frames
        self.frame_multiple = frame_multiple
        self.cache: dict[str, list[tuple[Tensor, tuple[float, float]]]] = {}
        if in_memory:
            self.cache = {side: [self._load(clip) for clip in clips] for side, clips in self.clips.items()}

    def __getitem__(self, draw: Draw) -> Batch:
        item = {}
        for side, take in zip(("a", "b"), draw, strict=True):
            cached = self.cache[side][take.clip] if self.cache else None
            mel_db, range_db = cached or self._load(self.clips[side][take.clip])
            mel = self.corpus.mel.normalise(self._take(mel_db, take), range_db)
            item[f"real_{side}"] = pad_to_multiple(mel, self.frame_multiple)[None]
            item[f"range_db_{side}"] = torch.tensor(range_db, dtype=torch.float32)
            item[f"index_{side}"] = torch.tensor(take.clip)
        return item

    def _load(self, clip: Clip) -> tuple[Tensor, tuple[float, float]]:
        """The whole clip (M, F) and its range, both in dB."""
        mel_db = self.corpus.mel_db(clip)
        return mel_db, self.corpus.mel.range_db(mel_db)

    def _take(self, mel_db: Tensor, take: Take) -> Tensor:
        rolled = mel_db.roll(take.roll, 1) if take.roll else mel_db
        cut = rolled[:, take.start : take.start + (self.crop_frames or mel_db.shape[1])]
        return self.corpus.match.apply(cut + take.gain_db, self.corpus.mel) if take.gain_db else cut


class UnpairedMelDataModule(pl.LightningDataModule):
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
        time_roll: training clips begin at a random frame, what stood before it coming after their end.
        val_pairs: fixed pairs for validation, fewer where there are not as many clips.
        cache_mb: mels are kept in memory up to this size in 2^20 bytes.
        match: what is made alike in both genres, of `loudness` and `bandwidth` (`data.matching`).
        seed: of pairs, order, crops, gains and rolls.

    Attributes:
        genres: (genre_a, genre_b).
    """

    def __init__(
        self,
        corpus: str | Path,
        genre_a: str,
        genre_b: str,
        *,
        frame_multiple: int,
        mel: MelSettings | Mapping[str, Any] | None = None,
        batch_size: int = 1,
        num_workers: int = 0,
        crop_frames: int | None = None,
        gain_db: float = 0.0,
        time_roll: bool = False,
        val_pairs: int = 32,
        cache_mb: float = 1024,
        match: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_number("data.batch_size", batch_size, low=1, whole=True)
        require_number("data.num_workers", num_workers, low=0, whole=True)
        require_number("data.val_pairs", val_pairs, low=1, whole=True)
        require_number("data.cache_mb", cache_mb, low=0)
        require_number("data.gain_db", gain_db, low=0)
        if crop_frames is not None:
            require_number("data.crop_frames", crop_frames, low=frame_multiple, whole=True)
        self.folder, self.required_mel = corpus, mel
        self.genres = (str(genre_a), str(genre_b))
        self.batch_size, self.num_workers = batch_size, num_workers
        self.match = match
        self.crop_frames, self.frame_multiple = crop_frames, frame_multiple
        self.gain_db, self.time_roll = gain_db, time_roll
        self.val_pairs, self.cache_mb, self.seed = val_pairs, cache_mb, seed
        self.sampler: UnpairedSampler
        self.train_data: UnpairedMels
        self.val_data: UnpairedMels

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, opened, found fit for these settings and matched on first use.

        Raises:
            UserError: no corpus, another mel, a genre that it lacks, no training clips, crops too long, or
                nothing to match by.
        """
        corpus = Corpus.open(self.folder)
        self._require_fit(corpus)
        clips = {genre: corpus.clips(genre, "train") for genre in self.genres}
        return corpus.matched(Match.of(clips, self.match, corpus.mel, f"the corpus {corpus.folder}"))

    @property
    def mel(self) -> MelSettings:
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
        n_values = sum(map(len, train + val)) * self.mel.n_mels * self.corpus.clip_frames
        in_memory = n_values * FLOAT_BYTES <= self.cache_mb * 2**20
        self.train_data = UnpairedMels(self.corpus, *train, self.crop_frames, self.frame_multiple, in_memory)
        self.val_data = UnpairedMels(self.corpus, *val, None, self.frame_multiple, in_memory)
        n_starts = self.corpus.clip_frames - (self.crop_frames or self.corpus.clip_frames) + 1
        n_rolls = self.corpus.clip_frames if self.time_roll else 1
        self.sampler = UnpairedSampler(
            len(train[0]), len(train[1]), n_starts, self.seed, n_rolls, self.gain_db
        )

    def clips(self, split: str) -> tuple[list[Clip], list[Clip]]:
        """The clips of both genres in a split; `index_a` and `index_b` of a batch count in these lists.

        Where a genre has no validation clips, training clips stand in for both.
        """
        a, b = (self.corpus.clips(genre, split) for genre in self.genres)
        return (a, b) if split != "val" or (a and b) else self.clips("train")

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration over the training batches serves (as Lightning does)."""
        self.sampler.set_epoch(epoch)

    def start_at(self, batches_done: int) -> None:
        """Leave out that many batches of the next epoch served, to go on in its middle."""
        self.sampler.skip = batches_done * self.batch_size

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches (B, 1, M, window_frames), of this process where several train together."""
        if self.trainer is not None:
            self.sampler.share(self.trainer.global_rank, self.trainer.world_size, self.batch_size)
        return self._loader(self.train_data, self.sampler, self.num_workers)

    def held_out_batches(self) -> DataLoader[Batch]:
        """Validation batches (B, 1, M, F) of whole clips, the same each time."""
        n_a, n_b = (len(self.val_data.clips[side]) for side in ("a", "b"))
        return self._loader(self.val_data, fixed_pairs(n_a, n_b, self.val_pairs, self.seed), 0)

    def _loader(self, data: UnpairedMels, draws: Any, num_workers: int) -> DataLoader[Batch]:
        return DataLoader(
            data,
            self.batch_size,
            sampler=draws,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _require_fit(self, corpus: Corpus) -> None:
        """Refuse what cannot be trained on; see `corpus`."""
        if (mel := self.required_mel) is not None:
            wanted = mel if isinstance(mel, MelSettings) else MelSettings.from_dict(mel)
            wanted.require_same(corpus.mel, "this command", f"the corpus {corpus.folder}")
        corpus.require_genres(*self.genres)
        if self.genres[0] == self.genres[1]:
            raise UserError(f"both genres are {self.genres[0]!r}; choose two of {', '.join(corpus.genres)}")
        for genre in self.genres:
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
