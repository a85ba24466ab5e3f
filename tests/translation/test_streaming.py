"""Test translation of streams, from standard input to standard output and in process."""

import io
import os
import sys

import numpy as np
import pytest
import torch

from cyclegan_audio import translate
from cyclegan_audio.translation import streaming
from cyclegan_audio.translation.streaming import READ_SAMPLES, latency_s, translate_live
from cyclegan_audio.translation.translator import Translator
from tests.translation.refusals import refused
from tests.translation.stand_ins import WINDOWS, live, music, pair, quieter


@pytest.mark.parametrize("rate", [44100, 32000])
@pytest.mark.parametrize("raw", [True, False])
def test_stream_keeps_its_length(run, monkeypatch, raw, rate):
    samples = (np.random.default_rng(0).normal(0, 3000, (20_000, 2))).astype("<i2").tobytes()
    header = b"" if raw else streaming.wav_header(rate, 2)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(header + samples)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    options = ["--raw", f"{rate}:2"] if raw else []
    translate.main([str(run), "-", "-", "--to", "trap", "--vocoder", "mask", "--device", "cpu", *options])
    assert out.getvalue()[: len(header)] == header
    assert len(out.getvalue()) == len(header) + len(samples)
    assert np.abs(np.frombuffer(out.getvalue()[len(header) :], "<i2")).mean() > 300


def test_unsupported_streams_and_options_are_refused(run, song, capsys, monkeypatch):
    for data, message in (
        (b"no wave" * 9, "not a WAV"),
        (streaming.wav_header(0, 1), "sample rate of the stream must be an integer"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert message in refused(capsys, run, "-", "-", "--to", "trap")
    assert "as its only input and as output" in refused(capsys, run, song, "-", "--to", "trap")
    assert "must be RATE:CHANNELS" in refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44k")
    assert "shifts must be an integer >= 1 and <= 4, got 5" in refused(
        capsys, run, song, "x.wav", "--to", "trap", "--shifts", "5"
    )
    assert "amount must be a number >= 0 and <= 1, got 2.0" in refused(
        capsys, run, song, "x.wav", "--to", "trap", "--amount", "2"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_full_output_is_a_one_line_error(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(80_000))))
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))  # noqa: SIM115
    message = refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44100:2", "--device", "cpu")
    assert "cannot write to standard output (No space left on device)" in message


@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize("preset", WINDOWS)
def test_live_stream_has_the_stated_latency(preset, rate):
    translator = Translator(pair(preset, quieter), "mask")
    wave = music(9.0, rate)
    n_in, delay, blocks_out = 0, 0, []

    def blocks():
        nonlocal n_in, delay
        for block in wave.split(READ_SAMPLES, 1):
            n_in += block.shape[1]
            delay = max(delay, n_in - sum(part.shape[1] for part in blocks_out))
            yield block

    for block in translate_live(translator, blocks(), rate, 1, "same"):
        blocks_out.append(block)
    assert 0.5 * latency_s(translator, rate) < delay / rate <= latency_s(translator, rate)
    out = torch.cat(blocks_out, 1)
    assert out.shape == wave.shape
    assert (out - wave)[:, 3000:-3000].norm() < 0.02 * wave.norm()


def test_a_dc_offset_is_not_in_a_live_stream():
    translator = Translator(pair("hifi", quieter), "mask")
    wave = music(4.0, 44100, 2)
    clean = live(translator, wave, 44100)
    got = live(translator, wave + torch.tensor([[0.05], [-0.2]]), 44100)
    assert got.mean(1).abs().max() < 1e-4
    assert (got - clean).norm() < 1e-3 * clean.norm()
