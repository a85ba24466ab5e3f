"""What a run writes, sweeps, and options of the train command."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from cyclegan_audio import evaluate, translate
from cyclegan_audio.audio.io import save
from cyclegan_audio.config import compose
from cyclegan_audio.inference.checkpoints import list_checkpoints, load_model, save_pretrained
from cyclegan_audio.reports.evaluation.translations import open_corpus
from tests.loss_table import rows


def test_a_run_writes_everything_to_its_folder(run, pictured, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    code, shown = run(*pictured, "run_dir=out", "callbacks.checkpoints.every_epochs=2")
    assert code == 0, shown
    out = Path("out")
    assert "training ends in about" in shown
    assert not re.search(r"[\r\x1b]", shown)  # nobody looks on: plain lines
    song = "song.mp3 out.wav --to high"
    assert f"next: cyclegan-audio translate {out.absolute()} {song}\n" in shown
    assert shown.endswith(f"next: cyclegan-audio evaluate {out.absolute()}\n")
    losses = rows(out)
    assert [int(row["batch"]) for row in losses] == list(range(2, 25, 2))  # three epochs of eight
    assert float(losses[-1]["lr"]) == pytest.approx(1e-4)
    assert all(float(row["disc_a"]) > 0 for row in losses)
    assert {path.name for path in (out / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
        "epoch_0002.ckpt",
    }
    assert {path.name for path in (out / "grids").iterdir()} == {
        "epoch_0003_a_to_b.png",
        "epoch_0003_b_to_a.png",
    }
    assert {path.name for path in (out / "audio").iterdir()} == {
        f"epoch_0003_{direction}_0_{kind}.wav"
        for direction in ("low_to_high", "high_to_low")
        for kind in ("real", "fake")
    }
    assert list(out.glob("wandb/offline-run-*/*.wandb"))
    model = load_model("out")
    assert (model.genres, model.window_frames, model.batches) == (("low", "high"), 32, 24)


def test_a_run_of_one_direction_translates_that_one_and_refuses_the_other(run, pictured, capsys):
    once = ("n_epochs=1", "n_epochs_decay=0", "logger=none", "run_dir=out", "model.ema_decay=0.9")
    code, shown = run(*pictured, "model=cut_small", *once)
    assert code == 0, shown
    out = Path("out")
    losses, (held_out,) = rows(out), rows(out, "validation.csv")
    names = ("gen_total", "adversarial_ab", "contrast_a", "identity_b", "disc_b")
    columns = ["batch", "epoch", "elapsed_s", "lr", *names[:-1], "restoration_b", "piece_ab", "disc_b"]
    assert list(losses[0]) == columns
    assert all(float(losses[-1][name]) > 0 for name in names)
    assert losses[-1]["restoration_b"] == losses[-1]["piece_ab"] == ""
    assert {"score", "genre_ab", "lost_ab", "identity_b", "disc_wins_ab", "moved_ab"} <= set(held_out)
    assert not [name for name, value in held_out.items() if value == "" or name.endswith(("_ba", "_a"))]
    assert [path.name for path in (out / "grids").iterdir()] == ["epoch_0001_a_to_b.png"]
    assert {path.name for path in (out / "audio").iterdir()} == {
        f"epoch_0001_low_to_high_0_{kind}.wav" for kind in ("real", "fake")
    }
    best = torch.load(out / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["cyclegan_audio"]["directions"] == ["ab"]
    model = load_model("out")
    assert (model.genres, model.targets, model.batches) == (("low", "high"), ["high"], 8)
    averaged = best["state_dict"]["ema.networks.gen_ab.module.head.1.weight"]
    assert torch.equal(model.generator("high").head[1].weight, averaged)

    save(Path("song.wav"), torch.rand(2, 44100) - 0.5, 44100)
    translate.main(["out", "song.wav", "there.wav", "--to", "high"])
    assert Path("there.wav").is_file()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        translate.main(["out", "song.wav", "back.wav", "--to", "low"])
    (message,) = capsys.readouterr().err.strip().splitlines()
    assert "translates from low to high only" in message
    assert not Path("back.wav").exists()


def test_names_with_a_meaning_in_hydra_are_literal(run, small, corpus, monkeypatch, tmp_path):
    """A relative corpus and run folder with brackets, commas and `&`; resumed from elsewhere."""
    odd = "Lofi [2018] & more, a=b"
    shutil.copytree(corpus, odd)
    code, shown = run(
        *small, f"corpus={odd}", f"run_dir=runs {odd}", "n_epochs=1", "n_epochs_decay=0", "logger=none"
    )
    assert code == 0, shown
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, shown = run(f"resume=../runs {odd}", "n_epochs=2")
    assert code == 0, shown
    assert load_model(f"../runs {odd}").genres == ("low", "high")
    last = load_model(f"../runs {odd}/checkpoints/last.ckpt")  # the best may be the first epoch's
    assert last.batches == 16
    assert list(Path().iterdir()) == []


def test_a_normalised_run_is_used_as_such(run, small, corpus, tmp_path):
    short = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "run_dir=out")
    assert run(*short, "data.normalise=[loudness,bandwidth]")[0] == 0
    model = load_model("out")
    lufs, cutoff_hz = model.normalisation["loudness_lufs"], model.normalisation["cutoff_hz"]
    assert -40 < lufs < 0
    assert 100 < cutoff_hz < 3000  # `low` has nothing above
    opened = open_corpus(model, None, Path("out"))
    mel_db = opened.mel_db(opened.clips("high", "test")[0])
    assert mel_db[opened.mel.band_hz > cutoff_hz].unique().tolist() == [-100]
    save_pretrained(model, tmp_path / "shipped")
    assert load_model(tmp_path / "shipped").normalisation == model.normalisation


def test_image_networks_train_and_translate_mels(run, pictured):
    """As in `experiment=paper_exact`: losses in pictures, held-out numbers, grids and translation in mels."""
    pictures = ("generator=images", "discriminator=images", "model.generator.size=32")
    others = [part for part in pictured if not part.startswith("data.crop_frames")]
    once = (
        "n_epochs=1",
        "n_epochs_decay=0",
        "callbacks.previews.every_epochs=1",
        "logger=none",
        "run_dir=out",
    )
    code, shown = run(*others, *once, *pictures, "precision=auto")
    assert code == 0, shown
    assert 0 < float(rows(Path("out"))[-1]["cycle_a"]) < 2
    assert len(list(Path("out/grids").iterdir())) == 2
    model = load_model("out")
    translated = model.generator("high")(torch.rand(1, 1, 128, 87) * 2 - 1)
    assert translated.shape == (1, 1, 128, 87)
    assert translated.abs().max() <= 1


def test_multirun_gives_each_job_its_folder(run, small):
    code, shown = run(
        "-m", *small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "model.loss_weights.identity=0,5",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 0, shown
    assert "1 of 2 jobs have ended, about " in shown
    assert "next: " not in shown
    assert [
        load_model(f"sweep/{job}_low_high").config["model"]["loss_weights"]["identity"] for job in (0, 1)
    ] == [0, 5]
    assert rows(Path("sweep/0_low_high"))[0]["identity_a"] == ""
    record = json.loads(Path("sweep/0_low_high/job.json").read_text())
    assert 0 < record["metrics"]["held_out/cycle_a"] < 2
    assert set(compose("train").optimized_metric) <= set(record["metrics"])
    assert float(rows(Path("sweep/1_low_high"))[0]["identity_a"]) > 0


def test_early_stop_ends_a_run_that_does_not_get_better(run, small, monkeypatch):
    scores = iter([0.5, 0.6, 0.6, 0.6])
    monkeypatch.setattr(
        "cyclegan_audio.training.callbacks.validation.validation_metrics",
        lambda clips: {"score": next(scores)},
    )
    code, shown = run(
        *small, "logger=none", "run_dir=out", "n_epochs=3", "n_epochs_decay=3", "early_stop=true",
        "callbacks.validation.every_epochs=1",
    )  # fmt: skip
    assert code == 0, shown
    assert "training ends; it was best after 8 batches: " in shown
    assert "trained 24 batches" in shown  # three of six epochs: two, a third of the run, after the best
    assert load_model("out").batches == 8
    assert load_model("out/checkpoints/last.ckpt").batches == 24


@pytest.mark.slow
def test_the_checkpoints_of_a_run_are_put_side_by_side(run, small, capsys):
    options = ("logger=none", "run_dir=out", "n_epochs=2", "n_epochs_decay=0")
    assert run(*small, *options, "callbacks.checkpoints.every_epochs=1")[0] == 0
    evaluate.main(["out", "--checkpoint", "all"])
    assert f"comparison: {Path('out/comparison/compare.html')}" in capsys.readouterr().out
    columns = json.loads(Path("out/comparison/compare.json").read_text())["columns"]
    names = [path.stem for path in list_checkpoints("out")]
    assert len(names) == 2  # last.ckpt has the same batches as epoch_0002.ckpt
    assert [column["name"] for column in columns] == names


def test_checkpoints_are_listed_by_their_batches(run, small, capsys):
    options = ("logger=none", "run_dir=out", "n_epochs=2", "n_epochs_decay=1")
    assert run(*small, *options, "callbacks.checkpoints.every_epochs=1", "~callbacks.validation")[0] == 0
    names = [path.name for path in list_checkpoints("out")]
    assert names == ["epoch_0001.ckpt", "epoch_0002.ckpt", "epoch_0003.ckpt"]
    for arguments, message in (
        (["out", "--checkpoint", "all", "--shifts", "2"], "all cannot take --shifts; leave it out"),
        (["demo", "--checkpoint", "all"], "demo has fewer than two checkpoints to compare"),
    ):
        with pytest.raises(SystemExit):
            evaluate.main(arguments)
        assert message in capsys.readouterr().err
