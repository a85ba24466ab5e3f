"""Serve unpaired mels of two genres: the dataset and its LightningDataModule."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.data.sampler import (
    ClipView,
    PairIndex,
    ResumableDataModule,
    UnpairedSampler,
    validation_pairs,
    warn_about_large_batch,
)
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.printing import get_logger

CPU = torch.device("cpu")
Batch = dict[str, Tensor]


class UnpairedMelDataset(Dataset[Batch]):
    """Normalised mels of two lists of clips, indexed by `PairIndex`.

    An item has `real_a`, `real_b` (1, M, F) in [-1, 1], `range_db_a`, `range_db_b` (2,) the dB of -1 and 1,
    and `index_a`, `index_b` the indices in the lists. A mel gets the gain, circular shift and crop to
    `crop_frames` (None: no crop) of its `ClipView`, is normalised, then padded by reflection at its end to a
    multiple of `frame_multiple`. Mels are on `device`.
    """

    def __init__(
        self,
        corpus: Corpus,
        clips_a: Sequence[Clip],
        clips_b: Sequence[Clip],
        crop_frames: int | None,
        frame_multiple: int,
        in_memory: bool,
        device: torch.device = CPU,
    ) -> None:
        self.corpus = corpus
        self.device = device
        self.clips = {"a": clips_a, "b": clips_b}
        self.crop_frames = crop_frames
        self.frame_multiple = frame_multiple
        self.cache: dict[str, list[tuple[Tensor, tuple[float, float]]]] = {}
        if in_memory:
            self.cache = {side: [self._load(clip) for clip in clips] for side, clips in self.clips.items()}

    def __getitem__(self, pair: PairIndex) -> Batch:
        item = {}
        for side, view in zip(("a", "b"), pair, strict=True):
            mel_db, range_db = self._get(side, view.clip)
            mel = self.corpus.mel.normalise(self._apply_view(mel_db, view), range_db)
            item[f"real_{side}"] = pad_to_multiple(mel, self.frame_multiple)[None]
            item[f"range_db_{side}"] = torch.tensor(range_db, dtype=torch.float32)
            item[f"index_{side}"] = torch.tensor(view.clip)
        return item

    def band_moments(self, side: str) -> tuple[Tensor, Tensor]:
        """Compute mean and standard deviation (M,) of each band over all whole clips of a side."""
        clips = (self._get(side, index) for index in range(len(self.clips[side])))
        moments = [torch.var_mean(self.corpus.mel.normalise(*clip), 1, correction=0) for clip in clips]
        var, mean = (torch.stack(values).double() for values in zip(*moments, strict=True))
        spread = (var.mean(0) + mean.var(0, correction=0)).sqrt()  # all clips have the same length
        return mean.mean(0).float(), spread.float()

    def _get(self, side: str, index: int) -> tuple[Tensor, tuple[float, float]]:
        """Return a whole clip as `_load` does, from the cache if there is one."""
        return self.cache[side][index] if self.cache else self._load(self.clips[side][index])

    def _load(self, clip: Clip) -> tuple[Tensor, tuple[float, float]]:
        """Load a whole clip: its mel (M, F) and its range, both in dB."""
        mel_db = self.corpus.mel_db(clip)
        return mel_db.to(self.device), self.corpus.mel.range_db(mel_db)

    def _apply_view(self, mel_db: Tensor, view: ClipView) -> Tensor:
        shifted = mel_db.roll(view.shift, 1) if view.shift else mel_db
        cropped = shifted[:, view.start : view.start + (self.crop_frames or mel_db.shape[1])]
        return (
            self.corpus.normalisation.apply(cropped + view.gain_db, self.corpus.mel)
            if view.gain_db
            else cropped
        )


log = get_logger(__name__)

FLOAT_BYTES = 4


class UnpairedMelDataModule(ResumableDataModule):
    """Serves training epochs (each clip of A once, with a random clip of B), and fixed validation pairs.

    Args:
        corpus: folder of the corpus.
        genre_a: domain A.
        genre_b: domain B.
        frame_multiple: frames are padded by reflection to a multiple of it, as generators require.
        mel: mel settings that the corpus must have; None accepts any.
        batch_size: pairs in a batch.
        num_workers: processes that load; the pairs do not depend on it.
        crop_frames: frames of a random crop of training clips; None uses whole clips.
        gain_db: training clips get a random gain of up to this size.
        time_shift: training clips get a random circular shift in time.
        val_pairs: number of validation pairs, at most the number of clips of the larger genre.
        cache_mb: mels of up to this size (2^20 bytes) are cached in memory.
        cache_device: cache mels on the training device, so that batches need no copy; `auto`: if it is a CUDA
            device and there are no workers.
        normalise: what is normalised in both genres, `loudness` and `bandwidth` (`corpus.normalisation`).
        seed: seed of pairs, order, crops, gains and shifts.
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
        self.requested_genres = (str(genre_a), str(genre_b))
        self.batch_size, self.num_workers = batch_size, num_workers
        self.cache_device, self.normalise = cache_device, normalise
        self.crop_frames, self.frame_multiple = crop_frames, frame_multiple
        self.gain_db, self.time_shift = gain_db, time_shift
        self.val_pairs, self.cache_mb, self.seed = val_pairs, cache_mb, seed
        self.train_data: UnpairedMelDataset
        self.val_data: UnpairedMelDataset

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, opened, checked and normalised on first use.

        Raises:
            UserError: the folder is no corpus, has another mel, lacks a genre or its training clips, has
                clips shorter than crops, or has no measurements to normalise by.
        """
        corpus = Corpus.open(self.folder)
        self._check_corpus(corpus)
        genres = corpus.check_genres(*self.requested_genres)
        clips = {genre: corpus.clips(genre, "train") for genre in genres}
        return corpus.normalised(
            CorpusNormalisation.from_clips(clips, self.normalise, corpus.mel, f"the corpus {corpus.folder}")
        )

    @property
    def genres(self) -> tuple[str, str]:
        """Return domain A and domain B, as the corpus spells them."""
        return self.corpus.check_genres(*self.requested_genres)

    @property
    def mel(self) -> MelSpectrogram:
        """Return the mel settings of the corpus."""
        return self.corpus.mel

    @property
    def window_frames(self) -> int:
        """Return the frames F of a training batch."""
        frames = self.crop_frames or self.corpus.clip_frames
        return frames + -frames % self.frame_multiple

    def setup(self, stage: str | None = None) -> None:
        """Create datasets and sampler; a second call does nothing."""
        if hasattr(self, "train_data"):
            return
        train, val = self.clips("train"), self.clips("val")
        if val == train:
            log.warning("warning: a genre has no validation clips (too few tracks); using training clips")
        warn_about_large_batch(self.batch_size, len(train[0]), self.genres[0])
        n_frames = self.corpus.clip_frames
        n_bytes = sum(map(len, train + val)) * self.mel.n_mels * n_frames * FLOAT_BYTES
        in_memory = n_bytes <= self.cache_mb * 2**20
        device = self._cache_device() if in_memory else CPU
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
        """Return the clips of both genres in a split, to which `index_a` and `index_b` of a batch refer.

        If a genre has no validation clips, `val` returns training clips of both.
        """
        a, b = (self.corpus.clips(genre, split) for genre in self.genres)
        return (a, b) if split != "val" or (a and b) else self.clips("train")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return training batches (B, 1, M, window_frames), those of this process if several train."""
        if self.trainer is not None:
            self.sampler.distribute(self.trainer.global_rank, self.trainer.world_size, self.batch_size)
        return self._data_loader(self.train_data, self.sampler, self.num_workers)

    def validation_batches(self) -> DataLoader[Batch]:
        """Return validation batches (B, 1, M, F) of whole clips, the same in every call."""
        n_a, n_b = (len(self.val_data.clips[side]) for side in ("a", "b"))
        return self._data_loader(self.val_data, validation_pairs(n_a, n_b, self.val_pairs, self.seed), 0)

    def _data_loader(self, data: UnpairedMelDataset, pairs: Any, num_workers: int) -> DataLoader[Batch]:
        return DataLoader(
            data,
            self.batch_size,
            sampler=pairs,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available() and data.device == CPU,
        )

    def _cache_device(self) -> torch.device:
        device = CPU if self.trainer is None else self.trainer.strategy.root_device
        is_useful = device.type == "cuda" and self.num_workers == 0
        return device if self.cache_device is True or (self.cache_device == "auto" and is_useful) else CPU

    def _check_corpus(self, corpus: Corpus) -> None:
        """Check that the corpus fits these settings; see `corpus`."""
        if (mel := self.required_mel) is not None:
            required = mel if isinstance(mel, MelSpectrogram) else MelSpectrogram.from_dict(mel)
            required.check_compatible(corpus.mel, "this command", f"the corpus {corpus.folder}")
        for genre in corpus.check_genres(*self.requested_genres):
            if not corpus.clips(genre, "train"):
                raise UserError(f"{corpus.folder} has no training clips of {genre}; prepare more music")
        if self.gain_db > 0 and corpus.mel.scaling == "clip":
            raise UserError(
                f"data.gain_db={self.gain_db} has no effect with mel {corpus.mel.name}, which scales each "
                "clip to its extremes; leave it out, or prepare the corpus with mel=hifi"
            )
        if self.crop_frames is not None and self.crop_frames > corpus.clip_frames:
            raise UserError(
                f"data.crop_frames={self.crop_frames} is longer than clips of {corpus.clip_frames} frames; "
                f"choose {self.frame_multiple} to {corpus.clip_frames}, or null for whole clips"
            )


def _check_cache_device(cache_device: bool | str, num_workers: int) -> None:
    if cache_device not in (True, False, "auto"):
        raise UserError(f"data.cache_device={cache_device} is unknown; choose true, false or auto")
    if cache_device is True and num_workers > 0:
        raise UserError("data.cache_device=true needs no workers; set data.num_workers=0")
