"""The whole way of the equaliser: train, resume, translate and evaluate it."""

import json
from pathlib import Path

import torch

from cyclegan_audio import evaluate, translate
from cyclegan_audio.audio.io import save
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.utils.errors import UserError
from tests.loss_table import rows

FAST = ("callbacks.previews.clips=1", "~callbacks.tagger")


def no_tagger(*arguments: object) -> None:
    raise UserError("none in this test, where it takes most of the time")


def test_the_whole_way(run, corpus, monkeypatch, quick_classifiers):
    monkeypatch.setattr("cyclegan_audio.reports.evaluation.evaluate.load_tagger", no_tagger)
    genres = (f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high")
    code, shown = run("model=equaliser", *genres, "logger=none", "run_dir=out", *FAST)
    assert code == 0, shown
    assert "fitted to the training clips; run folder: " in shown
    (held_out,) = rows(Path("out"), "validation.csv")
    assert float(held_out["score"]) > 0
    assert float(held_out["cycle_a"]) < 0.5
    assert rows(Path("out")) == []
    assert {path.name for path in Path("out/checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    model = load_model("out")
    assert (model.genres, model.batches, model.frame_multiple) == (("low", "high"), 0, 1)
    assert (model.generators["ab"].source.spread != 1).all()

    code, shown = run("resume=out")
    assert code == 2
    assert "out is a finished equaliser" in shown

    save(Path("song.wav"), torch.rand(2, 44100) - 0.5, 44100)
    translate.main(["out", "song.wav", "there.wav", "--to", "high", "--shifts", "4"])
    assert Path("there.wav").stat().st_size > 44100

    evaluate.main(["out", "--clips", "2", "--vocoder", "mask"])
    report = json.loads(Path("out/report/report.json").read_text())
    assert report["run"]["model"] == "Equaliser, generator EqualiserGenerator (n_mels 128)"
    assert report["losses"] == {}
    for direction in ("low to high", "high to low"):
        assert direction in report["verdict"]
