"""The translate command: files, folders, messages and refusals."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio import translate
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.utils.errors import UserError
from tests.translation.refusals import refused


def test_normalisation_of_training_is_printed(run, song, tmp_path, capsys):
    card = json.loads((run / "pair.json").read_text())
    card["normalisation"] = {"loudness_lufs": -14.0, "cutoff_hz": 9000.0}
    (run / "pair.json").write_text(json.dumps(card))
    translate.main([str(run), str(song), str(tmp_path / "out.wav"), "--to", "trap", "--device", "cpu"])
    output = capsys.readouterr().out
    assert (
        "as in training, the input of the model is normalised to -14.0 LUFS and limited to 9.0 kHz" in output
    )


def test_genre_names_ignore_case(run, song, tmp_path, capsys):
    translate.main([str(run), str(song), str(tmp_path / "out.wav"), "--to", "TRAP", "--vocoder", "mask"])
    assert "s of music to trap in" in capsys.readouterr().out


@pytest.mark.parametrize("vocoder", ["hybrid", "mask", "griffin_lim"])
def test_translate_one_file(run, song, tmp_path, capsys, vocoder):
    out = tmp_path / "new" / "out.flac"
    translate.main([str(run), str(song), str(out), "--to", "trap", "--vocoder", vocoder, "--device", "cpu"])
    wave, rate = decode(out)
    assert (rate, wave.shape) == (32000, (2, 30000))
    assert wave.abs().max() > 0.01
    assert not torch.equal(wave, decode(song)[0])
    output = capsys.readouterr().out
    assert f"{out}  (0.9 s of music to trap in " in output
    assert output.endswith(f"next: cyclegan-audio evaluate {run}\n")


def test_corrections_of_a_song_are_notes_below_its_line(run, tmp_path, capsys):
    wave = np.random.default_rng(0).normal(0.05, 0.1, 30_000)
    wave[20_000] = 1e4
    soundfile.write(tmp_path / "a.wav", wave, 32_000, "FLOAT")
    wave[20_000] = 0.05
    soundfile.write(tmp_path / "b.wav", wave - 0.05, 32_000, "FLOAT")
    songs = [str(tmp_path / f"{name}.wav") for name in ("a", "b")]
    translate.main([str(run), *songs, str(tmp_path / "out"), "--to", "trap", "--vocoder", "mask"])
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"{tmp_path}/out/a.wav"))
    assert lines[at + 1 : at + 3] == [
        "  note: limited clicks, first at 0.6 s",
        "  note: subtracted a DC offset",
    ]
    assert sum("note: " in line for line in lines) == 2


def test_folder_keeps_names_and_subfolders(run, song, tmp_path):
    save(song.parent / "deep" / "b.mp3", torch.randn(1, 8000) * 0.1, 16000)
    translate.main([str(run), str(song.parent), str(tmp_path / "out"), "--to", "lofi", "--vocoder", "mask"])
    names = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert names == ["Song [1] & more.wav", "deep/b.wav"]


def test_several_songs_with_another_suffix(run, song, tmp_path):
    other = song.with_name("b.c.wav")
    save(other, torch.zeros(8000), 16000)
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


def test_bad_input_is_a_one_line_error_and_writes_nothing(run, song, tmp_path, capsys):
    out = tmp_path / "out.wav"
    (tmp_path / "text.mp3").write_text("no song " * 50)
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    cases = {
        "missing.mp3 does not exist": (run, tmp_path / "missing.mp3", out, "--to", "trap"),
        "text.mp3 cannot be read as audio": (run, tmp_path / "text.mp3", out, "--to", "trap"),
        "'polka'": (run, song, out, "--to", "polka"),
        "There are: lofi, trap": (run, song, out, "--to", "polka"),
        "unknown vocoder 'magic'; use one of": (run, song, out, "--to", "trap", "--vocoder", "magic"),
        "device 'abacus' is not available": (run, song, out, "--to", "trap", "--device", "abacus"),
        "cannot write into": (run, song, tmp_path / "file" / "out.wav", "--to", "trap"),
        "unknown suffix": (run, song, tmp_path / "out.xyz", "--to", "trap"),
        "would overwrite": (run, song, song, "--to", "trap"),
        "cannot be written to one file": (run, song, song, out, "--to", "trap"),
        "contains no audio files": (run, tmp_path / "empty", tmp_path / "o", "--to", "trap"),
        "no run": ("nowhere", song, out, "--to", "trap"),
    }
    before = sorted(tmp_path.rglob("*"))
    for message, arguments in cases.items():
        assert message in refused(capsys, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_single_failing_song_is_reported_once(run, tmp_path, capsys):
    (tmp_path / "text.mp3").write_text("no song " * 50)
    with pytest.raises(SystemExit):
        translate.main([str(run), str(tmp_path / "text.mp3"), str(tmp_path / "o.wav"), "--to", "trap"])
    assert "".join(capsys.readouterr()).count("cannot be read") == 1


def test_damaged_checkpoint_is_refused(run, song, tmp_path, capsys):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"x" * 1000)
    assert "damaged" in refused(
        capsys, run, song, tmp_path / "o.wav", "--to", "trap", "--checkpoint", damaged
    )


def test_bad_song_does_not_stop_the_others(run, song, tmp_path, capsys):
    (song.parent / "bad.mp3").write_text("no song " * 50)
    message = refused(capsys, run, song.parent, tmp_path / "out", "--to", "trap", "--vocoder", "mask")
    assert "1 of 2 songs failed" in message
    assert message.endswith("bad.mp3")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [song.name]


def test_existing_result_is_kept(run, song, tmp_path, capsys):
    out = tmp_path / "out"
    save(out / song.name, torch.zeros(10), 8000)
    before = (out / song.name).read_bytes()
    command = (run, song, out, "--to", "trap", "--vocoder", "mask")
    assert "exists; add --overwrite" in refused(capsys, *command)
    save(song.with_name("b.wav"), torch.randn(1, 9000) * 0.1, 8000)
    translate.main([str(word) for word in (run, song.parent, out, "--to", "trap", "--vocoder", "mask")])
    assert "skipping 1 of 2 songs" in capsys.readouterr().out
    assert (out / song.name).read_bytes() == before
    assert (out / "b.wav").exists()
    translate.main([*(str(word) for word in command), "--overwrite"])
    assert decode(out / song.name)[0].shape == (2, 30000)


def test_suffix_needs_no_dot(run, song, tmp_path):
    arguments = ["--to", "trap", "--vocoder", "mask", "--suffix", "mp3"]
    translate.main([str(run), str(song), str(tmp_path / "out"), *arguments])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["Song [1] & more.mp3"]


def test_non_finite_samples_leave_no_file(run, tmp_path, capsys):
    import soundfile

    wave = np.zeros((20_000, 2), np.float32)
    wave[8000:, 0] = math.nan
    soundfile.write(tmp_path / "bad.wav", wave, 8000, subtype="FLOAT")
    message = refused(capsys, run, tmp_path / "bad.wav", tmp_path / "new" / "out.wav", "--to", "trap")
    assert "not finite numbers, first at 1.000 s" in message
    assert not (tmp_path / "new").exists()


def test_results_with_the_same_path_are_refused(song):
    save(song.with_suffix(".flac"), torch.zeros(100), 8000)
    with pytest.raises(UserError, match="would overwrite"):
        translate.plan([song.parent], song.parent.parent / "out")
    with pytest.raises(UserError, match="would overwrite"):
        translate.plan([song], song.parent)


def test_debug_prints_the_traceback(run, song, capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit):
        translate.main([str(run), str(song), "x.wav", "--to", "polka", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_importing_the_verb_does_not_import_torch():
    code = "import sys, cyclegan_audio.translate as t; t.parser(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_output_without_a_suffix_becomes_a_folder_with_a_note(run, song, tmp_path, capsys):
    out = tmp_path / "out"
    translate.main([str(run), str(song), str(out), "to=trap", "vocoder=mask", "--suffix", "flac"])
    assert (
        f"{out} has no suffix such as .wav; the output goes into a folder of that name"
        in capsys.readouterr().err
    )
    assert [path.name for path in out.iterdir()] == ["Song [1] & more.flac"]
    translate.main([str(run), str(song), str(out), "--to=lofi", "vocoder=mask", "overwrite=true"])
    assert "suffix" not in capsys.readouterr().err  # it is a folder now
