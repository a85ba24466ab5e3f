"""Held-out clips to hear: source, translation, and the ground truth where there is one."""

import torch
from torch import Tensor

from cyclegan_audio.data.corpus import Clip
from cyclegan_audio.errors import UserError
from cyclegan_audio.evaluation.translations import Direction, Evaluated, spread
from cyclegan_audio.pages import Listening, Section, sound
from cyclegan_audio.vocoders import Vocoder, make_vocoder

PLAYED = 2
HOW = (
    "Translated clips come back to sound by the vocoder {vocoder}; the source through the vocoder alone "
    "tells its share in what one hears from the model's."
)


def listening_section(evaluated: Evaluated) -> Section:
    """Players for some held-out and some paired clips of each direction."""
    section = Section("audio", "What it sounds like", [HOW.format(vocoder=evaluated.vocoder)])
    vocoder = make_vocoder(evaluated.vocoder)
    try:
        for direction in evaluated.directions:
            section.listening += _of_direction(direction, evaluated, vocoder)
    except UserError as error:
        section.paragraphs = [f"No audio to play: {error}."]
        section.listening = []
    section.numbers = {"vocoder": evaluated.vocoder, "clips": len(section.listening)}
    return section


def _of_direction(direction: Direction, evaluated: Evaluated, vocoder: Vocoder) -> list[Listening]:
    groups = []
    for pair in spread(direction.paired, PLAYED):
        group = _play(direction, pair.clip, pair.real_db, pair.fake_db, evaluated, vocoder)
        truth = evaluated.corpus.audio(pair.truth)
        group.sounds.append(sound(f"ground truth ({direction.target})", truth, evaluated.mel.sample_rate))
        groups.append(group)
    for example in spread(direction.examples, PLAYED):
        groups.append(_play(direction, example.clip, example.real_db, example.fake_db, evaluated, vocoder))
    return groups


def _play(
    direction: Direction, clip: Clip, real_db: Tensor, fake_db: Tensor, evaluated: Evaluated, vocoder: Vocoder
) -> Listening:
    mel = evaluated.mel
    source = evaluated.corpus.audio(clip)

    @torch.inference_mode()
    def voiced(mel_db: Tensor) -> Tensor:
        return vocoder(mel_db[None], mel, len(source), source[None], real_db[None])[0]

    sounds = [
        sound(f"source ({direction.source})", source, mel.sample_rate),
        sound("source through the vocoder", voiced(real_db), mel.sample_rate),
        sound(f"translated ({direction.target})", voiced(fake_db), mel.sample_rate),
    ]
    return Listening(f"{direction}: {clip.score or clip.source} at {clip.start_s:g} s", sounds)
