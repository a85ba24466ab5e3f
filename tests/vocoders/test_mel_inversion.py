"""What all ways from mel back to sound are built on."""

import dataclasses
import math

import pytest
import torch

from cyclegan_audio.vocoders.base import (
    by_frame,
    gather,
    mel_correction,
    mel_to_magnitude,
    resize_,
    size_of,
    spread,
)
from tests.vocoders.sounds import PRESETS, chords, preset


@pytest.mark.parametrize("preset_name", PRESETS)
def test_spreading_keeps_constants_and_corrections_leave_what_no_filter_sees(preset_name):
    mel = preset(preset_name)
    torch.testing.assert_close(spread(torch.full((1, 128, 2), 3.0), mel), torch.full((1, 1025, 2), 3.0))
    magnitude = torch.rand(1, 1025, 4) + 0.5
    present = mel.filter_bank() @ magnitude
    factors = mel_correction(2 * present, magnitude, mel)
    seen = mel.filter_bank().sum(0) > 0
    torch.testing.assert_close(factors[:, seen], torch.full_like(factors[:, seen], 2.0))
    assert factors[:, ~seen].eq(1).all()
    assert (~seen).sum() > 0


@pytest.mark.parametrize("preset_name", PRESETS)
def test_matrices_without_their_zeros_give_the_same_in_both_memory_orders(preset_name):
    mel = preset(preset_name)
    magnitude = torch.rand(2, 1025, 5)
    expected = mel.filter_bank() @ magnitude
    for values in (magnitude, by_frame(magnitude)):
        torch.testing.assert_close(gather(values, mel), expected)
    torch.testing.assert_close(spread(by_frame(expected), mel), spread(expected, mel))


@pytest.mark.parametrize("first", [False, True])
def test_matrices_made_inside_or_outside_of_inference_mode_serve_both(first):
    mel = dataclasses.replace(preset("hifi"), sample_rate=22050 + first, f_max_hz=11025.0)  # not made yet
    values = torch.rand(1, 30, mel.n_fft // 2 + 1).transpose(1, 2)
    out = []
    for inside in (first, not first):
        with torch.inference_mode(inside):
            out.append(gather(values.clone(), mel))
    assert torch.equal(*out)


def test_sizes_of_complex_values():
    spectrum = torch.complex(torch.randn(1, 5, 3), torch.randn(1, 5, 3))
    spectrum[0, 0, 0] = 0
    torch.testing.assert_close(size_of(spectrum), spectrum.abs())
    wanted = torch.rand(1, 5, 3)
    resized = resize_(spectrum.clone(), wanted)
    assert resized[0, 0, 0] == 0
    sounding = spectrum != 0
    torch.testing.assert_close(resized[sounding], (spectrum / spectrum.abs() * wanted)[sounding])


@pytest.mark.parametrize("preset_name", PRESETS)
def test_changed_frames_do_not_step_where_they_begin(preset_name):
    mel = preset(preset_name)
    wave = torch.sin(2 * math.pi * 100 * torch.arange(32 * mel.hop_length) / mel.sample_rate)[None]
    gain = torch.ones(1, 1, mel.n_frames(wave.shape[1]))
    gain[..., ::3] = 0.1
    spectrum = mel.stft(wave) * gain
    bend = wave.diff().diff().abs().max()
    smooth, nearest = (mel.istft(spectrum, wave.shape[1], smooth=how) for how in (True, False))
    assert smooth[:, 4096:-4096].diff().diff().abs().max() < 2 * bend
    if mel.window == "hamming":
        assert nearest[:, 4096:-4096].diff().diff().abs().max() > 10 * bend
    torch.testing.assert_close(mel.istft(mel.stft(wave), wave.shape[1], smooth=True), wave, atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset_name", PRESETS)
def test_magnitudes_from_the_mel_have_that_mel(preset_name):
    mel = preset(preset_name)
    target_db = mel.mel_db(chords(mel))
    magnitude = mel_to_magnitude(mel.db_to_mel(target_db), mel, 30)
    assert (magnitude >= 0).all()
    assert (mel.mel_db_of(magnitude) - target_db).abs().mean() < 0.3
    rough = mel_to_magnitude(mel.db_to_mel(target_db), mel, 0)
    assert (mel.mel_db_of(rough) - target_db).abs().mean() > 0.6
