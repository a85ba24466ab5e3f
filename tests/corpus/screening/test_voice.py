"""Tests of the voice rule: the network equals silero-vad's, and music without voice is kept."""

import importlib.util

import numpy as np
import pytest
import torch

from cyclegan_audio.corpus.screening import VoiceActivity, voice
from cyclegan_audio.utils.errors import UserError

needs_extra = pytest.mark.skipif(voice.model_file() is None, reason="the extra `voice` is not installed")


def vowels(seconds: float = 4.0, rate: int = voice.SAMPLE_RATE) -> torch.Tensor:
    """A buzz near 120 Hz through two formants that jump five times a second, with pauses: close to speech."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * rate)) / rate
    formants = rng.uniform((300, 900), (800, 2300), (int(seconds * 5) + 1, 2))[(t * 5).astype(int)]
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / rate
    out = np.zeros_like(t)
    for k in range(1, 30):
        gain = sum(1 / (1 + ((k * 120 - formants[:, i]) / 90) ** 2) for i in range(2))
        out += gain * np.sin(k * phase) / k**0.3
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * t) + 0.6, 0, 1)
    return torch.from_numpy(0.1 * out * envelope / np.std(out)).float()


@needs_extra
def test_the_network_equals_the_streaming_model():
    threads = torch.get_num_threads()
    model = torch.jit.load(voice.model_file(), map_location="cpu")
    n = 62 * voice.FRAME_SAMPLES
    for one in (vowels(2.0)[:n], 0.05 * torch.randn(n)):
        model.reset_states()
        streamed = torch.cat(
            [model(chunk[None], voice.SAMPLE_RATE)[0] for chunk in one.split(voice.FRAME_SAMPLES)]
        )
        # Rounding alone: 2e-6 to 1.3e-5 apart, by the CPU and the noise; each step goes on from the last.
        torch.testing.assert_close(voice.voice_probabilities(one[None])[0], streamed, rtol=0, atol=1e-4)
    assert voice.voice_probabilities(torch.zeros(2, n + 1)).shape == (2, 63)
    assert torch.get_num_threads() == threads


@needs_extra
def test_voice_is_rejected_and_noise_and_tones_are_not():
    rule = VoiceActivity(enabled=True)
    assert rule.rejects(vowels(), voice.SAMPLE_RATE, -20.0)
    t = torch.arange(4 * 44_100) / 44_100
    chord = sum(torch.sin(2 * torch.pi * hz * t) for hz in (220, 277, 330)) / 10
    hats = torch.randn(len(t), generator=torch.Generator().manual_seed(0)) * ((t % 0.25) < 0.03) * 0.1
    assert not rule.rejects(chord + hats, 44_100, -20.0)


def test_sustained_sound_is_suppressed_at_the_same_level():
    t = torch.arange(4 * voice.SAMPLE_RATE) / voice.SAMPLE_RATE
    drone = 0.1 * torch.sin(2 * torch.pi * 300 * t)
    speech = vowels()
    mix = drone + 0.3 * speech
    residual = voice.suppress_sustained(mix)
    assert float(residual.square().mean()) == pytest.approx(float(mix.square().mean()), rel=1e-3)
    tone = [float((x * torch.exp(600j * torch.pi * t)).mean().abs()) for x in (mix, residual)]
    assert tone[1] < 0.5 * tone[0]
    assert voice.suppress_sustained(torch.zeros(voice.SAMPLE_RATE)).abs().max() == 0
    hiss = 1e-4 * torch.randn(len(t), generator=torch.Generator().manual_seed(0))
    residual = voice.suppress_sustained(drone + hiss)  # its two ends, and the hiss
    assert residual.square().mean().sqrt() < 0.5 * drone.square().mean().sqrt()


def test_the_median_of_each_bin_is_subtracted():
    """Over frames of 64 ms each 16 ms; the rest is brought to the level of the whole."""
    wave = vowels(1.0) + 0.02 * torch.sin(
        300 * 2 * torch.pi * torch.arange(voice.SAMPLE_RATE) / voice.SAMPLE_RATE
    )
    window = torch.hann_window(1024)
    spectrum = torch.stft(wave, 1024, 256, window=window, return_complex=True)
    size = spectrum.abs()
    residual = spectrum * (1 - size.median(1, keepdim=True).values / size.clamp_min(1e-9)).clamp_min(0)
    expected = torch.istft(residual, 1024, 256, window=window, length=len(wave))
    expected = expected * wave.std() / expected.std()
    torch.testing.assert_close(voice.suppress_sustained(wave), expected, rtol=0, atol=1e-5)


def test_without_the_extra_auto_is_false_and_true_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert VoiceActivity(enabled="auto").enabled is False
    with pytest.raises(UserError, match=r"cyclegan_audio\[voice\]"):
        VoiceActivity(enabled=True)
