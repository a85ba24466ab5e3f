"""The picture and the sounds of a card: a held-out clip of each genre before and after its translation."""

import io

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.pair_card import PICTURE, SOUNDS
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.directions import source_and_target
from cyclegan_audio.reports.evaluation.audio_examples import vocode
from cyclegan_audio.reports.evaluation.translations import TranslatedClip, held_out_clips, translate_clip
from cyclegan_audio.reports.figures.spectrograms import ClipRow, contact_sheet
from cyclegan_audio.reports.html import encode_audio
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

MAX_PICTURE_BYTES = 60_000
_DPI = (100, 80, 64, 50, 40)
_JPEG = {"quality": 80, "optimize": True, "progressive": True}
_STATES = {"real": "real {source}", "fake": "translated to {target}", "rec": "and back"}


def translate_examples(model: TranslationModel, corpus: Corpus) -> dict[str, TranslatedClip]:
    """Translate the middle held-out clip of each genre; return the clips by direction (`ab`, `ba`).

    Raises:
        UserError: the corpus has no clips that the model was not trained on.
    """
    corpus, _ = exclude_training_clips(corpus, model.training_intervals)
    examples = {}
    for direction in model.generators:
        clips = held_out_clips(corpus, source_and_target(model.genres, direction)[0], 3)  # evenly spaced
        examples[direction] = translate_clip(model, corpus, clips[len(clips) // 2])
    return examples


def draw_picture(model: TranslationModel, examples: dict[str, TranslatedClip]) -> dict[str, bytes]:
    """Draw the clips as mel-spectrograms; return the name of the picture and its JPEG, at most 60 kB."""
    rows = []
    for direction, example in examples.items():
        source, target = source_and_target(model.genres, direction)
        states = {key: mel_db for key, mel_db in example.states.items() if key in _STATES}
        labels = [_STATES[key].format(source=source, target=target) for key in states]
        rows.append(ClipRow("Frequency (Hz)", list(states.values()), labels))
    figure = contact_sheet(rows, model.mel)
    for dpi in _DPI:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="jpg", dpi=dpi, pil_kwargs=_JPEG)
        if buffer.tell() <= MAX_PICTURE_BYTES:
            break
    return {PICTURE: buffer.getvalue()}


def render_sounds(
    model: TranslationModel, corpus: Corpus, examples: dict[str, TranslatedClip]
) -> dict[str, bytes]:
    """Render the clips before and after translation; return names and sounds.

    Raises:
        UserError: the corpus keeps no audio.
    """
    vocoder, rate, sounds = make_vocoder(DEFAULT), model.mel.sample_rate, {}
    for direction, example in examples.items():
        genres = [slug(genre)[:24] for genre in source_and_target(model.genres, direction)]
        stem = "_to_".join(genres if len(set(genres)) > 1 else direction)
        source = corpus.audio(example.clip)
        translated = vocode(vocoder, example.fake_db, model.mel, source, example.real_db)
        for name, waveform in (("before", source), ("after", translated)):
            audio = encode_audio(name, waveform, rate)
            suffix = "mp3" if audio.media_type == "audio/mpeg" else "wav"
            sounds[f"{SOUNDS}/{stem}_{name}.{suffix}"] = audio.content
    return sounds
