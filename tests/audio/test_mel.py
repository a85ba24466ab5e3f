"""Compare the mel with independent float64 references and with closed forms."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.utils.errors import UserError


def preset(name: str) -> MelSpectrogram:
    return instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{name}.yaml"))


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    """Return coloured noise with loud and quiet parts, float32."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(n_samples)
    smooth = np.convolve(white, np.hanning(9) / 5, mode="same")
    return ((smooth + 0.05 * white) * 0.2 * np.linspace(0.01, 1, n_samples) ** 2).astype(np.float32)


def frames_of(padded: np.ndarray, n_fft: int, hop: int, window: np.ndarray) -> np.ndarray:
    count = (len(padded) - n_fft) // hop + 1
    return np.stack([padded[i * hop : i * hop + n_fft] * window for i in range(count)], axis=1)


def slaney_hz(mel: np.ndarray) -> np.ndarray:
    """Linear to 1 kHz at 200 / 3 Hz a mel, then 27 steps for a factor of 6.4 (Slaney's Auditory Toolbox)."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def bigvgan_mel_db(waveform: np.ndarray) -> np.ndarray:
    """Compute the mel of BigVGAN-v2 (44 kHz, 128 bands, hop 512) in dB."""
    n_fft, hop, rate, n_mels = 2048, 512, 44100, 128
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(waveform.astype(np.float64), (n_fft - hop) // 2, mode="reflect")
    spectrum = np.fft.rfft(frames_of(padded, n_fft, hop, window), axis=0)
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
    top_mel = 15 + 27 * np.log(22050 / 1000) / np.log(6.4)
    corners = slaney_hz(np.linspace(0, top_mel, n_mels + 2))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    bank = np.zeros((n_mels, len(bins)))
    for band in range(n_mels):
        left, peak, right = corners[band : band + 3]
        rising, falling = (bins - left) / (peak - left), (right - bins) / (right - peak)
        bank[band] = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return np.log(np.maximum(bank @ magnitude, 1e-5)) * 20 / np.log(10)


def published_mel_db(waveform: np.ndarray) -> np.ndarray:
    """Compute the mel of the paper's code (Zaf-Python's STFT and filter bank) at 48 kHz, with our floor."""
    length, step, rate, n_mels = 2048, 1024, 48000, 128
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(length) / length)
    times = math.ceil(len(waveform) / step) + 1
    padded = np.zeros((times - 1) * step + length)
    padded[length // 2 : length // 2 + len(waveform)] = waveform
    magnitude = np.abs(np.fft.fft(frames_of(padded, length, step, window), axis=0))[1 : length // 2 + 1]
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (rate / length, rate / 2))
    width = 2 * (highest - lowest) / (n_mels + 1)
    corner_mels = np.arange(lowest, highest + 1, width / 2)
    corners = np.round(700 * (10 ** (corner_mels / 2595) - 1) * length / rate).astype(int)
    bank = np.zeros((n_mels, length // 2))  # column 0 is the first bin above DC
    for band in range(n_mels):
        left, peak, right = corners[band : band + 3]
        bank[band, left - 1 : peak] = np.linspace(0, 1, peak - left + 1)
        bank[band, peak - 1 : right] = np.linspace(1, 0, right - peak + 1)
    return 20 * np.log10(np.maximum(bank @ magnitude, 1e-5))


@pytest.mark.parametrize(
    ("name", "reference", "n_samples"),
    [
        ("hifi", bigvgan_mel_db, 4 * 44100),
        ("hifi", bigvgan_mel_db, 30001),
        ("paper", published_mel_db, 4 * 48000),
        ("paper", published_mel_db, 30001),
    ],
)
def test_mel_equals_the_float64_reference(name, reference, n_samples):
    mel, waveform = preset(name), noise(n_samples)
    got = mel.mel_db(torch.from_numpy(waveform)[None])[0].double().numpy()
    expected = reference(waveform)
    assert got.shape == expected.shape == (128, mel.n_frames(n_samples))
    assert np.abs(got - expected).max() < 0.01
    assert np.abs(got - expected).mean() < 2e-4
    audible = expected > expected.max(0) - 50
    assert np.abs(got - expected)[audible].max() < 1e-3
    assert expected.max() - expected.min() > 60  # the comparison saw loud and quiet


@pytest.mark.parametrize("name", ["hifi", "paper"])
@pytest.mark.parametrize("n_samples", [2500, 2_200_000])
def test_blockwise_mel_equals_whole_array_mel(name, n_samples):
    mel = preset(name)
    waveforms = torch.from_numpy(np.stack([noise(n_samples), noise(n_samples, 1)]))
    with torch.no_grad():
        whole = mel.mel_db(waveforms.clone().requires_grad_())  # only what needs no gradient goes in blocks
    torch.testing.assert_close(mel.mel_db(waveforms), whole, rtol=0, atol=2e-3)
    assert (mel.mel_db(waveforms) - whole).abs().mean() < 1e-5


@pytest.mark.parametrize(("name", "n_frames"), [("hifi", 344), ("paper", 189)])
def test_four_seconds_have_the_published_number_of_frames(name, n_frames):
    mel = preset(name)
    assert mel.n_frames(4 * mel.sample_rate) == n_frames
    assert mel.mel_db(torch.zeros(1, 4 * mel.sample_rate)).shape == (1, 128, n_frames)
    assert mel.frame_s * n_frames == pytest.approx(4, abs=mel.frame_s * 2)


@pytest.mark.parametrize("name", ["hifi", "paper"])
@pytest.mark.parametrize("n_samples", [4096, 10000, 48001])
def test_istft_inverts_stft(name, n_samples):
    mel = preset(name)
    waveform = torch.from_numpy(noise(n_samples))[None].repeat(2, 1)
    back = mel.istft(mel.stft(waveform), n_samples)
    torch.testing.assert_close(back, waveform, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["hifi", "paper"])
@pytest.mark.parametrize("hz", [150.0, 440.0, 1000.0, 5000.0, 15000.0])
def test_sine_peaks_in_the_band_of_its_frequency(name, hz):
    mel = preset(name)
    t = torch.arange(mel.sample_rate) / mel.sample_rate
    spectrum = mel.mel_db(torch.sin(2 * math.pi * hz * t)[None])[0, :, 20]
    bank = mel.filter_bank()
    expected = int(bank[:, round(hz * mel.n_fft / mel.sample_rate)].argmax())
    assert abs(int(spectrum.argmax()) - expected) <= 1
    assert mel.band_hz[int(spectrum.argmax())] == pytest.approx(hz, rel=0.06, abs=25)


def test_full_scale_sine_has_the_theoretical_level():
    mel = preset("hifi")
    step_hz = mel.sample_rate / mel.n_fft
    hz = 400 * step_hz  # on a bin: the Hann window spreads it over three bins as 1/2, 1, 1/2
    t = torch.arange(mel.sample_rate, dtype=torch.float64) / mel.sample_rate
    got = mel.mel_db(torch.sin(2 * math.pi * hz * t).float()[None])[0, :, 40]
    magnitude = torch.zeros(mel.n_fft // 2 + 1)
    magnitude[399:402] = torch.tensor([0.25, 0.5, 0.25]) * mel.n_fft / 2
    expected = 20 * (mel.filter_bank() @ magnitude).clamp_min(mel.floor).log10()
    assert got.max().item() == pytest.approx(expected.max().item(), abs=0.01)
    assert mel.min_db < got.max() < mel.max_db


def test_tenfold_amplitude_is_20_db_and_silence_is_the_floor():
    mel = preset("paper")
    loud = torch.from_numpy(noise(48000))[None]
    difference = mel.mel_db(loud) - mel.mel_db(loud / 10)
    torch.testing.assert_close(difference, torch.full_like(difference, 20.0), rtol=0, atol=1e-3)
    for settings in (mel, preset("hifi")):
        assert settings.mel_db(torch.zeros(1, 9000)).unique().tolist() == [-100.0]


@pytest.mark.parametrize("name", ["hifi", "paper"])
def test_denormalise_inverts_normalise(name):
    mel = preset(name)
    mel_db = mel.mel_db(torch.from_numpy(noise(60000))[None])[0]
    low, high = range_db = mel.range_db(mel_db)
    scaled = mel.normalise(mel_db)
    assert scaled.min() >= -1
    assert scaled.max() <= 1
    # Near 100 dB an fp32 number is 0.8e-5 from the next; this is 1.2e-5 on each CPU that was tried.
    torch.testing.assert_close(mel.denormalise(scaled, range_db), mel_db, rtol=0, atol=5e-5)
    ends = mel.normalise(torch.tensor([low, (low + high) / 2, high]), range_db)
    torch.testing.assert_close(ends, torch.tensor([-1.0, 0.0, 1.0]), rtol=0, atol=1e-6)
    if name == "paper":
        assert (scaled.min(), scaled.max()) == (-1, 1)
        with pytest.raises(ValueError, match="range_db"):
            mel.denormalise(scaled)
    else:
        assert range_db == (-100, 30)
        assert torch.equal(mel.denormalise(scaled), mel.denormalise(scaled, range_db))


def test_normalise_clips_and_ranges_are_at_least_1_db():
    hifi, paper = preset("hifi"), preset("paper")
    assert hifi.normalise(torch.tensor([-150.0, -100.0, 30.0, 80.0])).tolist() == [-1, -1, 1, 1]
    assert hifi.normalise(torch.tensor([-35.0]), (-40.0, -20.0)).tolist() == [-0.5]
    assert paper.range_db(torch.full((4, 4), -7.0)) == (-7, -6)
    assert paper.range_db(torch.tensor([-7.0, -5.5])) == (-7, -5.5)


def test_hash_covers_every_setting_but_the_name():
    mel = preset("hifi")
    changed = {
        "sample_rate": 48000, "n_fft": 1024, "hop_length": 256, "window": "hamming", "n_mels": 80, "filters":
        "zaf", "f_min_hz": 20.0, "f_max_hz": 20000.0, "padding": "zeros", "magnitude_epsilon": 0.0, "floor":
        1e-6, "scaling": "clip", "min_db": -90.0, "max_db": 20.0,
    }  # fmt: skip
    assert set(changed) | {"name"} == {field.name for field in dataclasses.fields(MelSpectrogram)}
    hashes = {dataclasses.replace(mel, **{key: value}).hash for key, value in changed.items()}
    assert len(hashes | {mel.hash}) == len(changed) + 1
    assert dataclasses.replace(mel, name="other").hash == mel.hash
    assert MelSpectrogram.from_dict(mel.to_dict()) == mel


def test_mismatch_message_shows_both_values():
    mel = preset("hifi")
    other = dataclasses.replace(mel, hop_length=256, max_db=20.0)
    with pytest.raises(UserError, match=r"hop_length 512 against 256, max_db 30\.0 against 20\.0"):
        mel.check_compatible(other, "the model", "the corpus")
    mel.check_compatible(dataclasses.replace(mel, name="renamed"), "a", "b")
    with pytest.raises(UserError, match="hash"):
        MelSpectrogram.from_dict({**mel.to_dict(), "n_mels": 80})
    with pytest.raises(UserError, match="not complete"):
        MelSpectrogram.from_dict({"name": "x"})


def test_invalid_settings_and_too_short_audio_are_refused():
    mel = preset("hifi")
    with pytest.raises(UserError, match="min_db"):
        dataclasses.replace(mel, min_db=30.0)
    with pytest.raises(UserError, match="hop_length"):
        dataclasses.replace(mel, hop_length=1025)
    with pytest.raises(UserError, match="shorter than one frame"):
        mel.mel_db(torch.zeros(1, 768))
