"""Whole clips through generators, and the choice of clips."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.paired_error import MODEL, UNTOUCHED
from cyclegan_audio.reports.evaluation.translations import mean_spectrum, spread, translate_direction


class Shift(nn.Module):
    """Adds a constant in the scaled range; refuses lengths that are no multiple of four."""

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


def test_direction_knows_there_back_and_identity(corpus: Corpus) -> None:
    there, back = Shift(0.2), Shift(-0.1)
    pair = TranslationModel(("dull", "bright"), corpus.mel, {"ab": there, "ba": back}, 344, {})
    seen = []
    way = translate_direction(pair, corpus, "bright", 24, lambda: seen.append(1))
    step_db = (corpus.mel.max_db - corpus.mel.min_db) / 2
    assert (way.source, way.target, str(way)) == ("dull", "bright", "dull to bright")
    assert {example.clip.split for example in way.examples} == {"test"}
    assert {pair.clip.score for pair in way.paired} == {pair.truth.score for pair in way.paired}
    assert len(seen) == len(way.examples) + len(way.paired)
    example = way.examples[0]
    torch.testing.assert_close(example.fake_db, example.real_db + 0.2 * step_db, atol=1e-3, rtol=0)
    inside = (example.real_db > -90) & (example.real_db < 15)  # where the scaled range does not clip
    moved_db = (example.rec_db - example.real_db)[inside]
    torch.testing.assert_close(moved_db, torch.full_like(moved_db, 0.1 * step_db), atol=1e-3, rtol=0)
    assert float((example.idt_db - example.real_db).mean()) == pytest.approx(-0.1 * step_db, rel=1e-3)


def test_untrained_shift_scores_as_computed_by_hand(corpus: Corpus) -> None:
    pair = TranslationModel(("dull", "bright"), corpus.mel, {"ab": Shift(0.0), "ba": Shift(0.0)}, 344, {})
    scores = translate_direction(pair, corpus, "bright", 24).score(corpus.mel)
    assert scores.error_db[MODEL].mean == pytest.approx(scores.error_db[UNTOUCHED].mean, abs=1e-3)
    assert scores.error_db[MODEL].groups == 2
    assert not scores.beats_untouched
    assert not scores.beats_filter


def test_mean_spectrum_is_that_of_training_clips(corpus: Corpus) -> None:
    clips = corpus.clips("bright", "train")
    expected = sum(corpus.mel_db(clip).mean(1) for clip in clips) / len(clips)
    torch.testing.assert_close(mean_spectrum(corpus, "bright"), expected)


def test_spread_takes_even_steps() -> None:
    assert spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert spread([1, 2], 5) == [1, 2]
