"""The vocoder's own share: some clips to sound and back, with and without the model in between."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.data.corpus import Clip, Corpus
from cyclegan_audio.devices import in_threads
from cyclegan_audio.errors import UserError
from cyclegan_audio.evaluation.measures import HEARD, UNTOUCHED, VOCODER
from cyclegan_audio.metrics.artefacts import clicks_per_s
from cyclegan_audio.metrics.clip_scores import Scores
from cyclegan_audio.metrics.paired import audible_floor_db, mean_abs_db
from cyclegan_audio.vocoders import make_vocoder

TRIED = 16  # clips a direction: sound takes far longer than all else here


@dataclasses.dataclass(frozen=True)
class Vocoded:
    """Mels of sound that the vocoder made.

    Attributes:
        rows: which clips were tried.
        source_db: the source re-made from its mel alone (N, M, F); None where the vocoder needs a source.
        fake_db: the translation as it is heard; None without audio.
        faults: candidate to `clicks_per_s` and `vocoder_error_db` of the tried clips.
        missing: why something is not there; empty where all is.
    """

    rows: list[int]
    source_db: Tensor | None
    fake_db: Tensor | None
    faults: dict[str, Scores]
    missing: str = ""


@torch.inference_mode()
def vocode_some(
    name: str, corpus: Corpus, clips: Sequence[Clip], real_db: Tensor, fake_db: Tensor
) -> Vocoded:
    """Vocode at most 16 of the clips, evenly spread."""
    rows = [i * len(clips) // min(len(clips), TRIED) for i in range(min(len(clips), TRIED))]
    try:
        sources = [corpus.audio(clips[row])[None] for row in rows]
    except UserError as error:
        return Vocoded(rows, None, None, {}, f"Nothing is said of the vocoder and of clicks: {error}.")
    vocoder, mel = make_vocoder(name), corpus.mel
    heard = in_threads(
        partial(vocoder, fake_db[row][None], mel, sound.shape[1], sound, real_db[row][None])
        for row, sound in zip(rows, sources, strict=True)
    )
    faults = {
        UNTOUCHED: {"clicks_per_s": _clicks(sources, mel.sample_rate)},
        HEARD: _faults(heard, fake_db[rows], corpus),
    }
    try:
        alone = in_threads(
            partial(vocoder, real_db[row][None], mel, sound.shape[1])
            for row, sound in zip(rows, sources, strict=True)
        )
    except ValueError as error:
        missing = f"There is no vocoder round trip from the mel alone: {error}."
        return Vocoded(rows, None, _mels(heard, corpus), faults, missing)
    faults[VOCODER] = _faults(alone, real_db[rows], corpus)
    return Vocoded(rows, _mels(alone, corpus), _mels(heard, corpus), faults)


def _mels(sounds: Sequence[Tensor], corpus: Corpus) -> Tensor:
    return torch.cat([corpus.match.apply(corpus.mel.mel_db(sound), corpus.mel) for sound in sounds])


def _clicks(sounds: Sequence[Tensor], rate: int) -> np.ndarray:
    return np.array([float(found) for found in in_threads(partial(clicks_per_s, s, rate) for s in sounds)])


def _faults(sounds: Sequence[Tensor], wanted_db: Tensor, corpus: Corpus) -> Scores:
    floor_db = audible_floor_db(corpus.mel)
    pairs = zip(_mels(sounds, corpus), wanted_db, strict=True)
    errors = [mean_abs_db(made.maximum(floor_db), wanted.maximum(floor_db)) for made, wanted in pairs]
    return {"clicks_per_s": _clicks(sounds, corpus.mel.sample_rate), "vocoder_error_db": np.array(errors)}
