"""Players of clips, and the section of audio examples: source, translation, and ground truth."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.reports.evaluation.scoring import clip_scores
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, evenly_spaced
from cyclegan_audio.reports.html import Player, Section
from cyclegan_audio.reports.players import Sounding, make_player
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import Vocoder, VocoderInput, make_vocoder

MAX_PLAYED = 2
SOURCE, TRANSLATED = "before", "after"
EXPLANATION = (
    "Some clips with a ground truth, then the held-out clips with the best and the worst score. The score "
    "is the harmonic mean of the genre classifier's probability and the onset correlation with the input. "
    "The vocoder {vocoder} turns translated mels into audio; the version {source}, vocoded tells which "
    "artefacts come from the vocoder alone. All versions of a clip are equally loud."
)


def audio_section(evaluated: EvaluationData) -> Section:
    """Return players for some paired and some held-out clips of each direction."""
    section = Section("audio", "More sounds", [EXPLANATION.format(vocoder=evaluated.vocoder, source=SOURCE)])
    vocoder = make_vocoder(evaluated.vocoder)
    try:
        for direction, scores in zip(evaluated.directions, evaluated.direction_scores, strict=True):
            section.players += _direction_players(direction, clip_scores(scores), evaluated, vocoder)
    except UserError as error:
        section.missing = f"No audio: {error}."
        section.players = []
    section.numbers = {"vocoder": evaluated.vocoder, "clips": len(section.players)}
    return section


def _direction_players(
    direction: DirectionResult, scores: np.ndarray, evaluated: EvaluationData, vocoder: Vocoder
) -> list[Player]:
    corpus, players, after = evaluated.corpus, [], TRANSLATED
    for pair in evenly_spaced(direction.paired, MAX_PLAYED):
        versions = versions_of(pair.clip, pair.real_db, {after: pair.fake_db}, corpus, vocoder)
        versions.append(Sounding(f"the {direction.target} band", corpus.audio(pair.truth), pair.truth_db))
        players.append(make_player(str(direction), place_of(pair.clip), versions, corpus.mel))
    order = scores.argsort()[::-1]
    chosen = [("best", row) for row in order[:MAX_PLAYED]]
    chosen += [("worst", row) for row in order[max(MAX_PLAYED, len(order) - MAX_PLAYED) :]]
    for name, row in chosen:
        example = direction.examples[row]
        translated = {after: example.fake_db}
        if example.rec_db is not None:
            translated["there and back"] = example.rec_db
        versions = versions_of(example.clip, example.real_db, translated, corpus, vocoder)
        title = f"{direction}, {name} (score {scores[row]:.2f})"
        players.append(make_player(title, place_of(example.clip), versions, corpus.mel))
    return players


def versions_of(
    clip: Clip,
    real_db: Tensor,
    translated: Mapping[str, Tensor],
    corpus: Corpus,
    vocoder: Vocoder,
    label: str = SOURCE,
) -> list[Sounding]:
    """Return a clip, the clip through the vocoder, and its translations.

    Args:
        clip: the source clip.
        real_db: its mel (M, F) in dB.
        translated: label to translated mel (M, F) in dB.
        corpus: the corpus with the audio of the clip.
        vocoder: turns mels into audio.
        label: of the clip itself.

    Raises:
        UserError: the corpus keeps no audio of the clip.
    """
    source = corpus.audio(clip)
    vocoded = [(f"{label}, vocoded", real_db), *translated.items()]
    return [Sounding(label, source, real_db)] + [
        Sounding(name, vocode(vocoder, mel_db, corpus.mel, source, real_db), mel_db)
        for name, mel_db in vocoded
    ]


def place_of(clip: Clip) -> str:
    """Name the score or the file of a clip, and its start."""
    return f"{clip.score or clip.source} at {clip.start_s:g} s"


@torch.inference_mode()
def vocode(
    vocoder: Vocoder, mel_db: Tensor, mel: MelSpectrogram, source: Tensor, source_db: Tensor
) -> Tensor:
    """Turn a mel (M, F) in dB into audio (T,), given the source waveform (T,) and its mel (M, F)."""
    return vocoder(VocoderInput(mel_db[None], mel, len(source), source[None], source_db[None]))[0]
