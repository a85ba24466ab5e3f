"""Exported models give the same translations, and describe themselves."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from cyclegan_audio import export, translate
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.export import export_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics
from cyclegan_audio.translation.streaming import translate_live
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import translated_mel
from tests.vocoders.sounds import chords, preset

WITHOUT_TORCH = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
metadata = json.loads(session.get_modelmeta().custom_metadata_map["model.json"])
mels = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], session.run(["fake_b"], {"mel": mels})[0])
found = session.run(["statistics_b"], {"mel": mels})[0]
piece = found.mean(0)
piece[1] += found[:, 0].var(0)
numpy.save(sys.argv[4], session.run(["fake_b"], {"mel": mels, "statistics": piece})[0])
print(json.dumps([metadata["genres"], metadata["mel"]["sample_rate"], "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def model() -> TranslationModel:
    torch.manual_seed(0)
    networks = {direction: ResnetGenerator(4, 1).eval() for direction in DIRECTIONS}
    for parameter in (p for network in networks.values() for p in network.parameters()):
        torch.nn.init.normal_(parameter, std=0.2)  # so that the two differ, and from their input
    return TranslationModel(
        ("lofi", "trap"), preset("hifi"), networks, window_frames=88, config={}, batches=7
    )


@pytest.fixture(scope="module")
def onnx_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "folder" / "pair.onnx"
    assert export_model(model, path) < 1e-3
    assert [file.name for file in path.parent.iterdir()] == ["pair.onnx"]
    return path


@pytest.mark.parametrize(("batch", "frames"), [(1, 44), (3, 128)])
def test_onnx_runs_any_length_without_torch(model, onnx_file, tmp_path, batch, frames):
    mel = torch.rand(batch, 1, 128, frames) * torch.linspace(0.2, 1, batch)[:, None, None, None] * 2 - 1
    np.save(tmp_path / "mel.npy", mel.numpy())
    names = [tmp_path / f"{name}.npy" for name in ("mel", "own", "piece")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, onnx_file, *names], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [["lofi", "trap"], 44100, False]
    generator = model.generators["ab"]
    with torch.no_grad():
        own, piece = generator(mel), with_statistics(generator, collect_statistics(generator, [mel]))(mel)
    for name, expected in (("own", own), ("piece", piece)):
        got = torch.from_numpy(np.load(tmp_path / f"{name}.npy"))
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)
    assert (own - mel).abs().mean() > 0.1
    assert batch == 1 or (own - piece).abs().mean() > 0.01


def test_an_onnx_file_loads_as_a_model(model, onnx_file, capfd):
    loaded = load_model(onnx_file)
    assert (loaded.genres, loaded.mel, loaded.batches) == (model.genres, model.mel, 7)
    assert (loaded.window_frames, loaded.frame_multiple) == (88, 4)
    assert capfd.readouterr() == ("", "")
    mel = torch.rand(1, 1, 128, 60) * 2 - 1
    with torch.no_grad():
        for to in model.genres:
            torch.testing.assert_close(loaded.generator(to)(mel), model.generator(to)(mel), rtol=0, atol=1e-3)


def test_torch_export_keeps_the_length_open(model, tmp_path):
    path = tmp_path / "pair.pt2"
    assert export_model(model, path, to="lofi") < 1e-3
    metadata = {"model.json": ""}
    program = torch.export.load(path, extra_files=metadata).module()
    assert json.loads(metadata["model.json"])["outputs"] == ["fake_a"]
    network = model.generators["ba"]
    one, other = torch.rand(1, 1, 128, 64) * 2 - 1, torch.rand(1, 1, 128, 32) * 0.3
    with torch.no_grad():
        own = torch.full((2, json.loads(metadata["model.json"])["statistics"]), torch.nan)
        fake, statistics = program(other, own)
        torch.testing.assert_close(fake, network(other), rtol=0, atol=1e-3)
        expected = with_statistics(network, collect_statistics(network, [other]))(one)
        torch.testing.assert_close(program(one, statistics[0])[0], expected, rtol=0, atol=1e-3)
        assert (program(one, own)[0] - expected).abs().mean() > 0.01


@pytest.mark.parametrize("shifts", [1, 2])
def test_a_long_piece_is_translated_by_its_own_statistics_as_by_the_run(model, onnx_file, shifts):
    song = chords(preset("hifi"), 16.0)  # more than twelve windows,
    song[:, song.shape[1] // 3 :] *= 0.1  # which differ
    waveforms, whole = [], []
    for tested in (model, load_model(onnx_file)):
        translator = Translator(with_cycle_spinning(tested, shifts), "mask")
        translator.bf16 = False  # as exported
        statistics = translator.analyse(lambda: song.split(50_000, 1), 44100, "trap", workers=2)
        assert statistics.norm_statistics is not None
        mel_db = translator.mel.mel_db(song)[0]
        with torch.no_grad():
            stream = translator.windowed_generator("trap", statistics).stream(workers=2)
            parts = stream.push(mel_db, last=True)
        waveforms.append(parts)
        whole.append(translator(song, 44100, "trap"))
        by_windows = (
            translated_mel(Translator(with_cycle_spinning(tested, shifts), "mask"), mel_db, "trap") - mel_db
        )
    # dB, 65 to 1 of the mel's scale. Rounding alone, in fp32, is 0.0009 to 0.0015 dB, by the CPU; a variance
    # that is wrong by one part in 10,000 is 0.09 dB.
    torch.testing.assert_close(*waveforms, rtol=0, atol=0.01)
    torch.testing.assert_close(*whole, rtol=0, atol=1e-3)
    assert (waveforms[1] - by_windows).abs().mean() > 0.1


def test_translate_uses_an_exported_file(onnx_file, tmp_path):
    save(tmp_path / "song.wav", chords(preset("hifi"), 1.0), 44100)
    translate.main([str(onnx_file), str(tmp_path / "song.wav"), str(tmp_path / "out.wav"), "--to", "trap"])
    out, _ = decode(tmp_path / "out.wav")
    source, _ = decode(tmp_path / "song.wav")
    assert out.shape == source.shape
    assert (out - source).abs().max() > 0.01


@pytest.mark.parametrize("shifts", [1, 2])
def test_a_live_stream_by_an_exported_file_is_that_by_the_run(model, onnx_file, shifts):
    song = chords(preset("hifi"), 4.0)
    waveforms = []
    for tested in (model, load_model(onnx_file)):
        translator = Translator(with_cycle_spinning(tested, shifts), "mask")
        translator.bf16 = False
        with torch.no_grad():
            waveforms.append(
                torch.cat(list(translate_live(translator, song.split(2048, 1), 44100, 1, "trap")), 1)
            )
    assert waveforms[0].shape == song.shape
    torch.testing.assert_close(*waveforms, rtol=0, atol=1e-3)
    assert (waveforms[1] - song).abs().max() > 0.01


def test_the_command_prints_its_result_and_does_not_overwrite(monkeypatch, model, tmp_path, capsys):
    monkeypatch.setattr(
        "cyclegan_audio.inference.checkpoints.load_model", lambda *arguments, **options: model
    )
    out = tmp_path / "one.onnx"
    export.main(["run", str(out), "--to", "trap"])
    output = capsys.readouterr().out
    assert "maximum difference" in output
    assert output.endswith(f"next: cyclegan-audio translate {out} song.mp3 out.wav --to trap\n")
    monkeypatch.undo()
    with pytest.raises(UserError, match="translates from lofi to trap only"):
        load_model(out).generator("lofi")
    with pytest.raises(SystemExit):
        export.main(["run", str(out)])
    assert "exists; choose another file, or add --overwrite" in capsys.readouterr().err


def test_an_old_file_without_checksum_is_refused(tmp_path, onnx_file):
    model = onnx.load(onnx_file)
    metadata = json.loads(model.metadata_props[0].value)
    del metadata["checksum"]
    onnx.helper.set_model_props(model, {"model.json": json.dumps(metadata)})
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(
        UserError, match=r"old\.onnx: its metadata has no checksum, as those of older versions"
    ):
        load_model(tmp_path / "old.onnx")


def test_what_cannot_be_exported_or_read_is_refused(model, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"must end in \.onnx or \.pt2"):
        export_model(model, tmp_path / "pair.tflite")
    with pytest.raises(UserError, match="no genre 'jazz' in this model"):
        export_model(model, tmp_path / "pair.onnx", to="jazz")
    one_way = dataclasses.replace(model, generators={"ab": model.generators["ab"]})
    with pytest.raises(UserError, match="translates from lofi to trap only"):
        export_model(one_way, tmp_path / "pair.onnx", to="lofi")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="cannot be read as ONNX"):
        load_model(tmp_path / "bad.onnx")
    (tmp_path / "program.pt2").write_bytes(b"a program")
    with pytest.raises(UserError, match=r"give the run itself, or export it to \.onnx"):
        load_model(tmp_path / "program.pt2")
    (tmp_path / "program.pt2").unlink()
    image_model = dataclasses.replace(model, generators={"ab": ImageGenerator(32, 4, 1)})
    with pytest.raises(UserError, match="a model with generator=images cannot be exported"):
        export_model(image_model, tmp_path / "pair.onnx")
    monkeypatch.setattr(
        "cyclegan_audio.inference.export._largest_difference", lambda *arguments: float("nan")
    )
    with pytest.raises(UserError, match="differ from the model"):
        export_model(model, tmp_path / "pair.pt2", to="trap")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]
