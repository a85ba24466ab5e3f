"""Some clips through the vocoder and back to mels, with and without translation."""

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

MAX_CLIPS = 16  # for each direction; vocoding takes most of the time


@dataclasses.dataclass(frozen=True)
class VocodedClips:
    """Some clips as audio.

    Attributes:
        rows: indices of these clips.
        sounds: candidate to its audio: the input, the input rebuilt by the vocoder from its mel alone
            (missing where the vocoder needs a source), and the translation as heard; empty without audio.
        missing: the reason if something is missing, else "".
    """

    rows: list[int]
    sounds: dict[str, MetricInput]
    missing: str = ""


@torch.inference_mode()
def vocode_clips(
    name: str, corpus: Corpus, clips: Sequence[Clip], real_db: Tensor, fake_db: Tensor
) -> VocodedClips:
    """Vocode at most 16 of the clips, evenly spaced.

    Args:
        name: name of the vocoder.
        corpus: the corpus with the audio of the clips.
        clips: N source clips.
        real_db, fake_db: their mels (N, M, F) in dB, before and after translation.
    """
    rows = [i * len(clips) // min(len(clips), MAX_CLIPS) for i in range(min(len(clips), MAX_CLIPS))]
    try:
        sources = [corpus.audio(clips[row])[None] for row in rows]
    except UserError as error:
        return VocodedClips(rows, {}, f"Metrics of the vocoder and of clicks are missing: {error}.")
    vocoder, mel, source_db = make_vocoder(name), corpus.mel, real_db[rows]
    metric_input = partial(MetricInput, mel=mel, source_db=source_db)
    heard = parallel_map(
        partial(vocoder, VocoderInput(fake_db[row][None], mel, sound.shape[1], sound, real_db[row][None]))
        for row, sound in zip(rows, sources, strict=True)
    )
    sounds = {
        UNTOUCHED: metric_input(source_db, waveforms=sources),
        VOCODED: metric_input(_mels(heard, corpus), waveforms=heard, intended_db=fake_db[rows]),
    }
    try:
        rebuilt = parallel_map(
            partial(vocoder, VocoderInput(real_db[row][None], mel, sound.shape[1]))
            for row, sound in zip(rows, sources, strict=True)
        )
    except ValueError as error:
        return VocodedClips(rows, sounds, f"The vocoder round trip from the mel alone is missing: {error}.")
    sounds[VOCODED_SOURCE] = metric_input(_mels(rebuilt, corpus), waveforms=rebuilt, intended_db=source_db)
    return VocodedClips(rows, sounds)


def _mels(sounds: Sequence[Tensor], corpus: Corpus) -> Tensor:
    return torch.cat([corpus.normalisation.apply(corpus.mel.mel_db(sound), corpus.mel) for sound in sounds])
