"""Encoders in processes of their own: crashes, ends of the parent, samples that cannot be encoded."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.encoder import LOSSY_SUFFIXES, AudioFormat, EncoderError, make_encoder
from cyclegan_audio.audio.io import OUTPUT_SUFFIXES, decode, open_writer, save
from cyclegan_audio.utils.errors import UserError

NOISE = np.random.default_rng(0).normal(0, 0.1, (44_100, 2)).astype(np.float32)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
@pytest.mark.parametrize("suffix", LOSSY_SUFFIXES)
def test_a_crash_of_the_encoder_is_one_line_and_leaves_no_file(tmp_path, suffix, number):
    reason = rf"cannot write .*a{suffix} \(the encoder crashed: {number.name}\); choose another folder or"
    with pytest.raises(UserError, match=reason):
        write_and_end(tmp_path / f"a{suffix}", number, n_blocks=100)  # the pipe holds some of them
    assert list(tmp_path.iterdir()) == []
    save(tmp_path / f"a{suffix}", torch.from_numpy(NOISE.T), 44_100)  # the next file is not affected
    assert decode(tmp_path / f"a{suffix}")[0].shape[1] == pytest.approx(44_100, abs=128)


def write_and_end(path: Path, number: int, n_blocks: int) -> None:
    """Begin a file, end its encoder by a signal, and write the rest."""
    with open_writer(path, 44_100, 2) as writer:
        writer.write(torch.from_numpy(NOISE.T))
        os.kill(writer._encoder._process.pid, number)
        for _ in range(n_blocks):
            writer.write(torch.from_numpy(NOISE.T))


def test_a_crash_after_the_last_block_is_noticed(tmp_path):
    with pytest.raises(UserError, match="the encoder crashed: SIGSEGV"):
        write_and_end(tmp_path / "a.mp3", signal.SIGSEGV, n_blocks=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_samples_that_are_not_finite_are_refused_before_they_reach_an_encoder(tmp_path, suffix, value):
    wave = torch.from_numpy(NOISE.T).clone()
    wave[1, 20_000] = value
    with pytest.raises(UserError, match=rf"cannot write .*a{suffix}: .* not finite numbers"):
        save(tmp_path / f"a{suffix}", wave, 44_100)
    assert list(tmp_path.iterdir()) == []


def test_what_the_encoder_says_is_the_reason(tmp_path):
    process = make_encoder(AudioFormat(str(tmp_path / "a.mp3"), 96_000, 2))
    with pytest.raises(EncoderError, match="only supports sample rates of"):
        process.finish()
    process = make_encoder(AudioFormat(str(tmp_path / "none" / "a.mp3"), 44_100, 2))
    with pytest.raises(EncoderError, match="No such file"):
        process.finish()


def test_the_encoder_ends_with_its_parent_and_ignores_other_signals(tmp_path):
    code = (
        "import os, sys, time, numpy; from cyclegan_audio.audio.encoder import *;"
        "encoder = make_encoder(AudioFormat(sys.argv[1], 44100, 2));"
        "encoder.write(numpy.zeros((44100, 2))); print(encoder._process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.mp3")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 60
        while not (tmp_path / "a.mp3").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child, number)
        time.sleep(0.2)
        os.kill(child, 0)  # it lives
        assert os.getsid(child) != os.getsid(parent.pid)
        parent.kill()
    deadline = time.monotonic() + 20
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_encoder_starts_without_torch():
    code = "import sys, cyclegan_audio.audio.encoder; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_values_at_the_edges_of_full_scale_do_not_wrap_around(tmp_path, suffix):
    one = np.float32(1)
    above, below = np.nextafter(one, np.float32(2)), np.nextafter(one, np.float32(0))
    high = torch.tensor([1.0, float(above), float(below), 32767.6 / 32768, 32767.4 / 32768, 3.4e38, 1e20])
    save(tmp_path / f"a{suffix}", torch.cat([high, -high]), 8000)
    got = decode(tmp_path / f"a{suffix}")[0][0] * 32768
    assert got[:7].tolist() == [32767] * 7
    assert got[7:].min() == -32768
    assert got[7:].max() <= -32767


@pytest.mark.parametrize("suffix", LOSSY_SUFFIXES)
def test_values_beyond_full_scale_are_clipped_in_lossy_formats(tmp_path, suffix):
    square = torch.sign(torch.sin(torch.arange(30_000) * 0.05))
    waves = []
    for gain in (1.0, 1e30):
        save(tmp_path / f"a{suffix}", square * gain, 44_100)
        waves.append(decode(tmp_path / f"a{suffix}")[0])
    assert torch.equal(*waves)
    assert waves[0].abs().max() < 3


def test_blocks_of_any_size_give_the_same_file(tmp_path):
    wave = torch.from_numpy(NOISE.T)
    save(tmp_path / "whole.mp3", wave, 44_100)
    with open_writer(tmp_path / "parts.mp3", 44_100, 2) as writer:
        for part in wave.split([0, 1, 999, 43_100], 1):
            writer.write(part)
    assert torch.equal(decode(tmp_path / "parts.mp3")[0], decode(tmp_path / "whole.mp3")[0])
