import dataclasses
import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.errors import UserError
from cyclegan_audio.vocoders import DEFAULT, VOCODERS, make_vocoder
from cyclegan_audio.vocoders.base import (
    by_frame,
    gather,
    mel_correction,
    mel_to_magnitude,
    resize_,
    size_of,
    spread,
)
from cyclegan_audio.vocoders.griffin_lim import griffin_lim
from cyclegan_audio.vocoders.hybrid import steady_phase

PRESETS = ("hifi", "paper")


def preset(name: str) -> MelSettings:
    return instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{name}.yaml"))


def chords(mel: MelSettings, seconds: float = 1.5) -> torch.Tensor:
    """Two decaying chords without much above 3 kHz and nothing below 150 Hz, (1, T)."""
    t = torch.arange(int(seconds * mel.sample_rate) // mel.hop_length * mel.hop_length) / mel.sample_rate
    wave = torch.zeros_like(t)
    for start, notes in ((0.0, (220, 277, 330)), (seconds / 2, (196, 247, 294))):
        since = (t - start).clamp_min(0)
        for hz in notes:
            for harmonic in range(1, 8):
                tone = torch.sin(2 * math.pi * hz * harmonic * since) * torch.exp(-3 * since)
                wave = wave + tone / harmonic**2
    return wave[None] * 0.1


def hats(mel: MelSettings, n_samples: int) -> torch.Tensor:
    """Bursts of noise above 6 kHz every 0.15 s, (1, T)."""
    rng = np.random.default_rng(0)
    noise = np.fft.rfft(rng.standard_normal(n_samples))
    noise[: int(6000 / mel.sample_rate * n_samples)] = 0
    since = np.arange(n_samples) / mel.sample_rate % 0.15
    return torch.from_numpy(np.fft.irfft(noise, n_samples) * np.exp(-since / 0.03) * 0.1).float()[None]


def bass(mel: MelSettings, n_samples: int, hz: float = 55.0) -> torch.Tensor:
    t = torch.arange(n_samples) / mel.sample_rate
    return (0.3 * torch.sin(2 * math.pi * hz * t) * torch.exp(-t))[None]


def distance_db(mel: MelSettings, waveform: torch.Tensor, target_db: torch.Tensor) -> float:
    """Mean log-spectral distance of the mels in dB."""
    return float((mel.mel_db(waveform) - target_db).abs().mean())


@pytest.mark.parametrize("name", VOCODERS)
def test_a_vocoder_has_the_numbers_of_its_config_file(name):
    config = OmegaConf.load(CONF_DIR / "vocoder" / f"{name}.yaml")
    assert dataclasses.asdict(make_vocoder(name)) == {k: v for k, v in config.items() if k != "_target_"}
    assert DEFAULT in VOCODERS


def test_an_unknown_vocoder_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="unknown vocoder 'magic'; use one of griffin_lim, hybrid, mask"):
        make_vocoder("magic")
    assert make_vocoder("hybrid", rounds=3).rounds == 3
    with pytest.raises(UserError, match="hybrid has no checkpoint"):
        make_vocoder("hybrid=runs/a")


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


def test_griffin_lim_keeps_magnitudes_and_makes_them_more_consistent():
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


def test_steady_phase_makes_a_steady_tone_of_a_bin():
    mel = preset("hifi")
    n_samples = 64 * mel.hop_length
    magnitude = torch.zeros(1, mel.n_fft // 2 + 1, mel.n_frames(n_samples))
    magnitude[:, 10] = mel.n_fft / 2 * 0.75  # at this step windows sum to 2 and their squares to 1.5
    wave = mel.istft(torch.polar(magnitude, steady_phase(magnitude, mel).expand_as(magnitude)), n_samples)[0]
    middle = wave[4096:-4096]
    assert middle.abs().max().item() == pytest.approx(1, abs=0.01)
    assert middle.square().mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("preset_name", PRESETS)
def test_griffin_lim_vocoder_needs_the_mel_alone(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    target_db = mel.mel_db(source)
    got = make_vocoder("griffin_lim")(target_db, mel, source.shape[1])
    assert got.shape == source.shape
    assert distance_db(mel, got, target_db) < 3
    assert torch.equal(got, make_vocoder("griffin_lim")(target_db, mel, source.shape[1]))
    assert not torch.equal(got, make_vocoder("griffin_lim", seed=1)(target_db, mel, source.shape[1]))


@pytest.mark.parametrize("preset_name", PRESETS)
@pytest.mark.parametrize("vocoder", [make_vocoder("mask"), make_vocoder("hybrid", rounds=4)])
def test_an_unchanged_mel_gives_the_source(preset_name, vocoder):
    mel = preset(preset_name)
    source = chords(mel, 0.6) + hats(mel, chords(mel, 0.6).shape[1])
    got = vocoder(mel.mel_db(source), mel, source.shape[1], source)
    assert (got - source).norm() / source.norm() < 1e-3


@pytest.mark.parametrize("vocoder", [make_vocoder("mask"), make_vocoder("hybrid", rounds=4)])
def test_a_change_of_level_is_a_change_of_level(vocoder):
    mel = preset("hifi")
    source = chords(mel, 0.6) + 0.02 * torch.randn(1, chords(mel, 0.6).shape[1])
    for change_db in (-20.0, 6.0):
        got = vocoder(mel.mel_db(source) + change_db, mel, source.shape[1], source)
        assert (got - source * 10 ** (change_db / 20)).norm() / got.norm() < 2e-3


def test_the_mask_is_limited_and_needs_a_source():
    mel = preset("hifi")
    source = chords(mel, 0.6)
    got = make_vocoder("mask", max_boost_db=10)(mel.mel_db(source) + 40, mel, source.shape[1], source)
    torch.testing.assert_close(got, source * 10**0.5, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="source"):
        make_vocoder("mask")(mel.mel_db(source), mel, source.shape[1])


@pytest.mark.parametrize("preset_name", PRESETS)
def test_hybrid_makes_hats_that_the_source_has_not(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    truth = source + hats(mel, source.shape[1])
    target_db = mel.mel_db(truth)
    hybrid, mask = (
        vocoder(target_db, mel, source.shape[1], source)
        for vocoder in (make_vocoder("hybrid"), make_vocoder("mask"))
    )
    assert distance_db(mel, source, target_db) > 10
    assert distance_db(mel, hybrid, target_db) < 1.2
    assert distance_db(mel, hybrid, target_db) < 0.5 * distance_db(mel, mask, target_db)
    low = mel.band_hz < 2000
    kept = (mel.mel_db(hybrid) - mel.mel_db(source))[0, low].abs().mean()
    assert kept < 0.5


@pytest.mark.parametrize("preset_name", PRESETS)
def test_hybrid_makes_a_bass_at_the_right_pitch_and_level(preset_name):
    mel = preset(preset_name)
    source = chords(mel)
    truth = source + bass(mel, source.shape[1])
    got = make_vocoder("hybrid")(mel.mel_db(truth), mel, source.shape[1], source)

    def low_spectrum(waveform: torch.Tensor) -> torch.Tensor:
        n_bins = int(120 * waveform.shape[1] / mel.sample_rate)
        return torch.fft.rfft(waveform[0] * torch.hann_window(waveform.shape[1])).abs()[:n_bins]

    expected, made = low_spectrum(truth), low_spectrum(got)
    hz_per_bin = mel.sample_rate / source.shape[1]
    assert abs(int(made.argmax()) - int(expected.argmax())) * hz_per_bin < 15
    assert 0.5 < made.norm() / expected.norm() < 2
    assert (
        made[: int(15 / hz_per_bin)].norm() < 0.3 * made.norm()
    )  # nothing grows where the mel does not look


@pytest.mark.parametrize(
    "vocoder",
    [make_vocoder("griffin_lim", iterations=4), make_vocoder("mask"), make_vocoder("hybrid", rounds=4)],
)
def test_silence_stays_silent(vocoder):
    mel = preset("hifi")
    silence = torch.zeros(1, 20 * mel.hop_length)
    got = vocoder(mel.mel_db(silence), mel, silence.shape[1], silence)
    assert got.abs().max() < 1e-4


@pytest.mark.parametrize(
    "vocoder",
    [make_vocoder("griffin_lim", iterations=4), make_vocoder("mask"), make_vocoder("hybrid", rounds=4)],
)
def test_a_batch_gives_what_its_items_give(vocoder):
    mel = preset("paper")
    sources = torch.cat([chords(mel, 0.6), hats(mel, chords(mel, 0.6).shape[1])])
    targets = mel.mel_db(sources.flip(0))
    together = vocoder(targets, mel, sources.shape[1], sources)
    alone = [vocoder(targets[i : i + 1], mel, sources.shape[1], sources[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["mask", "hybrid"])
def test_noise_that_is_taken_away_leaves_no_isolated_peaks(name):
    mel = preset("hifi")
    noise = torch.randn(1, 64 * mel.hop_length, generator=torch.Generator().manual_seed(0)) * 0.1
    level_db = mel.mel_db(noise).mean(2, keepdim=True)  # the level that it has, not how it moves about it
    wanted_db = (level_db - 20).expand(-1, -1, 64)

    def kurtosis(waveform: torch.Tensor) -> float:
        power = mel.stft(waveform).abs().square()[:, 8:-8]
        return float(power.square().mean() / power.mean().square())

    got = make_vocoder(name)(wanted_db, mel, noise.shape[1], noise)
    assert distance_db(mel, got, mel.mel_db(noise)) > 15
    assert kurtosis(got) < 1.1 * kurtosis(noise)
