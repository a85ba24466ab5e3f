"""Finding, decoding and writing audio files, and refusing bad ones."""

import gc
import math
import multiprocessing
import os

import av
import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from cyclegan_audio.audio import resampling
from cyclegan_audio.audio.io import (
    OUTPUT_SUFFIXES,
    check_writable,
    decode,
    find_audio,
    open_writer,
    resample,
    save,
    to_mono,
)
from cyclegan_audio.utils.errors import UserError


def sine(hz: float, seconds: float, rate: int, channels: int = 2) -> torch.Tensor:
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    wave = 0.5 * torch.sin(2 * math.pi * hz * t)
    return torch.stack([wave * 0.5**c for c in range(channels)]).float()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_forked_process_exits_after_the_parent_decoded(tmp_path):
    save(tmp_path / "a.mp3", torch.randn(2, 44100) * 0.1, 44100)
    gc.disable()  # what decoding leaves behind is there when the process forks
    try:
        decode(tmp_path / "a.mp3")
        process = multiprocessing.get_context("fork").Process(target=gc.collect)
        process.start()
        process.join(20)
        code = process.exitcode
        process.kill()
    finally:
        gc.enable()
    assert code == 0


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_lossless_formats_are_decoded_bit_exactly(tmp_path, suffix):
    wave = sine(440, 0.3, 44100)
    save(tmp_path / f"a{suffix}", wave, 44100)
    back, rate = decode(tmp_path / f"a{suffix}")
    assert (rate, back.shape, back.dtype) == (44100, wave.shape, torch.float32)
    assert (back - wave).abs().max() <= 1 / 32768
    again = tmp_path / f"b{suffix}"
    save(again, back, 44100)
    assert torch.equal(decode(again)[0], back)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".m4a"])
def test_lossy_formats_keep_length_and_level(tmp_path, suffix):
    wave = sine(440, 1.0, 44100)
    save(tmp_path / f"a{suffix}", wave, 44100)
    back, rate = decode(tmp_path / f"a{suffix}")
    assert rate == 44100
    assert abs(back.shape[1] - wave.shape[1]) <= 128  # FFmpeg may drop a short first block of Vorbis
    level = back[:, 4000:-4000].square().mean(1).sqrt()
    torch.testing.assert_close(level, wave.square().mean(1).sqrt(), rtol=0.02, atol=0)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (96000, 2)])
def test_aac_keeps_the_length_and_has_no_delay(tmp_path, rate, channels):
    for n_samples in (1, 1024, 1025, 2 * rate + 17):
        noise = torch.randn(channels, n_samples, generator=torch.Generator().manual_seed(0)) * 0.1
        save(tmp_path / "a.m4a", noise, rate)
        back, got_rate = decode(tmp_path / "a.m4a")
        assert (got_rate, back.shape) == (rate, noise.shape)
    spectra = torch.fft.rfft(torch.stack([back[0], noise[0]]), 2 * n_samples)
    correlation = torch.fft.irfft(spectra[0] * spectra[1].conj())
    assert int(correlation.argmax()) == 0


def test_empty_blocks_are_ignored(tmp_path):
    for suffix in OUTPUT_SUFFIXES:
        with open_writer(tmp_path / f"a{suffix}", 8000, 1) as writer:
            for n_samples in (0, 3000, 0):
                writer.write(torch.full((1, n_samples), 0.1))
        assert decode(tmp_path / f"a{suffix}")[0].shape[1] == pytest.approx(3000, abs=128)


def test_aac_has_the_stated_bit_rate(tmp_path):
    for channels, kbits in ((2, 256), (1, 128)):
        noise = torch.randn(channels, 10 * 44100, generator=torch.Generator().manual_seed(0)) * 0.1
        save(tmp_path / "a.m4a", noise, 44100)
        assert (tmp_path / "a.m4a").stat().st_size * 8 / 10 / 1000 == pytest.approx(kbits, rel=0.1)


@pytest.mark.parametrize(
    ("suffix", "codec", "container"),
    [
        (".m4a", "aac", "mp4"),
        (".aac", "aac", "adts"),
        (".opus", "libopus", "ogg"),
        (".webm", "libopus", "webm"),
    ],
)
def test_formats_of_phones_and_the_web_are_decoded(tmp_path, suffix, codec, container):
    wave = sine(440, 1.0, 48000)
    with av.open(str(tmp_path / f"a{suffix}"), "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(wave.T.reshape(1, -1).numpy(), "flt", "stereo")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    back, rate = decode(tmp_path / f"a{suffix}")
    assert rate == 48000
    assert abs(back.shape[1] - wave.shape[1]) <= 3072  # an encoder's run-in and a last frame filled up
    middle = slice(8000, 40000)
    level = back[:, middle].square().mean(1).sqrt()
    torch.testing.assert_close(level, wave[:, middle].square().mean(1).sqrt(), rtol=0.03, atol=0)
    assert int(torch.fft.rfft(back[0, middle]).abs().argmax()) == pytest.approx(440 * 32000 / 48000, abs=1)


def test_decode_mixes_to_mono_and_resamples(tmp_path):
    save(tmp_path / "a.wav", sine(440, 1.0, 48000), 48000)
    mono, rate = decode(tmp_path / "a.wav", sample_rate=22050, mono=True)
    assert (rate, mono.shape) == (22050, (1, 22050))
    expected = 0.75 * sine(440, 1.0, 22050, channels=1)
    assert (mono - expected)[:, 300:-300].abs().max() < 1e-3


def test_to_mono_is_the_mean():
    assert to_mono(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])).tolist() == [0.5, 0.5]


def test_resampling_keeps_a_sine_and_removes_frequencies_above_nyquist():
    got = resample(sine(1000, 0.5, 44100), 44100, 48000)
    assert (got - sine(1000, 0.5, 48000))[:, 400:-400].abs().max() < 1e-4
    above = resample(sine(10000, 0.5, 44100), 44100, 16000)  # beyond the new Nyquist frequency: gone
    assert above[:, 400:-400].abs().max() < 1e-3


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 11025), (11025, 8000), (8000, 4000)])
def test_resampling_in_blocks_equals_resampling_the_whole(from_rate, to_rate):
    noise = torch.randn(1, 45 * from_rate + 13, generator=torch.Generator().manual_seed(0))
    whole = torchaudio.functional.resample(noise, from_rate, to_rate, **resampling.KAISER_BEST)
    assert noise.shape[1] > 2 * resampling.BLOCK_S * from_rate
    torch.testing.assert_close(resample(noise, from_rate, to_rate), whole, rtol=0, atol=1e-6)


def test_equal_rates_return_the_input():
    wave = sine(440, 0.1, 8000)
    assert resample(wave, 8000, 8000) is wave


def test_find_audio_searches_all_folders_but_hidden_ones(tmp_path):
    for name in (
        "b.WAV",
        "a.mp3",
        "deep/er/c.flac",
        ".hidden.wav",
        ".git/d.wav",
        "notes.txt",
        "deep/._e.mp3",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    assert [str(p.relative_to(tmp_path)) for p in find_audio(tmp_path)] == [
        "a.mp3",
        "b.WAV",
        "deep/er/c.flac",
    ]
    with pytest.raises(UserError, match="not a folder"):
        find_audio(tmp_path / "none")


def test_non_audio_files_raise_a_one_line_error(tmp_path):
    (tmp_path / "text.wav").write_text("not a song " * 100)
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(100_000))
    for name in ("text.wav", "empty.mp3", "noise.mp3"):
        with pytest.raises(
            UserError, match=rf"{name} cannot be read as audio \(.+\); give another file"
        ) as caught:
            decode(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="does not exist"):
        decode(tmp_path / "missing.mp3")
    with pytest.raises(UserError, match="does not exist"):
        decode(tmp_path)


def test_a_few_damaged_packets_are_skipped(tmp_path):
    save(tmp_path / "a.mp3", sine(440, 10, 44100), 44100)
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    data[50_000:50_400] = bytes(400)
    (tmp_path / "damaged.mp3").write_bytes(data)
    (tmp_path / "short.mp3").write_bytes(data[:40_000])
    assert abs(decode(tmp_path / "damaged.mp3")[0].shape[1] - 441000) < 10_000
    assert decode(tmp_path / "short.mp3")[0].shape[1] > 44100


def test_bad_output_paths_are_refused_by_check_and_by_save(tmp_path):
    wave = sine(440, 0.1, 96000)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.wav").mkdir()
    refused = {"a.xyz": "unknown suffix", "file/a.wav": "cannot write into", "folder.wav": "it is a folder"}
    for name, message in refused.items():
        with pytest.raises(UserError, match=message):
            check_writable(tmp_path / name)
        with pytest.raises(UserError, match=message):
            save(tmp_path / name, wave, 44100)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.wav"]


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    target = tmp_path / "a.mp3"
    save(target, sine(440, 0.1, 44100), 44100)
    before = target.read_bytes()
    with pytest.raises(UserError, match=r"a\.mp3"):
        save(target, sine(440, 0.1, 96000), 96000)  # MP3 has no such rate
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp3"]


def test_check_writable_leaves_no_file_and_save_creates_folders(tmp_path):
    target = tmp_path / "new" / "deep" / "a.wav"
    check_writable(target)
    assert list(tmp_path.iterdir()) == []
    save(target, torch.tensor([2.0, -2.0, 0.0]), 8000)
    assert decode(target)[0].tolist() == [[32767 / 32768, -1.0, 0.0]]


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 12])
def test_any_number_of_channels_is_decoded_in_order(tmp_path, channels):
    wave = torch.arange(1, channels + 1)[:, None] / 100 * torch.ones(channels, 5000)
    soundfile.write(tmp_path / "many.wav", wave.T.numpy(), 44100)
    got, _ = decode(tmp_path / "many.wav")
    torch.testing.assert_close(got, wave, atol=1e-4, rtol=0)
