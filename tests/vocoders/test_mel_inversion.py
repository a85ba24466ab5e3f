"""What all ways from mel back to sound are built on."""

import dataclasses
import math

import pytest
import torch

from cyclegan_audio.vocoders.base import (
    bins_to_mel,
    by_frame,
    fast_abs,
    mel_consistent,
    mel_correction,
    mel_to_bins,
    mel_to_magnitude,
    resize_,
)
from cyclegan_audio.vocoders.griffin_lim import griffin_lim, random_phase
from cyclegan_audio.vocoders.mask import mask_gain
from tests.vocoders.sounds import PRESETS, chords, preset


@pytest.mark.parametrize("preset_name", PRESETS)
def test_spreading_keeps_constants_and_corrections_leave_what_no_filter_sees(preset_name):
    mel = preset(preset_name)
    torch.testing.assert_close(mel_to_bins(torch.full((1, 128, 2), 3.0), mel), torch.full((1, 1025, 2), 3.0))
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
        torch.testing.assert_close(bins_to_mel(values, mel), expected)
    torch.testing.assert_close(mel_to_bins(by_frame(expected), mel), mel_to_bins(expected, mel))


@pytest.mark.parametrize("first", [False, True])
def test_matrices_made_inside_or_outside_of_inference_mode_serve_both(first):
    mel = dataclasses.replace(preset("hifi"), sample_rate=22050 + first, f_max_hz=11025.0)  # not made yet
    values = torch.rand(1, 30, mel.n_fft // 2 + 1).transpose(1, 2)
    out = []
    for inside in (first, not first):
        with torch.inference_mode(inside):
            out.append(bins_to_mel(values.clone(), mel))
    assert torch.equal(*out)


def test_sizes_of_complex_values():
    spectrum = torch.complex(torch.randn(1, 5, 3), torch.randn(1, 5, 3))
    spectrum[0, 0, 0] = 0
    torch.testing.assert_close(fast_abs(spectrum), spectrum.abs())
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
    smooth, nearest = (mel.istft(spectrum, wave.shape[1], hann_synthesis=how) for how in (True, False))
    assert smooth[:, 4096:-4096].diff().diff().abs().max() < 2 * bend
    if mel.window == "hamming":
        assert nearest[:, 4096:-4096].diff().diff().abs().max() > 10 * bend
    torch.testing.assert_close(
        mel.istft(mel.stft(wave), wave.shape[1], hann_synthesis=True), wave, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("preset_name", PRESETS)
def test_magnitudes_from_the_mel_have_that_mel(preset_name):
    mel = preset(preset_name)
    target_db = mel.mel_db(chords(mel))
    magnitude = mel_to_magnitude(mel.db_to_mel(target_db), mel, 30)
    assert (magnitude >= 0).all()
    assert (mel.magnitude_to_mel_db(magnitude) - target_db).abs().mean() < 0.3
    rough = mel_to_magnitude(mel.db_to_mel(target_db), mel, 0)
    assert (mel.magnitude_to_mel_db(rough) - target_db).abs().mean() > 0.6


def test_corrections_are_limited_to_a_thousand():
    mel = preset("hifi")
    magnitude = torch.ones(1, 1025, 1)
    present = mel.filter_bank() @ magnitude
    inputs = mel.filter_bank().sum(0) > 0
    for factor, expected in ((1e5, 1e3), (1e-5, 1e-3), (7.0, 7.0)):
        actual = mel_correction(factor * present, magnitude, mel)[:, inputs]
        torch.testing.assert_close(actual, torch.full_like(actual, expected))
    at_floor = mel_correction(torch.full_like(present, mel.floor), 1e-9 * magnitude, mel)
    torch.testing.assert_close(at_floor, torch.ones_like(at_floor))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_griffin_lim_is_that_of_the_paper(momentum):
    """t = P(c), c = t + momentum (t - t before), each brought to the wanted size (Perraudin 2013, alg. 2)."""
    mel, n_samples = preset("hifi"), 12 * 512
    generator = torch.Generator().manual_seed(0)
    shape = (1, 1025, mel.n_frames(n_samples))
    start = torch.complex(*(torch.randn(shape, generator=generator) for _ in range(2)))
    estimate, before = start, None
    for _ in range(3):
        consistent = mel.stft(mel.istft(estimate, n_samples))
        ahead = consistent if before is None else consistent + momentum * (consistent - before)
        estimate, before = start.abs() * ahead / ahead.abs(), consistent
    actual = griffin_lim(start, mel, n_samples, 3, momentum)
    assert (actual - estimate).abs().square().mean().sqrt() < 1e-2 * start.abs().square().mean().sqrt()
    torch.testing.assert_close(actual.abs(), start.abs(), rtol=1e-4, atol=1e-4)
    if momentum == 0.99:
        assert torch.equal(griffin_lim(start, mel, n_samples, 3), actual)


@pytest.mark.parametrize(("rounds", "momentum"), [(0, 0.5), (1, 0.5), (3, 0.3)])
def test_rounds_of_mel_consistency_one_by_one(rounds, momentum):
    mel = preset("hifi")
    source = chords(mel, 0.3)
    target = mel.db_to_mel(mel.mel_db(source) + torch.linspace(-6, 6, 128)[:, None])
    spectrum = mel.stft(source)
    unseen = mel.filter_bank().sum(0) == 0
    now = before = spectrum
    for _ in range(rounds):
        corrected = now * mel_correction(target, now.abs(), mel)
        after = mel.stft(mel.istft(corrected, source.shape[1], hann_synthesis=True))
        after[:, unseen] = spectrum[:, unseen]
        now, before = before + (1 + momentum) * (after - before), after
    expected = mel.istft(now * mel_correction(target, now.abs(), mel), source.shape[1], hann_synthesis=True)
    actual = mel_consistent(spectrum.clone(), target, mel, source.shape[1], rounds, momentum)
    assert (actual - expected).norm() < 1e-3 * expected.norm()


def test_gains_of_the_mask_by_hand():
    mel = preset("hifi")
    source_db = torch.full((1, 128, 3), -40.0)
    change_db = torch.tensor([-100.0, -6.0, 40.0])
    gain = mask_gain(source_db, source_db + change_db, mel, 60.0, 12.0)
    expected = 10 ** (torch.tensor([-60.0, -6.0, 12.0]) / 20)
    torch.testing.assert_close(gain, expected.expand(1, 1025, 3), rtol=1e-4, atol=1e-6)


def test_random_phases_go_once_round_and_follow_the_seed():
    like = torch.zeros(2, 100, 50)
    phase = random_phase(like, 3)
    assert torch.equal(phase[0], phase[1])
    assert phase.min() >= 0
    assert 6.27 < phase.max() < math.tau
    assert torch.equal(phase, random_phase(like, 3))
    assert not torch.equal(phase, random_phase(like, 4))
