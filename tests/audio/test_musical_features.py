"""Onset strength and chroma by hand, and their gradients."""

import dataclasses
import math

import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import audible_db, chroma, onset_strength, pitch_class_weights

HIGH_HZ = 6000.0


def test_onset_strength_raises_without_bands_above_the_limit(hifi: MelSpectrogram) -> None:
    with pytest.raises(ValueError, match="no mel band lies above 30000 Hz"):
        onset_strength(torch.zeros(1, 128, 40), hifi, 30000.0)


def test_audible_db_is_per_hertz_and_clipped_at_70_db(hifi: MelSpectrogram) -> None:
    mel_db = (20 * hifi.filter_bank().sum(1).log10())[:, None].repeat(1, 3)[None]
    mel_db[0, 50, 1], mel_db[0, 51, 1] = mel_db[0, 50, 1] + 6, mel_db[0, 51, 1] - 100
    expected = torch.zeros(1, 128, 3)
    expected[0, 50, 1], expected[0, 51, 1] = 6.0, -64.0
    torch.testing.assert_close(audible_db(mel_db, hifi), expected, rtol=0, atol=1e-4)


def test_onset_strength_by_hand(hifi: MelSpectrogram) -> None:
    """Two of 128 bands rise by 20 dB; a frame is 11.6 ms, so the attack lasts two frames."""
    mel_db = (20 * hifi.filter_bank().sum(1).log10())[:, None].expand(-1, 40).clone()[None]
    mel_db[:, 100:102, 20:] += 20
    expected = torch.zeros(40)
    expected[20:22] = 2 * 20 / 128
    torch.testing.assert_close(onset_strength(mel_db, hifi)[0], expected, atol=1e-4, rtol=0)
    n_high = int((hifi.band_hz >= HIGH_HZ).sum())
    assert onset_strength(mel_db, hifi, HIGH_HZ)[0, 20].item() == pytest.approx(40 / n_high, abs=1e-4)
    mel_db[:, 100:102, :20] -= 200  # 70 dB under the loudest is the least: they rise by 70
    assert onset_strength(mel_db, hifi)[0, 20].item() == pytest.approx(2 * 70 / 128, abs=1e-4)


def test_onset_strength_of_long_frames_is_the_rise_from_frame_to_frame(any_mel: MelSpectrogram) -> None:
    """22 ms are two frames of `hifi`, 11.6 ms each, and one of `paper`, 21.3 ms."""
    mel_db = torch.zeros(1, 128, 40)
    mel_db[..., 20:] = 3.0
    rising = onset_strength(mel_db, any_mel)[0].nonzero().flatten().tolist()
    assert rising == {"hifi": [20, 21], "paper": [20]}[any_mel.name]
    long_frames = dataclasses.replace(any_mel, hop_length=4096, n_fft=8192)  # an attack is half a frame
    assert onset_strength(mel_db, long_frames)[0].nonzero().flatten().tolist() == [20]


def test_pitch_class_weights_sum_to_one_inside_their_range(any_mel: MelSpectrogram) -> None:
    weights = pitch_class_weights(any_mel)
    inside = (any_mel.band_hz >= 500) & (any_mel.band_hz <= 4000)
    torch.testing.assert_close(weights.sum(0), inside.float(), atol=1e-5, rtol=0)


def test_pitch_class_weights_by_hand(hifi: MelSpectrogram) -> None:
    """A band between two semitones belongs to both by the square of a cosine."""
    weights = pitch_class_weights(hifi)
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
    expected = pitch_class_weights(hifi)[:, band, None] * torch.tensor([[1.0, 0.1]])
    torch.testing.assert_close(actual[0], expected, atol=1e-3, rtol=0)


def test_weights_that_an_evaluation_has_cached_serve_a_training(hifi: MelSpectrogram) -> None:
    mel = dataclasses.replace(hifi, name="of this test")
    with torch.inference_mode():
        pitch_class_weights(mel)
        mel.filter_bank()
    mels_db = torch.randn(1, 128, 40, requires_grad=True)
    (chroma(mels_db, mel).sum() + onset_strength(mels_db, mel).sum()).backward()
    assert mels_db.grad is not None
    assert float(mels_db.grad.abs().max()) > 0
