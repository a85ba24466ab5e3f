"""Serve unpaired mels of two genres: the dataset and its LightningDataModule."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import change_speed
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
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
    and `index_a`, `index_b` the indices in the lists. A mel gets the speed, gain, circular shift and crop to
    `crop_frames` (None: no crop) of its `ClipView`, is normalised, then padded by reflection at its end to a
    multiple of `frame_multiple`. Mels are on `device`; those at other speeds are made from the clip's audio,
    and kept if `keep_varied`.
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
        keep_varied: bool = False,
    ) -> None:
        self.corpus, self.keep_varied = corpus, keep_varied
        self.device = device
        self.clips = {"a": clips_a, "b": clips_b}
        self.crop_frames = crop_frames
        self.frame_multiple = frame_multiple
        self.cache: dict[str, list[tuple[Tensor, tuple[float, float]]]] = {}
        if in_memory:
            self.cache = {side: [self._load(clip) for clip in clips] for side, clips in self.clips.items()}
        self.at_speeds: dict[tuple[str, int, int], tuple[Tensor, tuple[float, float]]] = {}

    def __getitem__(self, pair: PairIndex) -> Batch:
        item = {}
        for side, view in zip(("a", "b"), pair, strict=True):
            mel_db, range_db = self._get(side, view.clip, view.semitones)
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

    def _get(self, side: str, index: int, semitones: int = 0) -> tuple[Tensor, tuple[float, float]]:
        """Return a whole clip as `_load` does, from a cache if there is one."""
        if semitones == 0:
            return self.cache[side][index] if self.cache else self._load(self.clips[side][index])
        key = (side, index, semitones)
        loaded = self.at_speeds.get(key) or self._load(self.clips[side][index], semitones)
        if self.keep_varied:
            self.at_speeds[key] = loaded
        return loaded

    def _load(self, clip: Clip, semitones: int = 0) -> tuple[Tensor, tuple[float, float]]:
        """Load a whole clip: its mel (M, F) and its range, both in dB; at another speed F is another, too."""
        corpus = self.corpus
        if semitones == 0:
            mel_db = corpus.mel_db(clip)
        else:
            waveform = change_speed(corpus.audio(clip), semitones)
            mel_db = corpus.normalisation.apply(corpus.mel.mel_db(waveform[None])[0], corpus.mel)
        return mel_db.to(self.device), corpus.mel.range_db(mel_db)

    def _apply_view(self, mel_db: Tensor, view: ClipView) -> Tensor:
        shifted = mel_db.roll(view.shift, 1) if view.shift else mel_db
        crop_frames, clip_frames = self.crop_frames or mel_db.shape[1], self.corpus.clip_frames
        start = view.start
        if view.semitones:  # a place at the same share of a clip with more or fewer frames
            start = start * (mel_db.shape[1] - crop_frames) // max(1, clip_frames - crop_frames)
        cropped = shifted[:, start : start + crop_frames]
        return (
            self.corpus.normalisation.apply(cropped + view.gain_db, self.corpus.mel)
            if view.gain_db
            else cropped
        )


log = get_logger(__name__)

FLOAT_BYTES = 4
LITTLE_MUSIC = 200  # training clips of a genre, below which clips are varied (experiments/014_little_music)
AUTO_VARISPEED = 2  # semitones


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
        varispeed: training clips are played slower or faster, as a record, by a random number of semitones up
            to this; `auto`: up to `AUTO_VARISPEED` if a genre has fewer than `LITTLE_MUSIC` training clips,
            crops are short enough and the corpus has audio, else not.
        val_pairs: number of validation pairs, at most the number of clips of the larger genre.
        cache_mb: mels of up to this size (2^20 bytes) are cached in memory.
        cache_device: cache mels on the training device, so that batches need no copy; `auto`: if it is a CUDA
            device and there are no workers.
        normalise: what is normalised in both genres, `loudness` and `bandwidth` (`corpus.normalisation`).
        seed: seed of pairs, order, crops, gains, shifts and speeds.
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
        varispeed: int | str = 0,
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
        _check_varispeed(varispeed)
        _check_cache_device(cache_device, num_workers)
        if crop_frames is not None:
            check_number("data.crop_frames", crop_frames, low=frame_multiple, integer=True)
        self.folder, self.required_mel = corpus, mel
        self.requested_genres = (str(genre_a), str(genre_b))
        self.batch_size, self.num_workers = batch_size, num_workers
        self.cache_device, self.normalise = cache_device, normalise
        self.crop_frames, self.frame_multiple = crop_frames, frame_multiple
        self.gain_db, self.time_shift, self.varispeed = gain_db, time_shift, varispeed
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
        n_frames, semitones = self.corpus.clip_frames, self.semitones
        bytes_per_clip, most_bytes = self.mel.n_mels * n_frames * FLOAT_BYTES, self.cache_mb * 2**20
        n_bytes = sum(map(len, train + val)) * bytes_per_clip
        in_memory = n_bytes <= most_bytes
        varied_bytes = sum(map(len, train)) * 2 * semitones * bytes_per_clip
        # Workers would keep all of them, each for itself.
        keep_varied = self.num_workers == 0 and n_bytes + varied_bytes <= most_bytes
        device = self._cache_device() if in_memory else CPU
        self.train_data, self.val_data = (
            UnpairedMelDataset(self.corpus, *clips, crop, self.frame_multiple, in_memory, device, keep_varied)
            for clips, crop in ((train, self.crop_frames), (val, None))
        )
        n_starts = n_frames - (self.crop_frames or n_frames) + 1
        self.sampler = UnpairedSampler(
            len(train[0]),
            len(train[1]),
            n_starts,
            self.seed,
            n_shifts=n_frames if self.time_shift else 1,
            gain_db=self.gain_db,
            varispeed=semitones,
        )

    @property
    def is_little_music(self) -> bool:
        """Return whether a genre has fewer than `LITTLE_MUSIC` training clips."""
        return min(map(len, self.clips("train"))) < LITTLE_MUSIC

    @cached_property
    def semitones(self) -> int:
        """The semitones up to which training clips are played slower and faster; 0 for none.

        Raises:
            UserError: `varispeed` is a number, and clips cannot be played at other speeds.
        """
        if self.varispeed != "auto":
            if self.varispeed and (problem := self.varispeed_problem(int(self.varispeed))):
                raise UserError(f"data.varispeed={self.varispeed} is not possible: {problem}")
            return int(self.varispeed)
        return AUTO_VARISPEED if self.is_little_music and not self.varispeed_problem(AUTO_VARISPEED) else 0

    def describe_varispeed(self) -> str:
        """Say what `auto` does where there is little music; "" elsewhere."""
        if self.varispeed != "auto" or not self.is_little_music:
            return ""
        counts = " and ".join(
            f"{len(clips)} of {genre}" for genre, clips in zip(self.genres, self.clips("train"), strict=True)
        )
        if self.semitones:
            return (
                f"little music ({counts} training clips): clips are also played up to {self.semitones} "
                "semitones slower and faster (data.varispeed)"
            )
        return (
            f"little music ({counts} training clips), and clips cannot be played slower and faster: "
            f"{self.varispeed_problem(AUTO_VARISPEED)}"
        )

    def varispeed_problem(self, semitones: int) -> str:
        """Say why training clips cannot be played slower and faster by so many semitones; "" if they can."""
        fastest_frames = int(0.998 * self.corpus.clip_frames / 2 ** (semitones / 12)) - 1  # rounded speeds
        if (self.crop_frames or self.corpus.clip_frames) > fastest_frames:
            return f"the fastest clips have {fastest_frames} frames; set data.crop_frames to that or less"
        if not all(self.corpus.has_audio(clip) for clips in self.clips("train") for clip in clips):
            return "the corpus has no audio of its training clips; run prepare again with audio=all"
        try:
            torchaudio_functional()
        except UserError as error:
            return str(error)
        return ""

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


def _check_varispeed(varispeed: int | str) -> None:
    if not isinstance(varispeed, str):
        check_number("data.varispeed", varispeed, low=0, high=12, integer=True)
    elif varispeed != "auto":
        raise UserError(f"data.varispeed={varispeed} is unknown; choose auto, or 0 to 12 semitones")
