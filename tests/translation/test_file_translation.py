"""Test translation of files: full disks, formats and peaks."""

import os
from contextlib import contextmanager

import pytest
import torch

from cyclegan_audio import translate
from cyclegan_audio.audio.io import OUTPUT_SUFFIXES, decode, save
from cyclegan_audio.translation.file_translation import Spool, translate_file
from cyclegan_audio.utils.errors import UserError
from tests.translation.refusals import refused


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_full_disk_leaves_no_partial_file(tmp_path, monkeypatch, suffix):
    target = tmp_path / f"a{suffix}"
    save(target, torch.zeros(100), 44100)
    before = target.read_bytes()

    @contextmanager
    def on_a_full_disk(temporary):
        temporary.symlink_to("/dev/full")
        yield

    monkeypatch.setattr("cyclegan_audio.utils.atomic._locked", on_a_full_disk)
    with pytest.raises(UserError, match="No space left"):
        save(target, torch.randn(2, 300_000) * 0.1, 44100)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == [target.name]


def test_full_disk_while_spooling_is_a_user_error(tmp_path):
    spool = Spool(tmp_path)
    spool._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(UserError, match=r"No space left.*free disk space"):
        spool.append(torch.zeros(2, 10))
    spool.close()


def test_spool_returns_its_blocks(tmp_path):
    spool = Spool(tmp_path)
    blocks = [torch.randn(2, n) for n in (5, 1, 300)]
    for block in blocks:
        spool.append(block)
    assert all(torch.equal(a, b) for a, b in zip(spool, blocks, strict=True))
    assert spool.n_samples == 306
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_unsupported_format_is_refused_before_translation(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "cyclegan_audio.translation.file_translation.Spool", None
    )  # the translation does not start
    unsupported = {".mp3": ((8, 44_100), (2, 96_000)), ".m4a": ((3, 44_100), (1, 192_000), (2, 44_101))}
    for suffix, channels, rate in ((s, *values) for s, formats in unsupported.items() for values in formats):
        save(tmp_path / "a.wav", torch.randn(channels, 2000) * 0.1, rate)
        message = refused(capsys, run, tmp_path / "a.wav", tmp_path / "new" / f"b{suffix}", "--to", "trap")
        assert f"{suffix} does not support {channels} channels at {rate} Hz" in message
        assert message.endswith("use .wav or .flac")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("slope", [0.0, 0.5])  # white, whose peaks MP3's low-pass raises by half, and pink
@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".m4a"])
def test_peaks_stay_below_full_scale_after_lossy_coding(run, tmp_path, suffix, slope):
    spectrum = torch.fft.rfft(torch.randn(2, 40_000, generator=torch.Generator().manual_seed(0)))
    wave = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[1] + 1) ** slope)
    wave = (wave / wave.std() * 0.4).clamp(-1, 1)
    save(tmp_path / "a.wav", wave, 44100)
    options = ["--to", "trap", "--vocoder", "mask"]
    translate.main([str(run), str(tmp_path / "a.wav"), str(tmp_path / f"b{suffix}"), *options])
    assert 0.8 < decode(tmp_path / f"b{suffix}")[0].abs().max() <= 1


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".m4a"])
def test_a_result_that_limiting_cannot_keep_from_clipping_becomes_quieter(tmp_path, suffix):
    square = torch.sign(torch.sin(torch.arange(30_000) * 0.05))[None] * 0.9
    save(tmp_path / "a.wav", square, 44_100)
    target = tmp_path / f"b{suffix}"
    save(target, square, 44_100)
    assert decode(target)[0].abs().max() > 1.03
    translate_file(lambda *_: lambda peak: iter([square]), tmp_path / "a.wav", target, "", overwrite=True)
    assert 0.8 < decode(target)[0].abs().max() <= 1


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_sounds_of_few_samples_are_written_or_refused_by_name(tmp_path, suffix):
    for n_samples in (1, 2, 3, 100):
        save(tmp_path / "a.wav", torch.full((2, n_samples), 0.5), 44_100)
        target = tmp_path / f"b{suffix}"
        message = ""
        try:
            translate_file(lambda *_, n=n_samples: lambda peak: iter([torch.full((2, n), 0.5)]),
                           tmp_path / "a.wav", target, "", overwrite=True)  # fmt: skip
        except UserError as error:
            message = str(error)
        if message:
            assert message == f"cannot write {target}: .ogg cannot hold so short a sound; use .wav"
            assert not target.exists()
        else:
            assert len(decode(target)[0]) == 2
            target.unlink()
