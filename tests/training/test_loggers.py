"""Loggers: CSV files, Weights & Biases, TensorBoard."""

import csv
import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from cyclegan_audio.training import loggers
from cyclegan_audio.training.loggers import CSVLog
from cyclegan_audio.utils.errors import UserError


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def offline(tmp_path) -> bool:
    return loggers.wandb_logger(str(tmp_path), "project", "name")._offline


def test_offline_unless_logged_in(nobody, tmp_path, monkeypatch):
    assert offline(tmp_path)
    nobody.write_text("machine elsewhere.org login user password secret\n")
    assert offline(tmp_path)
    nobody.write_text("machine api.wandb.ai login user password secret\n")
    assert not offline(tmp_path)
    nobody.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert not offline(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert offline(tmp_path)


def test_another_host(nobody, tmp_path, monkeypatch):
    nobody.write_text("machine wandb.lab.org login user password secret\n")
    assert offline(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.lab.org")
    assert not offline(tmp_path)


def test_a_resumed_run_keeps_its_id(tmp_path):
    first, again, other = (
        loggers.wandb_logger(str(tmp_path / run), "project", "name") for run in ("one", "one", "two")
    )
    assert first._wandb_init["id"] == again._wandb_init["id"] != other._wandb_init["id"]
    assert first._wandb_init["resume"] == "allow"


def test_tensorboard_holds_scalars_pictures_sound_and_settings(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "grid.png")
    tone = 0.5 * np.sin(np.arange(800) / 5).astype(np.float32)
    soundfile.write(tmp_path / "fake.wav", tone, 8000)
    logger = loggers.tensorboard_logger(str(tmp_path), {"model": {"lr": 2e-4, "betas": [0.5, 0.9]}, "n": 3})
    assert isinstance(logger, loggers.MediaLogger)
    logger.log_metrics({"cycle/cycle_a": 0.25, "cycle/cycle_b": 0.5}, 50)
    logger.add_image_file("grids/a_to_b", tmp_path / "grid.png", "title", 50)
    logger.add_audio_file("audio/low_to_high_0_fake", tmp_path / "fake.wav", 50)
    logger.add_table(
        "clips/a", [{"clip": "x|y", "n": 3, "error": 0.123456, "real": tmp_path / "fake.wav"}], 50
    )
    logger.finalize("success")

    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {"cycle/cycle_a", "cycle/cycle_b"}
    assert [(event.step, event.value) for event in events.Scalars("cycle/cycle_a")] == [(50, 0.25)]
    (shown,) = events.Images("grids/a_to_b")
    assert (shown.width, shown.height, shown.step) == (7, 5, 50)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.encoded_image_string))), picture)
    (heard,) = events.Audio("audio/low_to_high_0_fake")
    samples, sample_rate = soundfile.read(io.BytesIO(heard.encoded_audio_string))
    assert sample_rate == 8000
    assert np.abs(samples - tone).max() < 1e-3
    (text,) = events.Tensors("clips/a/text_summary")
    assert text.tensor_proto.string_val[0].decode() == (
        "| clip | n | error |\n| --- | --- | --- |\n| x\\|y | 3 | 0.1235 |"
    )
    starts = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    values = hparams.HParamsPluginData.FromString(starts).session_start_info.hparams
    assert values["model.lr"].number_value == 2e-4
    assert values["model.betas"].string_value == "[0.5, 0.9]"
    assert "lr: 0.0002" in (tmp_path / "tensorboard" / "hparams.yaml").read_text()


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'cyclegan-audio\[tensorboard\]'"):
        loggers.tensorboard_logger(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_table_keeps_whole_rows_up_to_the_checkpoint(tmp_path):
    columns = ("batch", "loss")
    table = CSVLog(tmp_path / "rows.csv")
    table.start(columns, 0)
    for batch in (10, 20, 30):
        table.add({"batch": batch, "loss": batch / 10})
    with table.file.open("a") as file:
        file.write("1")  # of 15,..., cut off by a full disk
    table.start(columns, 20)
    with table.file.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"batch": "10", "loss": "1.0"},
            {"batch": "20", "loss": "2.0"},
        ]
    table.start(columns, 0)
    assert table.file.read_text().splitlines() == ["batch,loss"]
