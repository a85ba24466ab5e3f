"""Amounts of drums and rest: parsed, by hand, and on demo songs whose scores say where drums are."""

import json

import numpy as np
import pytest
import torch

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.demo import DemoSettings, make_demo_songs
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.metrics.rhythm import detect_onsets, f1_score
from cyclegan_audio.metrics.spectral import chroma_similarity
from cyclegan_audio.translation.amounts import Amount, as_amount, percussive_share
from cyclegan_audio.utils.errors import UserError

MELODIC = ("bass", "chords", "melody")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("drums=1,rest=0.3", Amount(1, 0.3)),
        ("rest=0", Amount(1, 0)),
        ("drums=.25", Amount(0.25, 1)),
        ("rest=1, drums=0", Amount(0, 1)),
    ],
)
def test_texts_are_parsed(text, amount):
    assert Amount.parse(text) == amount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drums=2", "amount drums must be a number >= 0 and <= 1, got 2"),
        ("drums=loud", "amount drums must be a number >= 0 and <= 1, got 'loud'"),
        ("drums=", "amount drums must be a number"),
        ("hats=1", "no amount of 'hats'; give a number, or drums=1,rest=0.3"),
    ],
)
def test_wrong_texts_get_advice(text, message):
    with pytest.raises(UserError, match=message):
        Amount.parse(text)


def test_a_number_is_for_both():
    assert as_amount(0.5) == Amount(0.5, 0.5)
    assert Amount(0.5, 0.5).weights(None, None, None) == 0.5
    with pytest.raises(UserError, match="amount must be a number"):
        as_amount(1.5)


def test_vertical_lines_are_drums_and_horizontal_ones_are_not(hifi):
    mels_db = torch.full((1, 128, 100), -80.0)
    mels_db[0, 30] = -10
    mels_db[0, :, 50] = -10
    share = percussive_share(mels_db, hifi)[0]
    assert float(share[60:, 50].min()) > 0.99
    assert float(share[30, :40].max()) < 0.01
    assert float(share[30, 50]) == pytest.approx(1 / (1 + 0.6**2), abs=1e-3)  # both lines


def test_drums_count_that_only_the_translation_has(hifi):
    source_db = torch.full((1, 128, 100), -80.0)
    source_db[0, 30] = -10
    fake_db = source_db.clone()
    fake_db[0, :, 50] = 0
    weights = Amount(drums=0.0, rest=1.0).weights(source_db, fake_db, hifi)
    assert float(weights[0, 60:, 50].max()) < 0.01
    assert float(weights[0, 30, :40].min()) > 0.99


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """The mel's definition; before, after (M, F) and the times of drums of two scores by both bands."""
    folder = tmp_path_factory.mktemp("scores")
    settings = DemoSettings(seed=1, songs_per_genre=0, paired_scores=2, seconds=20, genres=("lofi", "rnb"))
    model, songs = load_model("demo"), []
    for path in make_demo_songs(folder, settings, workers=1):
        target = {"lofi": "rnb", "rnb": "lofi"}[path.parent.name]
        mel_db = model.mel.mel_db(decode(path, mono=True)[0])[0]
        mel_db = mel_db[:, : mel_db.shape[1] // model.frame_multiple * model.frame_multiple]
        generator, range_db = model.generator(target), model.mel.range_db(mel_db)
        onsets_s = json.loads(path.with_suffix(".json").read_text())["onsets_s"]
        drums_s = np.concatenate([times for name, times in onsets_s.items() if name not in MELODIC])
        songs.append((mel_db, translate_mel_db(generator, mel_db, model.mel, range_db), drums_s))
    return model.mel, songs


def apply(amount, before_db, after_db, mel):
    return before_db + (after_db - before_db) * amount.weights(before_db[None], after_db[None], mel)[0]


def onset_f1(a_db, b_db, mel):
    frame_s = mel.hop_length / mel.sample_rate
    times = [detect_onsets(onset_strength(x[None], mel), frame_s)[0] for x in (a_db, b_db)]
    return f1_score(*times, 0.05)


def change_at_drums_db(a_db, b_db, drums_s, mel):
    """Mean change of eight bands' levels just after drums, where they are audible."""
    levels = [10 * torch.log10((10 ** (x / 10)).unflatten(0, (8, -1)).mean(1)) for x in (a_db, b_db)]
    frames = torch.tensor(drums_s * mel.sample_rate / mel.hop_length).round().long() + 1
    frames = frames[frames < a_db.shape[1]]
    audible = levels[0][:, frames] > levels[0].max() - 50
    return float((levels[1] - levels[0])[:, frames].abs()[audible].mean())


def test_drums_stay_without_their_amount(translated):
    mel, songs = translated
    no_drums = [apply(Amount(drums=0, rest=1), *song[:2], mel) for song in songs]
    f1 = [onset_f1(kept, before, mel) for kept, (before, _, _) in zip(no_drums, songs, strict=True)]
    change, whole = (
        [
            change_at_drums_db(before, x, drums_s, mel)
            for x, (before, _, drums_s) in zip(mels, songs, strict=True)
        ]
        for mels in (no_drums, [after for _, after, _ in songs])
    )
    assert np.mean(f1) >= 0.97
    assert np.mean(change) <= 1
    assert np.mean(whole) > 3  # the whole change is far larger


def test_harmony_stays_without_the_amount_of_the_rest(translated):
    mel, songs = translated
    no_rest = [apply(Amount(drums=1, rest=0), *song[:2], mel) for song in songs]
    kept, whole = (
        [float(chroma_similarity(x[None], song[0][None], mel)) for x, song in zip(mels, songs, strict=True)]
        for mels in (no_rest, [after for _, after, _ in songs])
    )
    assert np.mean(kept) >= 0.97
    assert np.mean(whole) < 0.95
    at_drums, all_at_drums = (
        np.mean([change_at_drums_db(song[0], x, song[2], mel) for x, song in zip(mels, songs, strict=True)])
        for mels in (no_rest, [after for _, after, _ in songs])
    )
    assert at_drums > 0.7 * all_at_drums


def test_amounts_go_through_the_translator():
    translator, noise = Translator.load("demo"), np.random.default_rng(0).normal(0, 0.1, (1, 44100))
    whole, same, drums = (
        translator(noise, 44100, to="rnb", amount=amount) for amount in (1.0, "drums=1", "rest=0")
    )
    assert np.array_equal(whole, same)
    assert np.abs(whole - drums).max() > 1e-3
    with pytest.raises(UserError, match="no amount of 'hats'"):
        translator(noise, 44100, to="rnb", amount="hats=1")
