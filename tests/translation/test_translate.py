import io
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio import Translator, translate
from cyclegan_audio.audio.files import decode, write
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.checkpoint import ship_pair
from cyclegan_audio.models.pair import TranslationPair
from cyclegan_audio.translation import live
from cyclegan_audio.translation.song import LOSSY_MAX_PEAK, Spool


@pytest.fixture
def run(tmp_path, tiny_model):
    """A RUN: an untrained pair, shipped into a folder."""
    model = tiny_model()
    generator = {"_target_": "cyclegan_audio.models.generator.ResnetGenerator", "n_filters": 4, "n_blocks": 1}
    mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml"))
    config = {"model": {"generator": generator}}
    pair = TranslationPair(("lofi", "trap"), mel, {"ab": model.gen_ab, "ba": model.gen_ba}, 64, config)
    ship_pair(pair, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "in" / "Song [1] & more.wav"
    noise = torch.randn(2, 30000, generator=torch.Generator().manual_seed(0)) * 0.1
    write(path, noise, 32000)
    return path


def refused(capsys, *arguments: object) -> str:
    """The one line that the command prints as it exits with 1."""
    with pytest.raises(SystemExit) as caught:
        translate.main([str(argument) for argument in arguments])
    assert caught.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


def test_what_training_matched_is_said(run, song, tmp_path, capsys):
    card = json.loads((run / "pair.json").read_text())
    card["match"] = {"loudness_lufs": -14.0, "cutoff_hz": 9000.0}
    (run / "pair.json").write_text(json.dumps(card))
    translate.main([str(run), str(song), str(tmp_path / "out.wav"), "--to", "trap", "--device", "cpu"])
    said = capsys.readouterr().out
    assert "as in training, the music is brought to -14.0 LUFS and heard up to 9.0 kHz for the model" in said


@pytest.mark.parametrize("vocoder", ["hybrid", "mask", "griffin_lim"])
def test_one_song_to_one_file(run, song, tmp_path, capsys, vocoder):
    out = tmp_path / "new" / "out.flac"
    translate.main([str(run), str(song), str(out), "--to", "trap", "--vocoder", vocoder, "--device", "cpu"])
    wave, rate = decode(out)
    assert (rate, wave.shape) == (32000, (2, 30000))
    assert wave.abs().max() > 0.01
    assert not torch.equal(wave, decode(song)[0])
    assert "out.flac" in capsys.readouterr().out


def test_a_folder_keeps_names_and_places(run, song, tmp_path):
    write(song.parent / "deep" / "b.mp3", torch.randn(1, 8000) * 0.1, 16000)
    translate.main([str(run), str(song.parent), str(tmp_path / "out"), "--to", "lofi", "--vocoder", "mask"])
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert made == ["Song [1] & more.wav", "deep/b.wav"]


def test_several_songs_and_another_suffix(run, song, tmp_path):
    other = song.with_name("b.c.wav")
    write(other, torch.zeros(8000), 16000)
    translate.main(
        [
            str(run),
            str(song),
            str(other),
            str(tmp_path / "out"),
            "--to",
            "trap",
            "--vocoder",
            "mask",
            "--suffix",
            ".flac",
        ]
    )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["Song [1] & more.flac", "b.c.flac"]
    assert decode(tmp_path / "out" / "b.c.flac")[0].eq(0).all()


def test_python_interface(run, song):
    wave, rate = decode(song)
    got = Translator.load(run, vocoder="mask", device="cpu")(wave, rate, to="trap")
    assert got.shape == wave.shape
    averaged = Translator.load(run, vocoder="mask", device="cpu", shifts=2)(wave, rate, to="trap")
    assert 0.01 < (averaged - got).norm() / got.norm() < 1


def test_bad_input_is_one_line_and_writes_nothing(run, song, tmp_path, capsys):
    out = tmp_path / "out.wav"
    (tmp_path / "text.mp3").write_text("no song " * 50)
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    cases = {
        "missing.mp3 does not exist": (run, tmp_path / "missing.mp3", out, "--to", "trap"),
        "text.mp3 cannot be read as audio": (run, tmp_path / "text.mp3", out, "--to", "trap"),
        "'polka'": (run, song, out, "--to", "polka"),
        "lofi or trap": (run, song, out, "--to", "polka"),
        "unknown vocoder 'magic'; use one of": (run, song, out, "--to", "trap", "--vocoder", "magic"),
        "no device 'abacus'": (run, song, out, "--to", "trap", "--device", "abacus"),
        "cannot write into": (run, song, tmp_path / "file" / "out.wav", "--to", "trap"),
        "unknown suffix": (run, song, tmp_path / "out.xyz", "--to", "trap"),
        "would be written over": (run, song, song, "--to", "trap"),
        "cannot become the one file": (run, song, song, out, "--to", "trap"),
        "holds no audio files": (run, tmp_path / "empty", tmp_path / "o", "--to", "trap"),
        "no run": ("nowhere", song, out, "--to", "trap"),
    }
    before = sorted(tmp_path.rglob("*"))
    for message, arguments in cases.items():
        assert message in refused(capsys, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_song_that_fails_alone_is_told_once(run, tmp_path, capsys):
    (tmp_path / "text.mp3").write_text("no song " * 50)
    with pytest.raises(SystemExit):
        translate.main([str(run), str(tmp_path / "text.mp3"), str(tmp_path / "o.wav"), "--to", "trap"])
    assert "".join(capsys.readouterr()).count("cannot be read") == 1


def test_a_damaged_checkpoint_is_refused(run, song, tmp_path, capsys):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"x" * 1000)
    assert "damaged" in refused(
        capsys, run, song, tmp_path / "o.wav", "--to", "trap", "--checkpoint", damaged
    )


def test_one_bad_song_does_not_keep_the_others(run, song, tmp_path, capsys):
    (song.parent / "bad.mp3").write_text("no song " * 50)
    message = refused(capsys, run, song.parent, tmp_path / "out", "--to", "trap", "--vocoder", "mask")
    assert "1 of 2 songs failed" in message
    assert message.endswith("bad.mp3")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [song.name]


def test_a_result_that_is_there_is_kept(run, song, tmp_path, capsys):
    out = tmp_path / "out"
    write(out / song.name, torch.zeros(10), 8000)
    before = (out / song.name).read_bytes()
    command = (run, song, out, "--to", "trap", "--vocoder", "mask")
    assert "kept as it is; --overwrite" in refused(capsys, *command)
    write(song.with_name("b.wav"), torch.randn(1, 9000) * 0.1, 8000)
    translate.main([str(word) for word in (run, song.parent, out, "--to", "trap", "--vocoder", "mask")])
    assert "1 of 2 songs are there already" in capsys.readouterr().out
    assert (out / song.name).read_bytes() == before
    assert (out / "b.wav").exists()
    translate.main([*(str(word) for word in command), "--overwrite"])
    assert decode(out / song.name)[0].shape == (2, 30000)


def test_a_suffix_needs_no_dot(run, song, tmp_path):
    arguments = ["--to", "trap", "--vocoder", "mask", "--suffix", "mp3"]
    translate.main([str(run), str(song), str(tmp_path / "out"), *arguments])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["Song [1] & more.mp3"]


def test_samples_that_are_no_numbers_leave_nothing(run, tmp_path, capsys):
    import soundfile

    wave = np.zeros((20_000, 2), np.float32)
    wave[8000:, 0] = math.nan
    soundfile.write(tmp_path / "bad.wav", wave, 8000, subtype="FLOAT")
    message = refused(capsys, run, tmp_path / "bad.wav", tmp_path / "new" / "out.wav", "--to", "trap")
    assert "not finite numbers, first at 1.000 s" in message
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, suffix):
    target = tmp_path / f"a{suffix}"
    write(target, torch.zeros(100), 44100)
    before = target.read_bytes()
    (tmp_path / "full").mkdir()
    full = tmp_path / "full" / f"x{suffix}"
    full.symlink_to("/dev/full")
    monkeypatch.setattr("cyclegan_audio.audio.writing._temporary", lambda path: full)
    monkeypatch.setattr("cyclegan_audio.audio.writing.check_writable", lambda path: None)
    with pytest.raises(UserError, match="No space left"):
        write(target, torch.randn(2, 300_000) * 0.1, 44100)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [target.name]
    assert list((tmp_path / "full").iterdir()) == []


def test_a_full_disk_while_the_work_goes_on(tmp_path):
    spool = Spool(tmp_path)
    spool._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(UserError, match=r"No space left.*make room"):
        spool.append(torch.zeros(2, 10))
    spool.close()


def test_a_spool_gives_back_what_it_got(tmp_path):
    spool = Spool(tmp_path)
    blocks = [torch.randn(2, n) for n in (5, 1, 300)]
    for block in blocks:
        spool.append(block)
    assert all(torch.equal(a, b) for a, b in zip(spool, blocks, strict=True))
    assert spool.n_samples == 306
    assert list(tmp_path.iterdir()) == []
    spool.close()


@pytest.mark.parametrize("rate", [44100, 32000])
@pytest.mark.parametrize("raw", [True, False])
def test_a_stream_comes_out_as_long_as_it_went_in(run, monkeypatch, raw, rate):
    samples = (np.random.default_rng(0).normal(0, 3000, (20_000, 2))).astype("<i2").tobytes()
    header = b"" if raw else live.wav_header(rate, 2)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(header + samples)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    options = ["--raw", f"{rate}:2"] if raw else []
    translate.main([str(run), "-", "-", "--to", "trap", "--vocoder", "mask", "--device", "cpu", *options])
    assert out.getvalue()[: len(header)] == header
    assert len(out.getvalue()) == len(header) + len(samples)
    assert np.abs(np.frombuffer(out.getvalue()[len(header) :], "<i2")).mean() > 300


def test_streams_of_another_kind_are_refused(run, song, capsys, monkeypatch):
    for data, words in ((b"no wave" * 9, "not a WAV"), (live.wav_header(0, 1), "sample rate=0 is not")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert words in refused(capsys, run, "-", "-", "--to", "trap")
    assert "from - to -" in refused(capsys, run, song, "-", "--to", "trap")
    assert "not RATE:CHANNELS" in refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44k")
    assert "shifts=5 is not a whole number at least 1 and at most 4" in refused(
        capsys, run, song, "x.wav", "--to", "trap", "--shifts", "5"
    )
    assert "amount=2.0" in refused(capsys, run, song, "x.wav", "--to", "trap", "--amount", "2")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_an_output_that_takes_no_more_is_one_line(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(80_000))))
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))  # noqa: SIM115
    message = refused(capsys, run, "-", "-", "--to", "trap", "--raw", "44100:2", "--device", "cpu")
    assert "standard output takes no more (No space left on device)" in message


def test_music_that_the_format_cannot_hold_is_refused_before_the_work(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cyclegan_audio.translation.song.Spool", None)  # no work is begun
    for channels, rate in ((8, 44100), (2, 96_000)):
        write(tmp_path / "a.wav", torch.randn(channels, 2000) * 0.1, rate)
        message = refused(capsys, run, tmp_path / "a.wav", tmp_path / "new" / "b.mp3", "--to", "trap")
        assert f".mp3 does not take {channels} channels at {rate} Hz" in message
        assert message.endswith("use .wav or .flac")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("slope", [0.0, 0.5])  # white, whose peaks MP3's low-pass raises by half, and pink
@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_peaks_stay_below_full_scale_after_lossy_coding(run, tmp_path, suffix, slope):
    spectrum = torch.fft.rfft(torch.randn(2, 40_000, generator=torch.Generator().manual_seed(0)))
    wave = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[1] + 1) ** slope)
    wave = (wave / wave.std() * 0.4).clamp(-1, 1)
    write(tmp_path / "a.wav", wave, 44100)
    options = ["--to", "trap", "--vocoder", "mask"]
    translate.main([str(run), str(tmp_path / "a.wav"), str(tmp_path / f"b{suffix}"), *options])
    assert LOSSY_MAX_PEAK < decode(tmp_path / f"b{suffix}")[0].abs().max() <= 1


def test_results_that_would_meet_are_refused(song):
    write(song.with_suffix(".flac"), torch.zeros(100), 8000)
    with pytest.raises(UserError, match="would be written over"):
        translate.plan([song.parent], song.parent.parent / "out")
    with pytest.raises(UserError, match="would be written over"):
        translate.plan([song], song.parent)


def test_debug_shows_the_trace(run, song, capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit):
        translate.main([str(run), str(song), "x.wav", "--to", "polka", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_importing_the_verb_is_light():
    code = "import sys, cyclegan_audio.translate as t; t.parser(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
