"""Test the inversion of the mel, Griffin-Lim and mel consistency."""

import dataclasses
import math

import pytest
import torch

from cyclegan_audio.vocoders.griffin_lim import griffin_lim, random_phase
from cyclegan_audio.vocoders.mask import mask_gain
from cyclegan_audio.vocoders.mel_inversion import (
    bins_to_mel,
    fast_abs,
    mel_consistent_waveform,
    mel_correction,
    mel_to_bins,
    mel_to_magnitude,
    set_magnitude_,
    to_frame_order,
)
from tests.vocoders.sounds import PRESETS, chords, preset


@pytest.mark.parametrize("preset_name", PRESETS)
def test_mel_to_bins_keeps_constants_and_corrections_leave_uncovered_bins(preset_name):
    mel = preset(preset_name)
    torch.testing.assert_close(mel_to_bins(torch.full((1, 128, 2), 3.0), mel), torch.full((1, 1025, 2), 3.0))
    magnitude = torch.rand(1, 1025, 4) + 0.5
    current = mel.filter_bank() @ magnitude
    factors = mel_correction(2 * current, magnitude, mel)
    covered = mel.filter_bank().sum(0) > 0
    torch.testing.assert_close(factors[:, covered], torch.full_like(factors[:, covered], 2.0))
    assert factors[:, ~covered].eq(1).all()
    assert (~covered).sum() > 0


@pytest.mark.parametrize("preset_name", PRESETS)
def test_block_matrices_give_the_same_in_both_memory_orders(preset_name):
    mel = preset(preset_name)
    magnitude = torch.rand(2, 1025, 5)
    expected = mel.filter_bank() @ magnitude
    for values in (magnitude, to_frame_order(magnitude)):
        torch.testing.assert_close(bins_to_mel(values, mel), expected)
    torch.testing.assert_close(mel_to_bins(to_frame_order(expected), mel), mel_to_bins(expected, mel))


@pytest.mark.parametrize("first", [False, True])
def test_matrices_built_inside_or_outside_of_inference_mode_work_in_both(first):
    mel = dataclasses.replace(preset("hifi"), sample_rate=22050 + first, f_max_hz=11025.0)  # not cached yet
    values = torch.rand(1, 30, mel.n_fft // 2 + 1).transpose(1, 2)
    out = []
    for inside in (first, not first):
        with torch.inference_mode(inside):
            out.append(bins_to_mel(values.clone(), mel))
    assert torch.equal(*out)


def test_magnitudes_of_complex_values():
    spectrum = torch.complex(torch.randn(1, 5, 3), torch.randn(1, 5, 3))
    spectrum[0, 0, 0] = 0
    torch.testing.assert_close(fast_abs(spectrum), spectrum.abs())
    magnitude = torch.rand(1, 5, 3)
    scaled = set_magnitude_(spectrum.clone(), magnitude)
    assert scaled[0, 0, 0] == 0
    sounding = spectrum != 0
    torch.testing.assert_close(scaled[sounding], (spectrum / spectrum.abs() * magnitude)[sounding])


@pytest.mark.parametrize("preset_name", PRESETS)
def test_hann_synthesis_avoids_steps_between_modified_frames(preset_name):
    mel = preset(preset_name)
    wave = torch.sin(2 * math.pi * 100 * torch.arange(32 * mel.hop_length) / mel.sample_rate)[None]
    gain = torch.ones(1, 1, mel.n_frames(wave.shape[1]))
    gain[..., ::3] = 0.1
    spectrum = mel.stft(wave) * gain
    bend = wave.diff().diff().abs().max()
    smooth, nearest = (
        mel.istft(spectrum, wave.shape[1], hann_synthesis=is_hann) for is_hann in (True, False)
    )
    assert smooth[:, 4096:-4096].diff().diff().abs().max() < 2 * bend
    if mel.window == "hamming":
        assert nearest[:, 4096:-4096].diff().diff().abs().max() > 10 * bend
    torch.testing.assert_close(
        mel.istft(mel.stft(wave), wave.shape[1], hann_synthesis=True), wave, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("preset_name", PRESETS)
def test_magnitudes_from_a_mel_have_that_mel(preset_name):
    mel = preset(preset_name)
    target_db = mel.mel_db(chords(mel))
    magnitude = mel_to_magnitude(mel.db_to_mel(target_db), mel, 30)
    assert (magnitude >= 0).all()
    assert (mel.magnitude_to_mel_db(magnitude) - target_db).abs().mean() < 0.3
    rough = mel_to_magnitude(mel.db_to_mel(target_db), mel, 0)
    assert (mel.magnitude_to_mel_db(rough) - target_db).abs().mean() > 0.6


def test_corrections_are_limited_to_a_factor_of_1000():
    mel = preset("hifi")
    magnitude = torch.ones(1, 1025, 1)
    current = mel.filter_bank() @ magnitude
    inputs = mel.filter_bank().sum(0) > 0
    for factor, expected in ((1e5, 1e3), (1e-5, 1e-3), (7.0, 7.0)):
        actual = mel_correction(factor * current, magnitude, mel)[:, inputs]
        torch.testing.assert_close(actual, torch.full_like(actual, expected))
    at_floor = mel_correction(torch.full_like(current, mel.floor), 1e-9 * magnitude, mel)
    torch.testing.assert_close(at_floor, torch.ones_like(at_floor))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_griffin_lim_equals_the_algorithm_of_the_paper(momentum):
    """t = P(c), c = t + momentum (t - previous t), scaled to the given magnitude (Perraudin 2013, alg. 2)."""
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
def test_mel_consistency_equals_its_rounds_one_by_one(rounds, momentum):
    mel = preset("hifi")
    source = chords(mel, 0.3)
    target = mel.db_to_mel(mel.mel_db(source) + torch.linspace(-6, 6, 128)[:, None])
    spectrum = mel.stft(source)
    uncovered = mel.filter_bank().sum(0) == 0
    now = before = spectrum
    for _ in range(rounds):
        corrected = now * mel_correction(target, now.abs(), mel)
        after = mel.stft(mel.istft(corrected, source.shape[1], hann_synthesis=True))
        after[:, uncovered] = spectrum[:, uncovered]
        now, before = before + (1 + momentum) * (after - before), after
    expected = mel.istft(now * mel_correction(target, now.abs(), mel), source.shape[1], hann_synthesis=True)
    actual = mel_consistent_waveform(spectrum.clone(), target, mel, source.shape[1], rounds, momentum)
    assert (actual - expected).norm() < 1e-3 * expected.norm()


def test_mask_gain_by_hand():
    mel = preset("hifi")
    source_db = torch.full((1, 128, 3), -40.0)
    change_db = torch.tensor([-100.0, -6.0, 40.0])
    gain = mask_gain(source_db, source_db + change_db, mel, 60.0, 12.0)
    expected = 10 ** (torch.tensor([-60.0, -6.0, 12.0]) / 20)
    torch.testing.assert_close(gain, expected.expand(1, 1025, 3), rtol=1e-4, atol=1e-6)


def test_random_phases_cover_the_circle_and_depend_on_the_seed():
    like = torch.zeros(2, 100, 50)
    phase = random_phase(like, 3)
    assert torch.equal(phase[0], phase[1])
    assert phase.min() >= 0
    assert 6.27 < phase.max() < math.tau
    assert torch.equal(phase, random_phase(like, 3))
    assert not torch.equal(phase, random_phase(like, 4))
