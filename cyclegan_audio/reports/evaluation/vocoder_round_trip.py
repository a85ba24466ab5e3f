"""The vocoder's own share: some clips to sound and back, with and without the model in between."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.metric_spec import UNTOUCHED, VOCODED, VOCODED_SOURCE, MetricInput
from cyclegan_audio.utils.devices import parallel_map
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput, make_vocoder

TRIED = 16  # clips a direction: sound takes far longer than all else here


@dataclasses.dataclass(frozen=True)
class Vocoded:
    """Some clips as sound.

    Attributes:
        rows: which clips were tried.
        sounds: candidate to its sound: the input, the input re-made by the vocoder from its mel alone (not
            where the vocoder needs a source), and the translation as it is heard; empty without audio.
        missing: why something is not there; empty where all is.
    """

    rows: list[int]
    sounds: dict[str, MetricInput]
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
        return Vocoded(rows, {}, f"Nothing is said of the vocoder and of clicks: {error}.")
    vocoder, mel, source_db = make_vocoder(name), corpus.mel, real_db[rows]
    sound_of = partial(MetricInput, mel=mel, source_db=source_db)
    heard = parallel_map(
        partial(vocoder, VocoderInput(fake_db[row][None], mel, sound.shape[1], sound, real_db[row][None]))
        for row, sound in zip(rows, sources, strict=True)
    )
    sounds = {
        UNTOUCHED: sound_of(source_db, waveforms=sources),
        VOCODED: sound_of(_mels(heard, corpus), waveforms=heard, intended_db=fake_db[rows]),
    }
    try:
        alone = parallel_map(
            partial(vocoder, VocoderInput(real_db[row][None], mel, sound.shape[1]))
            for row, sound in zip(rows, sources, strict=True)
        )
    except ValueError as error:
        return Vocoded(rows, sounds, f"There is no vocoder round trip from the mel alone: {error}.")
    sounds[VOCODED_SOURCE] = sound_of(_mels(alone, corpus), waveforms=alone, intended_db=source_db)
    return Vocoded(rows, sounds)


def _mels(sounds: Sequence[Tensor], corpus: Corpus) -> Tensor:
    return torch.cat([corpus.normalisation.apply(corpus.mel.mel_db(sound), corpus.mel) for sound in sounds])
