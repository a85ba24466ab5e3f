"""Standard input to standard output."""

import io
import os
import sys

import numpy as np
import pytest

from cyclegan_audio import translate
from cyclegan_audio.translation import streaming
from tests.translation.refusals import refused


@pytest.mark.parametrize("rate", [44100, 32000])
@pytest.mark.parametrize("raw", [True, False])
def test_a_stream_comes_out_as_long_as_it_went_in(run, monkeypatch, raw, rate):
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


def test_streams_of_another_kind_are_refused(run, song, capsys, monkeypatch):
    for data, words in (
        (b"no wave" * 9, "not a WAV"),
        (streaming.wav_header(0, 1), "sample rate of the stream must be an integer"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert words in refused(capsys, run, "-", "-", "--to", "trap")
    assert "as its only input and as output" in refused(capsys, run, song, "-", "--to", "trap")
    assert "must be RATE:CHANNELS" in refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44k")
    assert "shifts must be an integer >= 1 and <= 4, got 5" in refused(
        capsys, run, song, "x.wav", "--to", "trap", "--shifts", "5"
    )
    assert "amount must be a number >= 0 and <= 1, got 2.0" in refused(
        capsys, run, song, "x.wav", "--to", "trap", "--amount", "2"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_an_output_that_takes_no_more_is_one_line(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(80_000))))
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))  # noqa: SIM115
    message = refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44100:2", "--device", "cpu")
    assert "cannot write to standard output (No space left on device)" in message
