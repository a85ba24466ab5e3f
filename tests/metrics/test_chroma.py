"""Harmony and bass: the same notes by another timbre are alike, other notes are not."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.chroma import bass_similarity, chroma, chroma_similarity, pitch_classes

A4 = 440.0
TUNE = [(i * 0.5, i * 0.5 + 0.45, A4 * 2 ** (step / 12)) for i, step in enumerate([0, 3, 7, 10, 5, 2, 8, 0])]
OTHER = [(a, b, hz * 2 ** (4 / 12)) for a, b, hz in TUNE]
BASS = [(i * 0.5, i * 0.5 + 0.4, hz) for i, hz in enumerate([55, 82, 55, 110, 65, 98, 55, 73])]
OTHER_BASS = [(i * 0.5 + 0.25, i * 0.5 + 0.45, hz) for i, hz in enumerate([98, 55, 110, 65, 110, 55, 82, 55])]
Melody = Callable[..., Tensor]


@pytest.mark.parametrize("step", range(12))
def test_a_high_tone_falls_into_its_pitch_class(any_mel: MelSpectrogram, melody: Melody, step: int) -> None:
    tone = melody([(0.0, 4.0, 2 * A4 * 2 ** (step / 12))], any_mel.sample_rate)
    mel_db = any_mel.mel_db(tone[None])
    found = chroma(mel_db, any_mel)[0].mean(1)
    assert min((int(found.argmax()) - step) % 12, (step - int(found.argmax())) % 12) <= 1


def test_pitch_classes_cover_their_range_only(any_mel: MelSpectrogram) -> None:
    weights = pitch_classes(any_mel)
    inside = (any_mel.band_hz >= 500) & (any_mel.band_hz <= 4000)
    torch.testing.assert_close(weights.sum(0), inside.float(), atol=1e-5, rtol=0)


def test_the_same_tune_through_a_filter_is_alike_another_is_not(
    any_mel: MelSpectrogram, melody: Melody
) -> None:
    rate = any_mel.sample_rate
    tune, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (TUNE, OTHER))
    tilt_db = torch.linspace(0, -24, any_mel.n_mels)[:, None]
    assert chroma_similarity(tune, tune, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert chroma_similarity(tune, tune + tilt_db, any_mel).item() > 0.9
    assert chroma_similarity(tune, other, any_mel).item() < 0.4


def test_the_bass_line_is_followed(any_mel: MelSpectrogram, melody: Melody) -> None:
    rate = any_mel.sample_rate
    line, other = (any_mel.mel_db(melody(notes, rate)[None]) for notes in (BASS, OTHER_BASS))
    assert bass_similarity(line, line + 6, any_mel).item() == pytest.approx(1, abs=1e-6)
    assert bass_similarity(line, other, any_mel).item() < 0.4


def test_the_bass_is_followed_whatever_the_equaliser_and_what_is_above(hifi: MelSpectrogram) -> None:
    n_low = int((hifi.band_hz < 250).sum())
    flat = (20 * hifi.filter_bank().sum(1).clamp_min(1e-9).log10())[:, None].expand(-1, 40).clone()
    moving = flat.clone()
    moving[:n_low, ::2] += 6
    equalised = moving + torch.where(torch.arange(128) % 2 == 0, 10.0, -10.0)[:, None]
    equalised[n_low:] = flat[n_low:] + torch.randn(128 - n_low, 40)
    assert bass_similarity(moving[None], equalised[None], hifi).item() == pytest.approx(1, abs=1e-5)
    assert bass_similarity(moving[None], flat[None], hifi).item() == 0


def test_classes_of_pitch_by_hand(hifi: MelSpectrogram) -> None:
    """A band between two semitones belongs to both by the square of a cosine."""
    weights = pitch_classes(hifi)
    for band in range(128):
        hz = float(hifi.band_hz[band])
        expected = torch.zeros(12)
        if 500 <= hz <= 4000:
            semitones = 12 * math.log2(hz / 440)
            low = math.floor(semitones)
            expected[low % 12] = math.cos(math.pi / 2 * (semitones - low)) ** 2
            expected[(low + 1) % 12] = math.sin(math.pi / 2 * (semitones - low)) ** 2
        torch.testing.assert_close(weights[:, band], expected, atol=1e-4, rtol=0)


def test_chroma_by_hand(hifi: MelSpectrogram) -> None:
    """Segments of 0.2 s are 17 frames; levels are relative to the clip's loudest point."""
    mels_db = torch.full((1, 128, 40), -400.0)
    band = int((hifi.band_hz - 880).abs().argmin())
    mels_db[0, band] = -20.0
    mels_db[0, band, 17:34] = -40.0
    actual = chroma(mels_db, hifi)
    assert actual.shape == (1, 12, 2)
    expected = pitch_classes(hifi)[:, band, None] * torch.tensor([[1.0, 0.1]])
    torch.testing.assert_close(actual[0], expected, atol=1e-3, rtol=0)


def test_loud_moments_count_more(hifi: MelSpectrogram) -> None:
    """Two moments of one clip, of which the other has only the louder; cosines 1 and 0."""
    bands = [int((hifi.band_hz - hz).abs().argmin()) for hz in (880, 1245)]
    one = torch.full((1, 128, 34), -400.0)
    one[0, bands[0]] = 0.0
    other = one.clone()
    other[0, bands[0], 17:], other[0, bands[1], 17:] = -400.0, -40.0
    alike = chroma_similarity(one, other, hifi).item()
    assert alike > 0.6
    other[0, bands[1], 17:] = 0.0
    assert chroma_similarity(one, other, hifi).item() < alike
