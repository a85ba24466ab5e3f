"""Harmony and bass: the same notes by another timbre are alike, other notes are not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.metrics.pitch import bass_similarity, chroma, chroma_similarity, pitch_classes

A4 = 440.0
TUNE = [(i * 0.5, i * 0.5 + 0.45, A4 * 2 ** (step / 12)) for i, step in enumerate([0, 3, 7, 10, 5, 2, 8, 0])]
OTHER = [(a, b, hz * 2 ** (4 / 12)) for a, b, hz in TUNE]
BASS = [(i * 0.5, i * 0.5 + 0.4, hz) for i, hz in enumerate([55, 82, 55, 110, 65, 98, 55, 73])]
OTHER_BASS = [(i * 0.5 + 0.25, i * 0.5 + 0.45, hz) for i, hz in enumerate([98, 55, 110, 65, 110, 55, 82, 55])]
Melody = Callable[..., Tensor]


@pytest.mark.parametrize("step", range(12))
def test_a_high_tone_falls_into_its_pitch_class(any_mel: MelSettings, melody: Melody, step: int) -> None:
    tone = melody([(0.0, 4.0, 2 * A4 * 2 ** (step / 12))], any_mel.sample_rate)
    mel_db = any_mel.mel_db(tone[None])
    found = chroma(mel_db, any_mel)[0].mean(1)
    assert min((int(found.argmax()) - step) % 12, (step - int(found.argmax())) % 12) <= 1


def test_pitch_classes_cover_their_range_only(any_mel: MelSettings) -> None:
    weights = pitch_classes(any_mel)
    inside = (any_mel.band_hz >= 500) & (any_mel.band_hz <= 4000)
    torch.testing.assert_close(weights.sum(0), inside.float(), atol=1e-5, rtol=0)


def test_the_same_tune_through_a_filter_is_alike_another_is_not(any_mel: MelSettings, melody: Melody) -> None:
    rate = any_mel.sample_rate
    tune, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (TUNE, OTHER))
    tilt_db = torch.linspace(0, -24, any_mel.n_mels)[:, None]
    assert chroma_similarity(tune, tune, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert chroma_similarity(tune, tune + tilt_db, any_mel).item() > 0.9
    assert chroma_similarity(tune, other, any_mel).item() < 0.4


def test_the_bass_line_is_followed(any_mel: MelSettings, melody: Melody) -> None:
    rate = any_mel.sample_rate
    line, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (BASS, OTHER_BASS))
    assert bass_similarity(line, line + 6, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert bass_similarity(line, other, any_mel).item() < 0.4
