"""Translation of held-out clips, the choice of clips, and the corpus of an evaluation."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import DEMO_PAIRS, PRETRAINED, load_model
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.listening.listening_test import make_test
from cyclegan_audio.metrics.paired_error import MODEL, UNTOUCHED
from cyclegan_audio.reports.evaluation import translations
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.translations import (
    evenly_spaced,
    mean_spectrum,
    open_corpus,
    translate_direction,
)
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import pair, quieter


class Shift(nn.Module):
    """Add a constant in the scaled range; refuse lengths that are no multiple of four."""

    frame_multiple = 4

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, mel: Tensor) -> Tensor:
        assert mel.shape[-1] % 4 == 0
        return mel + self.by


@pytest.mark.parametrize("n_frames", [4, 7, 189])
@pytest.mark.parametrize("scaling", ["fixed", "clip"])
def test_identity_generator_changes_nothing(small_mel: MelSpectrogram, n_frames: int, scaling: str) -> None:
    mel = dataclasses.replace(small_mel, scaling=scaling)
    mel_db = torch.rand(128, n_frames) * 60 - 50
    out = translate_mel_db(Shift(0.0), mel_db, mel, mel.range_db(mel_db))
    torch.testing.assert_close(out, mel_db, atol=1e-3, rtol=0)


def test_source_range_scales_the_output(small_mel: MelSpectrogram) -> None:
    mel = dataclasses.replace(small_mel, scaling="clip")
    mel_db = torch.rand(128, 8) * 40 - 50
    low, high = mel.range_db(mel_db)
    out = translate_mel_db(Shift(0.5), mel_db, mel, (low, high))
    torch.testing.assert_close(out, mel_db + 0.25 * (high - low), atol=1e-3, rtol=0)


def test_direction_has_translation_cycle_and_identity(corpus: Corpus) -> None:
    there, back = Shift(0.2), Shift(-0.1)
    pair = TranslationModel(("dull", "bright"), corpus.mel, {"ab": there, "ba": back}, 344, {})
    reported = []
    direction = translate_direction(pair, corpus, "bright", 24, lambda: reported.append(1))
    step_db = (corpus.mel.max_db - corpus.mel.min_db) / 2
    assert (direction.source, direction.target, str(direction)) == ("dull", "bright", "dull to bright")
    assert {example.clip.split for example in direction.examples} == {"test"}
    assert {pair.clip.score for pair in direction.paired} == {pair.truth.score for pair in direction.paired}
    assert len(reported) == len(direction.examples) + len(direction.paired)
    example = direction.examples[0]
    torch.testing.assert_close(example.fake_db, example.real_db + 0.2 * step_db, atol=1e-3, rtol=0)
    inside = (example.real_db > -90) & (example.real_db < 15)  # where the scaled range does not clip
    moved_db = (example.rec_db - example.real_db)[inside]
    torch.testing.assert_close(moved_db, torch.full_like(moved_db, 0.1 * step_db), atol=1e-3, rtol=0)
    assert float((example.idt_db - example.real_db).mean()) == pytest.approx(-0.1 * step_db, rel=1e-3)


def test_identity_generator_scores_as_the_untouched_input(corpus: Corpus) -> None:
    pair = TranslationModel(("dull", "bright"), corpus.mel, {"ab": Shift(0.0), "ba": Shift(0.0)}, 344, {})
    scores = translate_direction(pair, corpus, "bright", 24).score(corpus.mel)
    assert scores.error_db[MODEL].mean == pytest.approx(scores.error_db[UNTOUCHED].mean, abs=1e-3)
    assert scores.error_db[MODEL].groups == 2
    assert not scores.beats_untouched
    assert not scores.beats_filter


def test_mean_spectrum_uses_training_clips(corpus: Corpus) -> None:
    clips = corpus.clips("bright", "train")
    expected = sum(corpus.mel_db(clip).mean(1) for clip in clips) / len(clips)
    torch.testing.assert_close(mean_spectrum(corpus, "bright"), expected)


def test_evenly_spaced_takes_even_steps() -> None:
    assert evenly_spaced(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly_spaced([1, 2], 5) == [1, 2]


def test_pair_takes_the_corpus_spelling_of_genres(corpus):
    a, b = corpus.genres[:2]
    trained = dataclasses.replace(pair("hifi", quieter), mel=corpus.mel, genres=(a.upper(), b.title()))
    opened = open_corpus(trained, corpus.folder, Path("run"))
    assert trained.genres == (a, b)
    assert opened.clips(trained.targets[0], "train")
    assert trained.direction(b.upper()) == "ab"


def test_a_corpus_without_the_genres_of_the_pair_is_refused(corpus):
    genres = (f"{corpus.genres[0]}x", corpus.genres[1])
    trained = dataclasses.replace(pair("hifi", quieter), mel=corpus.mel, genres=genres)
    with pytest.raises(
        UserError, match=rf"no genre '{genres[0]}' in .*; did you mean '{corpus.genres[0]}'\?"
    ):
        open_corpus(trained, corpus.folder, Path("run"))
    assert trained.genres == genres


def test_a_pretrained_model_names_the_corpus_that_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    need = r"lofi_trap ships without the music .* of lofi and trap with mel=paper, .* --corpus DIR"
    with pytest.raises(UserError, match=need):
        evaluate("lofi_trap")
    with pytest.raises(UserError, match=need):
        make_test(["lofi_trap"])
    with pytest.raises(UserError, match="lofi_trap translates lofi and trap, not lofi and rnb; test runs"):
        make_test(["demo", "lofi_trap"])
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", DEMO_PAIRS)
def test_pairs_of_the_demo_songs_are_evaluated_on_them(name, monkeypatch):
    monkeypatch.setattr(translations, "ensure_demo_corpus", lambda: "the demo songs")
    with pytest.raises(UserError, match="the corpus the demo songs of this run does not exist"):
        open_corpus(load_model(name), None, PRETRAINED / name)


def test_second_run_may_spell_genres_differently():
    twin = pair("hifi", quieter)
    assert twin.adopt_spelling(("OTHER", "Same"))
    assert twin.genres == ("OTHER", "Same")
    assert not twin.adopt_spelling(("same", "other"))
    assert twin.genres == ("OTHER", "Same")
