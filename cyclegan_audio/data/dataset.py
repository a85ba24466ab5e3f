"""Unpaired mels of two genres as a dataset."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.data.sampler import ClipView, PairIndex

CPU = torch.device("cpu")
Batch = dict[str, Tensor]


class UnpairedMelDataset(Dataset[Batch]):
    """Normalised mels of two lists of clips, by `Draw`.

    An item holds `real_a`, `real_b` (1, M, F) in [-1, 1], `range_db_a`, `range_db_b` (2,) the dB of -1
    and 1, and `index_a`, `index_b` the places in the lists. Mels are made louder or softer, rolled along time
    and cut to `crop_frames` (None: not at all) as the draw says, normalised, then padded by reflection at
    the end to a multiple of `frame_multiple`; they are never played backwards. Mels lie on `device`.
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

    def __getitem__(self, draw: PairIndex) -> Batch:
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
        return mel_db.to(self.device), self.corpus.mel.range_db(mel_db)

    def _take(self, mel_db: Tensor, take: ClipView) -> Tensor:
        rolled = mel_db.roll(take.shift, 1) if take.shift else mel_db
        cut = rolled[:, take.start : take.start + (self.crop_frames or mel_db.shape[1])]
        return self.corpus.normalisation.apply(cut + take.gain_db, self.corpus.mel) if take.gain_db else cut
