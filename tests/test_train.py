import csv
import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from wandb_file import whole_run

from cyclegan_audio import train as command
from cyclegan_audio import translate
from cyclegan_audio.audio.files import write
from cyclegan_audio.config import compose
from cyclegan_audio.errors import STOPPED
from cyclegan_audio.evaluation.opening import open_corpus
from cyclegan_audio.models.checkpoint import load_pair, ship_pair
from cyclegan_audio.models.cut import CUT
from cyclegan_audio.training.checkpoints import Checkpoints


@pytest.fixture
def run(corpus, tmp_path, monkeypatch, capsys):
    """Runs the command in this process on the test corpus; returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        code: int | str | None = 0
        try:
            command.main()
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return call


@pytest.fixture
def small(corpus, tiny):
    """The overrides of a short run: eight batches an epoch, pools that are full in the first."""
    return (
        *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=2", "n_epochs_decay=1",
        "data.crop_frames=32", "model.pool_size=4", "callbacks.loss_log.every_batches=2", "precision=32-true",
        "callbacks.previews.every_epochs=10", "callbacks.previews.clips=1",
    )  # fmt: skip


def rows(folder: Path, table: str = "losses.csv") -> list[dict[str, str]]:
    with (folder / table).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_everything_in_its_folder(run, small, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    code, shown = run(*small, "run_dir=out", "callbacks.checkpoints.every_epochs=2")
    assert code == 0, shown
    out = Path("out")
    assert "training ends in about" in shown
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
        f"epoch_0003_{way}_0_{kind}.wav"
        for way in ("low_to_high", "high_to_low")
        for kind in ("real", "fake")
    }
    assert list(out.glob("wandb/offline-run-*/*.wandb"))
    pair = load_pair("out")
    assert (pair.genres, pair.window_frames, pair.batches) == (("low", "high"), 32, 24)


def test_wandb_gets_what_the_folder_gets_and_the_corpus_and_checkpoints(run, small, monkeypatch, tmp_path):
    """Read back from the offline run's own file."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    once = ("n_epochs=1", "n_epochs_decay=0", "callbacks.previews.every_epochs=1", "logger.group=ours")
    code, shown = run(*small, *once, "callbacks.artifacts.checkpoints=true", "run_dir=out")
    assert code == 0, shown
    out = Path("out")
    found = whole_run(out)
    (begun,) = found["run"]
    assert (begun.project, begun.run_group) == ("cyclegan_audio", "ours")
    assert begun.run_id == (out / "wandb_id.txt").read_text()
    assert {"genre_pair", "model", "data"} <= {item.key for item in begun.config.update}
    summaries = {metric.name: metric.summary for metric in found["metric"]}
    assert summaries["held_out/score"].min

    rows_of = logged(found["history"])
    written = [(int(row["batch"]), float(row["cycle_a"])) for row in rows(out)]
    assert [step for step, _ in rows_of["cycle/cycle_a"]] == [step for step, _ in written] == [2, 4, 6, 8]
    assert [value for _, value in rows_of["cycle/cycle_a"]] == pytest.approx([value for _, value in written])
    assert {"held_out/score", "disc/disc_b", "adversarial/adversarial_ab", "progress/lr"} <= set(rows_of)
    ways = ("low_to_high", "high_to_low")
    for name, kind in {
        **{f"grids/{way}": "images/separated" for way in ("a_to_b", "b_to_a")},
        **{f"audio/{way}_0_{heard}": "audio" for way in ways for heard in ("real", "fake")},
        **{f"clips/{way}": "table-file" for way in ("a_to_b", "b_to_a")},
    }.items():
        assert rows_of[f"{name}/_type"] == [(8, kind)]
    folder = next(out.glob("wandb/offline-run-*")) / "files"
    table = json.loads((folder / rows_of["clips/a_to_b/path"][0][1]).read_text())
    (clip,) = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert (clip["epoch"], clip["to"]) == (1, "high")
    assert clip["cycle error (dB)"] > 0
    of_tables = [file for artifact in found["artifact"] if artifact.type == "run_table"
                 for file in artifact.manifest.contents]  # fmt: skip
    heard = {Path(file.local_path).read_bytes() for file in of_tables if file.path.endswith(".wav")}
    assert heard == {path.read_bytes() for path in (out / "audio").iterdir()}
    seen = [Image.open(file.local_path) for file in of_tables if file.path.endswith(".png")]
    assert [(picture.height, picture.width % 3) for picture in seen] == [(128, 0)] * 2

    kept = {artifact.type: artifact for artifact in found["artifact"]}
    assert {"dataset", "model"} <= set(kept)
    assert {entry.path for entry in kept["dataset"].manifest.contents} == {"corpus.json", "manifest.parquet"}
    assert json.loads(kept["dataset"].metadata)["clips"]["low"]["train"] > 0
    (last,) = [entry for entry in kept["model"].manifest.contents if entry.path == "last.ckpt"]
    assert Path(last.local_path).read_bytes() == (out / "checkpoints" / "last.ckpt").read_bytes()


def text_of(events, name: str) -> str:
    """The last text that TensorBoard has under a name."""
    return events.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()


def logged(history) -> dict[str, list[tuple[int, object]]]:
    """Name to (batches, value) of each row that has it; the parts of a picture or a table by `/`."""
    series: dict[str, list[tuple[int, object]]] = {}
    for row in history:
        values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for name, value in values.items():
            series.setdefault(name, []).append((values.get("trainer/global_step"), value))
    return series


def test_a_run_of_one_direction_leaves_that_direction_and_refuses_the_other(run, small, capsys):
    once = ("n_epochs=1", "n_epochs_decay=0", "logger=none", "run_dir=out", "model.average_decay=0.9")
    code, shown = run(*small, "model=cut_small", *once)
    assert code == 0, shown
    out = Path("out")
    losses, (held_out,) = rows(out), rows(out, "validation.csv")
    assert set(losses[0]) == {"batch", "epoch", "elapsed_s", "lr", *CUT.loss_names}
    assert all(float(losses[-1][name]) > 0 for name in CUT.loss_names)
    assert {"score", "genre_ab", "lost_ab", "identity_b", "disc_wins_ab", "moved_ab"} <= set(held_out)
    assert not [name for name, value in held_out.items() if value == "" or name.endswith(("_ba", "_a"))]
    assert [path.name for path in (out / "grids").iterdir()] == ["epoch_0001_a_to_b.png"]
    assert {path.name for path in (out / "audio").iterdir()} == {
        f"epoch_0001_low_to_high_0_{kind}.wav" for kind in ("real", "fake")
    }
    best = torch.load(out / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["cyclegan_audio"]["directions"] == ["ab"]
    pair = load_pair("out")
    assert (pair.genres, pair.targets, pair.batches) == (("low", "high"), ["high"], 8)
    averaged = best["state_dict"]["average.networks.gen_ab.module.head.1.weight"]
    assert torch.equal(pair.generator("high").head[1].weight, averaged)

    write(Path("song.wav"), torch.rand(2, 44100) - 0.5, 44100)
    translate.main(["out", "song.wav", "there.wav", "--to", "high"])
    assert Path("there.wav").is_file()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        translate.main(["out", "song.wav", "back.wav", "--to", "low"])
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert "translates from low to high only" in told
    assert not Path("back.wav").exists()


def test_tensorboard_gets_what_the_folder_gets(run, small):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    once = ("n_epochs=1", "n_epochs_decay=0", "callbacks.previews.every_epochs=1")
    code, shown = run(*small, *once, "logger=tensorboard", "run_dir=out")
    assert code == 0, shown
    events = accumulator.EventAccumulator("out/tensorboard")
    events.Reload()
    cycle = [(event.step, event.value) for event in events.Scalars("cycle/cycle_a")]
    written = [(int(row["batch"]), float(row["cycle_a"])) for row in rows(Path("out"))]
    assert [step for step, _ in cycle] == [step for step, _ in written] == [2, 4, 6, 8]
    assert [value for _, value in cycle] == pytest.approx([value for _, value in written])
    tags = events.Tags()
    assert {"held_out/score", "disc/disc_b", "progress/lr"} <= set(tags["scalars"])
    assert set(tags["images"]) == {"grids/a_to_b", "grids/b_to_a"}
    assert "cycle error (dB)" in text_of(events, "clips/a_to_b")
    assert set(tags["audio"]) == {
        f"audio/{way}_0_{kind}" for way in ("low_to_high", "high_to_low") for kind in ("real", "fake")
    }


@pytest.mark.parametrize("model", ["cyclegan_small", "cut_small"])
def test_stopped_and_resumed_equals_undisturbed(run, small, monkeypatch, model):
    """Stopped within the second epoch and resumed: the same weights, pools and rows, bit for bit."""
    small = (*small, f"model={model}", "data.gain_db=6", "data.time_roll=true")
    assert run(*small, "logger=none", "run_dir=whole")[0] == 0
    at_start = Checkpoints.on_train_batch_start

    def stop_at_eleven(self, trainer, module, *args):
        if module.batches == 11:
            self._ask_to_stop(2, None)
        at_start(self, trainer, module, *args)

    monkeypatch.setattr(Checkpoints, "on_train_batch_start", stop_at_eleven)
    code, shown = run(*small, "logger=none", "run_dir=broken")
    assert code
    assert "resume=" in shown
    assert load_pair("broken").batches == 11
    monkeypatch.setattr(Checkpoints, "on_train_batch_start", at_start)
    code, shown = run("resume=broken")
    assert code == 0, shown

    def held_out(folder: str) -> list[dict[str, str]]:
        return [row | {"elapsed_s": ""} for row in rows(Path(folder), "validation.csv")]

    whole, broken = (
        torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "broken")
    )
    assert whole["cyclegan_audio"]["batches"] == broken["cyclegan_audio"]["batches"]
    torch.testing.assert_close(broken["state_dict"], whole["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(broken["optimizer_states"], whole["optimizer_states"], rtol=0, atol=0)
    assert [row["batch"] for row in rows(Path("broken"))] == [row["batch"] for row in rows(Path("whole"))]
    assert rows(Path("broken"))[-1]["gen_total"] == rows(Path("whole"))[-1]["gen_total"]
    assert held_out("broken") == held_out("whole")


def test_a_stop_in_the_last_batch_ends_the_sweep(run, small, monkeypatch):
    at_end = Checkpoints.on_train_epoch_end

    def stop_at_the_end(self, trainer, module):
        self._ask_to_stop(2, None)
        at_end(self, trainer, module)

    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", stop_at_the_end)
    once = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "hydra.sweep.dir=sweep")
    code, _ = run("-m", *once, "model.loss_weights.identity=0,5")
    assert code == STOPPED
    assert [path.name for path in Path("sweep").glob("*_*")] == ["0_low_high"]
    assert load_pair("sweep/0_low_high").batches == 8


def test_names_that_mean_something_to_hydra(run, small, corpus, monkeypatch, tmp_path):
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
    assert load_pair(f"../runs {odd}").batches == 16
    assert list(Path().iterdir()) == []


def test_resume_may_choose_loggers_and_previews_anew(run, small):
    assert run(*small, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")[0] == 0
    code, shown = run("resume=out", "n_epochs=2", "vocoder=mask", "callbacks.previews.every_epochs=1")
    assert code == 0, shown
    assert (Path("out") / "audio" / "epoch_0002_low_to_high_0_fake.wav").is_file()
    assert "Mask" in (Path("out") / "config.yaml").read_text()


def test_music_that_moved_into_training_is_told_and_kept(run, small, corpus):
    shutil.copytree(corpus, "corpus")
    own = (*(argument for argument in small if not argument.startswith("corpus=")), "corpus=corpus")
    assert run(*own, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")[0] == 0
    before = load_pair("out").training_spans
    path = Path("corpus/manifest.parquet")
    table = pq.read_table(path)
    moved = ["train" if split == "test" else split for split in table["split"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("split"), "split", pa.array(moved)), path)
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 0, shown
    assert "the training clips of the corpus have changed" in shown
    after = load_pair("out").training_spans
    assert set(before) < set(after)


def test_resume_with_more_epochs(run, small):
    assert run(*small, "logger=none", "run_dir=out")[0] == 0
    first = load_pair("out").batches
    code, shown = run("resume=out", "n_epochs=4")
    assert code == 0, shown
    assert load_pair("out").batches == first // 3 * 5
    assert float(rows(Path("out"))[-1]["lr"]) == pytest.approx(1e-4)  # decays after the fourth epoch now


def test_a_matched_run_says_so_wherever_it_is_used(run, small, corpus, tmp_path):
    short = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "run_dir=out")
    assert run(*short, "data.match=[loudness,bandwidth]")[0] == 0
    pair = load_pair("out")
    lufs, cutoff_hz = pair.match["loudness_lufs"], pair.match["cutoff_hz"]
    assert -40 < lufs < 0
    assert 100 < cutoff_hz < 3000  # `low` has nothing above
    opened = open_corpus(pair, None, Path("out"))
    mel_db = opened.mel_db(opened.clips("high", "test")[0])
    assert mel_db[opened.mel.band_hz > cutoff_hz].unique().tolist() == [-100]
    ship_pair(pair, tmp_path / "shipped")
    assert load_pair(tmp_path / "shipped").match == pair.match


@pytest.mark.parametrize("change", ["model=cyclegan", "optimiser=sgd"])
def test_resume_with_what_cannot_change(run, small, change):
    assert run(*small, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")[0] == 0
    code, shown = run("resume=out", change)
    assert code == 1
    assert shown.strip().splitlines()[-1].startswith("error: ")


def test_pictures_are_trained_on_and_mels_translated(run, small):
    """As in `experiment=paper_exact`: losses in pictures, held-out numbers, grids and translation in mels."""
    pictures = ("generator=pictures", "discriminator=pictures", "model.generator.size=32")
    own = [part for part in small if not part.startswith("data.crop_frames")]
    once = (
        "n_epochs=1",
        "n_epochs_decay=0",
        "callbacks.previews.every_epochs=1",
        "logger=none",
        "run_dir=out",
    )
    code, shown = run(*own, *once, *pictures, "precision=auto")
    assert code == 0, shown
    assert 0 < float(rows(Path("out"))[-1]["cycle_a"]) < 2
    assert len(list(Path("out/grids").iterdir())) == 2
    pair = load_pair("out")
    made = pair.generator("high")(torch.rand(1, 1, 128, 87) * 2 - 1)
    assert made.shape == (1, 1, 128, 87)
    assert made.abs().max() <= 1


def test_multirun_gives_each_job_its_folder(run, small):
    code, shown = run(
        "-m", *small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "model.loss_weights.identity=0,5",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 0, shown
    assert [
        load_pair(f"sweep/{job}_low_high").config["model"]["loss_weights"]["identity"] for job in (0, 1)
    ] == [0, 5]
    assert rows(Path("sweep/0_low_high"))[0]["identity_a"] == ""
    record = json.loads(Path("sweep/0_low_high/job.json").read_text())
    assert 0 < record["held_out"]["held_out/cycle_a"] < 2
    assert set(compose("train").objective) <= set(record["held_out"])
    assert float(rows(Path("sweep/1_low_high"))[0]["identity_a"]) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["genre_pair.b=jazz"], "jazz"),
        (["mel=paper"], "hop_length"),
        (["corpus=nowhere"], "nowhere"),
        (["model.loss_weights.cycle=-1"], "must not be negative"),
        (["precision=8"], "choose one of auto"),
        (["resume=nowhere"], "no run 'nowhere'"),
        (["data.crop_frames=5000"], "crop_frames"),
        (["generator=pictures"], "belong together"),
        (["data.match=[level]"], "data.match=level is unknown"),
        (["n_epochs=1.5"], "n_epochs=1.5 is not a whole number"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["max_minutes=soon"], "max_minutes=soon"),
        (["model.optimizer.lr=fast"], "model.optimizer"),
        (["callbacks.checkpoints.every_epochs=0"], "every_epochs=0"),
        (["seed=-1"], "seed=-1"),
        (["no_such_key=1"], "no_such_key"),
        (["genre_pair=lofi_polka"], "lofi_polka"),
    ],
)
def test_bad_input_is_one_line(run, small, arguments, message):
    code, shown = run(*small, "logger=none", *arguments)
    assert code == 1
    line = shown.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert list(Path().iterdir()) == []
    assert "Traceback" not in shown


def test_folder_that_cannot_be_written(run, small):
    Path("file").write_text("in the way")
    code, shown = run(*small, "logger=none", "run_dir=file/run")
    assert code == 1
    assert "Traceback" not in shown


def test_a_run_is_not_overwritten(run, small):
    once = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "run_dir=out")
    assert run(*once)[0] == 0
    before = Path("out/checkpoints/last.ckpt").read_bytes()
    code, shown = run(*once)
    assert code == 1
    assert "holds a run already" in shown
    assert Path("out/checkpoints/last.ckpt").read_bytes() == before
    Path("out/checkpoints/last.ckpt").rename("copied.ckpt")
    code, shown = run("resume=copied.ckpt")
    assert code == 1
    assert "does not lie in a run folder" in shown
