"""Held-out clips to hear: source, translation, and the ground truth where there is one."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.reports.evaluation.per_clip import clip_scores
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, spread
from cyclegan_audio.reports.html import AudioGroup, Section, encode_audio
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import Vocoder, VocoderInput, make_vocoder

PLAYED = 2
HOW = (
    "The best and the worst held-out clips by their score (harmonic mean of the classifier's probability and the "
    "correlation of onset strength with the input), and some with a ground truth. Translated clips come "
    "back to sound by the vocoder {vocoder}; the source through the vocoder alone "
    "tells its share in what one hears from the model's."
)


def listening_section(evaluated: EvaluationData) -> Section:
    """Players for some held-out and some paired clips of each direction."""
    section = Section("audio", "What it sounds like", [HOW.format(vocoder=evaluated.vocoder)])
    vocoder = make_vocoder(evaluated.vocoder)
    try:
        for direction, measured in zip(evaluated.directions, evaluated.measured, strict=True):
            section.audio_groups += _of_direction(direction, clip_scores(measured), evaluated, vocoder)
    except UserError as error:
        section.paragraphs = [f"No audio to play: {error}."]
        section.audio_groups = []
    section.numbers = {"vocoder": evaluated.vocoder, "clips": len(section.audio_groups)}
    return section


def _of_direction(
    direction: DirectionResult, scores: np.ndarray, evaluated: EvaluationData, vocoder: Vocoder
) -> list[AudioGroup]:
    groups = []
    for pair in spread(direction.paired, PLAYED):
        made = {f"translated ({direction.target})": pair.fake_db}
        group = play(str(direction), pair.clip, pair.real_db, made, evaluated.corpus, vocoder)
        truth = evaluated.corpus.audio(pair.truth)
        group.clips.append(
            encode_audio(f"ground truth ({direction.target})", truth, evaluated.mel.sample_rate)
        )
        groups.append(group)
    order = scores.argsort()[::-1]
    chosen = [("best", row) for row in order[:PLAYED]]
    chosen += [("worst", row) for row in order[max(PLAYED, len(order) - PLAYED) :]]
    for name, row in chosen:
        example = direction.examples[row]
        made = {f"translated ({direction.target})": example.fake_db}
        if example.rec_db is not None:
            made["there and back"] = example.rec_db
        title = f"{direction}, {name} (score {scores[row]:.2f})"
        groups.append(play(title, example.clip, example.real_db, made, evaluated.corpus, vocoder))
    return groups


def play(
    title: str, clip: Clip, real_db: Tensor, made: Mapping[str, Tensor], corpus: Corpus, vocoder: Vocoder
) -> AudioGroup:
    """Players of a clip: itself, itself through the vocoder, and what was made of it, mels in dB (M, F).

    Raises:
        UserError: the corpus keeps no audio of it.
    """
    mel = corpus.mel
    source = corpus.audio(clip)
    voices = {"source through the vocoder": real_db, **made}
    sounds = [
        encode_audio(f"source ({clip.genre})", source, mel.sample_rate),
        *(
            encode_audio(label, voiced(vocoder, mel_db, mel, source, real_db), mel.sample_rate)
            for label, mel_db in voices.items()
        ),
    ]
    return AudioGroup(f"{title}: {clip.score or clip.source} at {clip.start_s:g} s", sounds)


@torch.inference_mode()
def voiced(
    vocoder: Vocoder, mel_db: Tensor, mel: MelSpectrogram, source: Tensor, source_db: Tensor
) -> Tensor:
    """(T,) a mel in dB (M, F) as sound, with the help of the source (T,) and its mel (M, F)."""
    return vocoder(VocoderInput(mel_db[None], mel, len(source), source[None], source_db[None]))[0]
