"""Section of audio examples: source, translation, and ground truth of some held-out clips."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.reports.evaluation.scoring import clip_scores
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, evenly_spaced
from cyclegan_audio.reports.html import AudioGroup, Section, encode_audio
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import Vocoder, VocoderInput, make_vocoder

MAX_PLAYED = 2
EXPLANATION = (
    "Some clips with a ground truth, then the held-out clips with the best and the worst score. The score "
    "is the harmonic mean of the genre classifier's probability and the onset correlation with the input. "
    "The vocoder {vocoder} turns translated mels into audio. Compare with the source through the vocoder to "
    "hear which artefacts come from the vocoder alone."
)


def audio_section(evaluated: EvaluationData) -> Section:
    """Return players for some paired and some held-out clips of each direction."""
    section = Section("audio", "Audio examples", [EXPLANATION.format(vocoder=evaluated.vocoder)])
    vocoder = make_vocoder(evaluated.vocoder)
    try:
        for direction, scores in zip(evaluated.directions, evaluated.direction_scores, strict=True):
            section.audio_groups += _direction_players(direction, clip_scores(scores), evaluated, vocoder)
    except UserError as error:
        section.paragraphs = [f"No audio: {error}."]
        section.audio_groups = []
    section.numbers = {"vocoder": evaluated.vocoder, "clips": len(section.audio_groups)}
    return section


def _direction_players(
    direction: DirectionResult, scores: np.ndarray, evaluated: EvaluationData, vocoder: Vocoder
) -> list[AudioGroup]:
    groups = []
    for pair in evenly_spaced(direction.paired, MAX_PLAYED):
        translated = {f"translated ({direction.target})": pair.fake_db}
        group = player_group(str(direction), pair.clip, pair.real_db, translated, evaluated.corpus, vocoder)
        truth = evaluated.corpus.audio(pair.truth)
        group.clips.append(
            encode_audio(f"ground truth ({direction.target})", truth, evaluated.mel.sample_rate)
        )
        groups.append(group)
    order = scores.argsort()[::-1]
    chosen = [("best", row) for row in order[:MAX_PLAYED]]
    chosen += [("worst", row) for row in order[max(MAX_PLAYED, len(order) - MAX_PLAYED) :]]
    for name, row in chosen:
        example = direction.examples[row]
        translated = {f"translated ({direction.target})": example.fake_db}
        if example.rec_db is not None:
            translated["cycle (there and back)"] = example.rec_db
        title = f"{direction}, {name} (score {scores[row]:.2f})"
        groups.append(
            player_group(title, example.clip, example.real_db, translated, evaluated.corpus, vocoder)
        )
    return groups


def player_group(
    title: str,
    clip: Clip,
    real_db: Tensor,
    translated: Mapping[str, Tensor],
    corpus: Corpus,
    vocoder: Vocoder,
) -> AudioGroup:
    """Return players of a clip, of the clip through the vocoder, and of its translations.

    Args:
        title: text above the players.
        clip: the source clip.
        real_db: its mel (M, F) in dB.
        translated: label to translated mel (M, F) in dB.
        corpus: the corpus with the audio of the clip.
        vocoder: turns mels into audio.

    Raises:
        UserError: the corpus keeps no audio of the clip.
    """
    mel = corpus.mel
    source = corpus.audio(clip)
    mels_db = {"source through the vocoder": real_db, **translated}
    sounds = [
        encode_audio(f"source ({clip.genre})", source, mel.sample_rate),
        *(
            encode_audio(label, vocode(vocoder, mel_db, mel, source, real_db), mel.sample_rate)
            for label, mel_db in mels_db.items()
        ),
    ]
    return AudioGroup(f"{title}: {clip.score or clip.source} at {clip.start_s:g} s", sounds)


@torch.inference_mode()
def vocode(
    vocoder: Vocoder, mel_db: Tensor, mel: MelSpectrogram, source: Tensor, source_db: Tensor
) -> Tensor:
    """Turn a mel (M, F) in dB into audio (T,), given the source waveform (T,) and its mel (M, F)."""
    return vocoder(VocoderInput(mel_db[None], mel, len(source), source[None], source_db[None]))[0]
