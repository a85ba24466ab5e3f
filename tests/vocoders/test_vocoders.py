"""Mask, hybrid and Griffin-Lim vocoders on synthetic sounds."""

import dataclasses
import math

import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import DEFAULT, VOCODERS, VocoderInput, make_vocoder
from cyclegan_audio.vocoders.griffin_lim import griffin_lim
from cyclegan_audio.vocoders.hybrid import steady_phase
from tests.vocoders.sounds import PRESETS, bass, chords, distance_db, hats, preset


@pytest.mark.parametrize("name", VOCODERS)
def test_vocoder_has_the_arguments_of_its_config_file(name):
    config = OmegaConf.load(CONF_DIR / "vocoder" / f"{name}.yaml")
    assert dataclasses.asdict(make_vocoder(name)) == {k: v for k, v in config.items() if k != "_target_"}
    assert DEFAULT in VOCODERS


def test_unknown_vocoder_message_lists_the_known_ones():
    with pytest.raises(UserError, match="unknown vocoder 'magic'; use one of bigvgan, griffin_lim"):
        make_vocoder("magic")
    assert make_vocoder("hybrid", rounds=3).rounds == 3
    with pytest.raises(UserError, match="hybrid has no checkpoint"):
        make_vocoder("hybrid=runs/a")


def test_griffin_lim_keeps_magnitudes_and_improves_consistency():
    mel = preset("hifi")
    magnitude = mel.stft(chords(mel)).abs()
    start = torch.polar(
        magnitude, torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0)) * 6.28
    )
    n_samples = chords(mel).shape[1]

    def inconsistency(spectrum: torch.Tensor) -> float:
        return float((mel.stft(mel.istft(spectrum, n_samples)).abs() - magnitude).norm() / magnitude.norm())

    plain, fast = (griffin_lim(start, mel, n_samples, 16, momentum) for momentum in (0.0, 0.99))
    torch.testing.assert_close(fast.abs(), magnitude, rtol=1e-4, atol=1e-5)
    assert inconsistency(fast) < inconsistency(plain) < 0.5 * inconsistency(start)


def test_steady_phase_gives_a_steady_tone():
    mel = preset("hifi")
    n_samples = 64 * mel.hop_length
    magnitude = torch.zeros(1, mel.n_fft // 2 + 1, mel.n_frames(n_samples))
    magnitude[:, 10] = mel.n_fft / 2 * 0.75  # at this hop windows sum to 2 and their squares to 1.5
    wave = mel.istft(torch.polar(magnitude, steady_phase(magnitude, mel).expand_as(magnitude)), n_samples)[0]
    middle = wave[4096:-4096]
    assert middle.abs().max().item() == pytest.approx(1, abs=0.01)
    assert middle.square().mean().item() == pytest.approx(0.5, abs=0.01)


def test_steady_phase_by_hand():
    """A hop is a quarter of a window, so bin k turns by k / 4 per frame; neighbouring bins differ by half."""
    phase = steady_phase(torch.zeros(1, 5, 3), preset("hifi"))
    turns = torch.tensor([[0, 0, 0], [2, 3, 0], [0, 2, 0], [2, 1, 0], [0, 0, 0]]) / 4
    torch.testing.assert_close(phase, 2 * torch.pi * turns, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset_name", PRESETS)
def test_griffin_lim_vocoder_needs_only_the_mel(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    target_db = mel.mel_db(source)
    inputs = VocoderInput(target_db, mel, source.shape[1])
    got = make_vocoder("griffin_lim")(inputs)
    assert got.shape == source.shape
    assert distance_db(mel, got, target_db) < 3
    assert torch.equal(got, make_vocoder("griffin_lim")(inputs))
    assert not torch.equal(got, make_vocoder("griffin_lim", seed=1)(inputs))


@pytest.mark.parametrize("preset_name", PRESETS)
@pytest.mark.parametrize("vocoder", [make_vocoder("mask"), make_vocoder("hybrid", rounds=4)])
def test_unchanged_mel_returns_the_source(preset_name, vocoder):
    mel = preset(preset_name)
    source = chords(mel, 0.6) + hats(mel, chords(mel, 0.6).shape[1])
    got = vocoder(VocoderInput(mel.mel_db(source), mel, source.shape[1], source))
    assert (got - source).norm() / source.norm() < 1e-3


@pytest.mark.parametrize("vocoder", [make_vocoder("mask"), make_vocoder("hybrid", rounds=4)])
def test_level_change_of_the_mel_changes_the_level(vocoder):
    mel = preset("hifi")
    source = chords(mel, 0.6) + 0.02 * torch.randn(1, chords(mel, 0.6).shape[1])
    for change_db in (-20.0, 6.0):
        got = vocoder(VocoderInput(mel.mel_db(source) + change_db, mel, source.shape[1], source))
        assert (got - source * 10 ** (change_db / 20)).norm() / got.norm() < 2e-3


def test_mask_is_limited_and_needs_a_source():
    mel = preset("hifi")
    source = chords(mel, 0.6)
    got = make_vocoder("mask", max_boost_db=10)(
        VocoderInput(mel.mel_db(source) + 40, mel, source.shape[1], source)
    )
    torch.testing.assert_close(got, source * 10**0.5, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="source"):
        make_vocoder("mask")(VocoderInput(mel.mel_db(source), mel, source.shape[1]))


@pytest.mark.parametrize("preset_name", PRESETS)
def test_hybrid_adds_hi_hats_that_the_source_lacks(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    truth = source + hats(mel, source.shape[1])
    target_db = mel.mel_db(truth)
    hybrid, mask = (
        vocoder(VocoderInput(target_db, mel, source.shape[1], source))
        for vocoder in (make_vocoder("hybrid"), make_vocoder("mask"))
    )
    assert distance_db(mel, source, target_db) > 10
    assert distance_db(mel, hybrid, target_db) < 1.2
    assert distance_db(mel, hybrid, target_db) < 0.5 * distance_db(mel, mask, target_db)
    low = mel.band_hz < 2000
    low_change_db = (mel.mel_db(hybrid) - mel.mel_db(source))[0, low].abs().mean()
    assert low_change_db < 0.5


@pytest.mark.parametrize(("floors", "is_audible"), [(1.9, False), (2.1, True)])
def test_hybrid_leaves_out_what_is_within_twice_the_floor(floors, is_audible):
    mel = preset("hifi")
    target_db = torch.full((1, mel.n_mels, 16), 20 * math.log10(floors * mel.floor))
    got = make_vocoder("hybrid")(VocoderInput(target_db, mel, 16 * mel.hop_length))
    assert bool(got.any()) is is_audible


@pytest.mark.parametrize("preset_name", PRESETS)
def test_hybrid_adds_a_bass_at_the_right_pitch_and_level(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    truth = source + bass(mel, source.shape[1])
    got = make_vocoder("hybrid")(VocoderInput(mel.mel_db(truth), mel, source.shape[1], source))

    def low_spectrum(waveform: torch.Tensor) -> torch.Tensor:
        n_bins = int(120 * waveform.shape[1] / mel.sample_rate)
        return torch.fft.rfft(waveform[0] * torch.hann_window(waveform.shape[1])).abs()[:n_bins]

    expected, actual = low_spectrum(truth), low_spectrum(got)
    hz_per_bin = mel.sample_rate / source.shape[1]
    assert abs(int(actual.argmax()) - int(expected.argmax())) * hz_per_bin < 15
    assert 0.5 < actual.norm() / expected.norm() < 2
    assert (
        actual[: int(15 / hz_per_bin)].norm() < 0.3 * actual.norm()
    )  # nothing accumulates below the lowest mel band


@pytest.mark.parametrize(
    "vocoder",
    [make_vocoder("griffin_lim", iterations=4), make_vocoder("mask"), make_vocoder("hybrid", rounds=4)],
)
def test_silence_stays_silent(vocoder):
    mel = preset("hifi")
    silence = torch.zeros(1, 20 * mel.hop_length)
    got = vocoder(VocoderInput(mel.mel_db(silence), mel, silence.shape[1], silence))
    assert got.abs().max() < 1e-4


@pytest.mark.parametrize(
    "vocoder",
    [make_vocoder("griffin_lim", iterations=4), make_vocoder("mask"), make_vocoder("hybrid", rounds=4)],
)
def test_batch_equals_its_items(vocoder):
    mel = preset("paper")
    sources = torch.cat([chords(mel, 0.6), hats(mel, chords(mel, 0.6).shape[1])])
    targets = mel.mel_db(sources.flip(0))
    together = vocoder(VocoderInput(targets, mel, sources.shape[1], sources))
    one_by_one = [
        vocoder(VocoderInput(targets[i : i + 1], mel, sources.shape[1], sources[i : i + 1])) for i in (0, 1)
    ]
    torch.testing.assert_close(together, torch.cat(one_by_one), rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["mask", "hybrid"])
def test_attenuated_noise_has_no_isolated_peaks(name):
    mel = preset("hifi")
    noise = torch.randn(1, 64 * mel.hop_length, generator=torch.Generator().manual_seed(0)) * 0.1
    level_db = mel.mel_db(noise).mean(2, keepdim=True)  # its mean level, without the fluctuation
    target_db = (level_db - 20).expand(-1, -1, 64)

    def kurtosis(waveform: torch.Tensor) -> float:
        power = mel.stft(waveform).abs().square()[:, 8:-8]
        return float(power.square().mean() / power.mean().square())

    got = make_vocoder(name)(VocoderInput(target_db, mel, noise.shape[1], noise))
    assert distance_db(mel, got, mel.mel_db(noise)) > 15
    assert kurtosis(got) < 1.1 * kurtosis(noise)
