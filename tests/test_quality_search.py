"""The search of `experiments/013_quality`: its options, its defaults, its clock, and a tiny search."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.config import compose
from cyclegan_audio.models.lr_schedules import LinearDecay

FOLDER = Path(__file__).parents[1] / "experiments" / "013_quality"
TINY = ("model=cyclegan_small", "model.generator.n_filters=4", "model.generator.n_blocks=1",
        "model.discriminator.n_filters=4", "data.crop_frames=64")  # fmt: skip
SONGS = ("source=demo", "source.songs_per_genre=3", "source.paired_scores=2", "source.seconds=8", "workers=1",
         "split.val=0.3", "split.test=0.3", "page=false")  # fmt: skip
DIRECTIONS = {"lofi to rnb", "rnb to lofi"}
BASELINES = {"untouched", "equaliser", "paired truth"}


@pytest.fixture
def search(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import search

    return search


def test_every_command_parses(search):
    for words in (
        "prepare OUT --songs 20",
        "score OUT demo --corpus C --name report --tagger",
        "published OUT demo --corpus C",
        "table OUT --name report",
        "curves OUT --candidates old new --scores chroma",
        "spectrograms OUT demo runs/mine --corpus C",
    ):
        assert search.parse(words.split()).out == Path("OUT")
    words = [
        "train",
        "OUT",
        "new",
        "--corpus",
        "C",
        "--seconds",
        "600",
        "model=cut_small",
        "~model.x",
        "--seed",
        "1",
    ]
    options = search.parse(words)
    assert (options.name, options.seconds, options.seed) == ("new", 600, 1)
    assert options.overrides == ["model=cut_small", "~model.x"]


@pytest.mark.parametrize("words", ["table OUT model=cut", "train OUT new --corpus C --second 3 --unknown"])
def test_unknown_arguments_are_refused(search, words):
    with pytest.raises(SystemExit):
        search.parse(words.split())


def test_candidates_compose(search):
    cfg = search.compose_candidate("data/a=b", 110, 20, 3, ["model=cyclegan_small", "experiment=demo"])
    assert cfg.corpus.endswith("data/a=b")
    assert (cfg.max_minutes, cfg.seed, cfg.threads) == (pytest.approx(1.5), 3, 1)
    assert set(cfg.callbacks) == {"loss_log", "recovery", "checkpoints"}
    assert not cfg.logger
    assert cfg.n_epochs == cfg.n_epochs_decay == 1_000_000
    with pytest.raises(search.UserError, match="--seconds"):
        search.compose_candidate("data", 20, 20, 0, [])


def test_the_commands_of_the_docstring_run(search):
    text = search.__doc__.replace("\\\n", " ")
    commands = [line.split()[2:] for line in text.splitlines() if line.startswith("python $S ")]
    assert {words[0] for words in commands} == {
        "prepare", "train", "ceiling", "score", "published", "table", "curves", "spectrograms",
    }  # fmt: skip
    for words in commands:
        options = search.parse(words)
        if words[0] in ("train", "ceiling"):
            search.compose_candidate(options.corpus, options.seconds, 0, 0, options.overrides)


def test_candidates_are_cropped_as_the_demo_unless_overridden(search):
    demo = compose("train", ["experiment=demo"]).data.crop_frames
    for overrides, frames in (([], demo), (["data.crop_frames=64"], 64), (["data.crop_frames=null"], None)):
        assert search.compose_candidate("data", 110, 0, 0, overrides).data.crop_frames == frames


@pytest.mark.parametrize(("overrides", "start", "speeds"), [((), None, 0), (("init_from=auto",), "auto", 0)])
def test_candidates_get_no_help_unless_asked(search, overrides, start, speeds):
    cfg = search.compose_candidate("data", 110, 0, 0, ["model=cyclegan_small", *overrides])
    assert (cfg.init_from, cfg.data.varispeed) == (start, speeds)


def test_the_ceiling_warms_up_its_learning_rate(search, tiny_model, monkeypatch):
    import cpu_training

    class Clock:
        cpu_s, reads = 0.0, 0

        def start(self) -> None:
            pass

        def read(self) -> float:
            self.reads += 1
            return 0.0 if self.reads <= 6 else 1e9

    rates: list[float] = []
    monkeypatch.setattr(cpu_training, "_step", lambda opt, _: rates.append(opt.param_groups[0]["lr"]))
    model = tiny_model("model.schedule.warm_up_batches=4", "max_minutes=1", "model.optimizer.lr=0.4")
    model.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    mels = {domain: torch.zeros(2, 32, 64) for domain in "ab"}
    data = SimpleNamespace(batch_size=1, crop_frames=32)
    cpu_training.fit_pairs(model, mels, data, "32-true", Clock())
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_corpora_compose(search):
    for overrides in (*search.CORPORA.values(), search.TRAINING):
        assert compose("prepare", ["source=demo", *overrides]).source.seed in {5, 77, 1077, 2077}


def test_a_run_ends_by_cpu_time_and_not_by_the_clock(search):
    from cpu_training import CPUClock

    clock, trainer = CPUClock(), SimpleNamespace(should_stop=False)
    module = SimpleNamespace(elapsed_s=0.0, schedule=LinearDecay(1, 1, max_minutes=0.2 / 60))
    clock.on_train_start(trainer, module)
    time.sleep(0.3)
    trainer.should_stop = True  # as the module does by the clock
    clock.on_train_batch_end(trainer, module)
    assert not trainer.should_stop
    assert module.elapsed_s < 0.1
    assert clock.wall_s >= 0.3
    while time.process_time() < clock._start[0] + 0.25:
        pass
    clock.on_train_batch_end(trainer, module)
    assert trainer.should_stop
    assert 0.25 <= module.elapsed_s < 0.5


@pytest.mark.parametrize(("until", "last"), [(None, 10), (5, 5)])
def test_a_run_ends_by_its_batches_and_keeps_its_quarters(search, tmp_path, monkeypatch, until, last):
    import cpu_training

    saved: list[str] = []
    monkeypatch.setattr(cpu_training, "save_checkpoint", lambda model, run_dir, name: saved.append(name))
    clock, trainer = cpu_training.BatchClock(tmp_path, 10, until), SimpleNamespace(should_stop=True)
    module = SimpleNamespace(elapsed_s=0.0, batches=0, schedule=LinearDecay(1, 1, max_minutes=10 / 60))
    for batches in range(1, 11):
        clock.on_train_batch_start(trainer, module)
        assert module.elapsed_s == batches - 1
        module.batches = batches
        clock.on_train_batch_end(trainer, module)
        assert trainer.should_stop == (batches >= last)
    assert saved == [f"batch_{n:06d}.ckpt" for n in (2, 5, 7, 10)]


@pytest.mark.parametrize("budget", [["--seconds", "20"], ["--batches", "900"]])
def test_an_end_after_the_budget_is_refused(search, tmp_path, budget):
    options = search.parse(
        ["train", str(tmp_path), "late", "--corpus", str(tmp_path), *budget, "--until", "900"]
    )
    with pytest.raises(search.UserError, match=r"^--until must be less than --batches$"):
        options.run_command(options)
    assert not list(tmp_path.iterdir())


def record(name: str, seed: int, mean: float, low: float) -> dict[str, object]:
    scores = {"rhythm_gain_db": {"mean": mean, "low": low}, "chroma": {"mean": 0.9}}
    return {
        "name": name, "seconds": 110.0, "seed": seed, "batches": 100 + seed, "system": f"{name}{seed}",
        "genres": ["a", "b"], "normalisation": "", "scored_on": "choose", "file_time": 1, "tagger": False,
        "directions": {"a to b": scores},
    }  # fmt: skip


def test_results_are_kept_once_and_seeds_are_averaged(search, tmp_path):
    results = search.Results(tmp_path)
    for one in (record("new", 0, 9.0, 9.0), record("new", 0, 0.5, 0.1), record("new", 1, 0.3, -0.1)):
        results.add(one)
    results = search.Results(tmp_path)
    known = record("new", 1, 0, 0)
    assert results.has(known)
    assert not results.has(known | {"file_time": 2})
    assert not results.has(known | {"tagger": True})
    assert not results.has(known | {"scored_on": "report"})
    assert "| new | 110 | 2 | 100 | 0.40 ± 0.14 (1/2) | 0.90 ± 0.00 |" in search.markdown_table(
        results.on("choose")
    )
    figure = search.draw_curves(results.on("choose"), ["new"], ["chroma"])
    assert len(figure.axes) == 1


def test_a_table_may_have_several_pairs(search):
    other = record("new", 1, 0.3, 0.1) | {
        "genres": ["a", "c"],
        "directions": {"a to c": {"chroma": {"mean": 0.5}}},
    }
    table = search.markdown_table([record("new", 0, 0.5, 0.1), other])
    assert table.splitlines()[-1].endswith("| 0.50 (1/1) / - | 0.90 / 0.50 |")


def test_baselines_of_other_normalisations_are_other_records(search, tmp_path):
    options = SimpleNamespace(name="choose", corpus=tmp_path, tagger=False)
    (tmp_path / search.MANIFEST_FILE).write_text("")
    results = search.Results(tmp_path)
    for normalisation, mean in (("", 0.9), ("normalised to -20.0 LUFS", 0.5)):
        of_model = {"genres": ["a", "b"], "normalisation": normalisation}
        one = search.baseline_record("untouched", of_model, options)
        assert not results.has(one)
        results.add(one | {"directions": {"a to b": {"chroma": {"mean": mean}}}})
    table = search.markdown_table(search.Results(tmp_path).on("choose"))
    assert "| untouched |  |  |  | 0.90 |" in table
    assert "| untouched, normalised to -20.0 LUFS |  |  |  | 0.50 |" in table
    figure = search.draw_curves(results.on("choose"), [], ["chroma"])
    assert sorted(line.get_ydata()[0] for line in figure.axes[0].lines) == [0.5, 0.9]


def test_runs_in_folders_of_the_same_name_get_different_reports(search):
    one, two, again = (
        search.report_folder(Path("out"), "choose", system) for system in ("/x/mine", "/y/mine", "/x/mine")
    )
    assert one == again != two
    assert one.parent == Path("out/reports")
    assert one.name.startswith("choose_mine_")


def test_published_scores_are_those_of_the_report(search, tmp_path, monkeypatch):
    import candidate_scores

    def values(**means: float) -> dict[str, dict[str, float]]:
        return {name: {"mean": mean, "low": mean - 0.1} for name, mean in means.items()}

    direction = {
        "metrics": {
            "genre_classifier": values(model=0.6, untouched=0.1, matched_moments=0.3, real_target=0.8),
            "onset_f1": values(model=0.9, untouched=1.0, matched_moments=0.95, other_piece=0.2),
            "checkerboard_db": values(model=3.0, untouched=1.0, matched_moments=1.5, real_target=0.5),
        },
        "distances": {"band statistics": {"kernel": values(model=0.2, untouched=0.5, real_target=0.0)}},
    }

    def evaluate(run: str, corpus: str, out: Path) -> None:
        report = {"title": run, "metrics": {"lofi to trap": direction, "classifiers": {}}}
        (out / "report.json").write_text(json.dumps(report))

    monkeypatch.setattr(candidate_scores, "evaluate", evaluate)
    systems = candidate_scores.score_published("run", "corpus", tmp_path)
    means = {
        system: {name: value["mean"] for name, value in directions["lofi to trap"].items()}
        for system, directions in systems.items()
    }
    assert set(means) == {"model", "untouched", "equaliser", "real target"}
    assert means["model"] == pytest.approx(
        {
            "genre_classifier": 0.6, "classifier_of_real": 0.75, "onset_f1": 0.9, "kernel_distance": 0.2,
            "checkerboard_db": 3.0, "checkerboard_added_db": 2.0,
        }
    )  # fmt: skip
    assert "onset_f1" not in means["real target"]
    assert systems["model"]["lofi to trap"]["genre_classifier"]["low"] == pytest.approx(0.5)


def run(*words: str | Path) -> str:
    command = [sys.executable, str(FOLDER / "search.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_tiny_search_is_whole(tmp_path):
    for name, seed in (("train", 1), ("choose", 2), ("pairs", 3)):
        places = (f"source.folder={tmp_path / name}/songs", f"corpus={tmp_path / name}/corpus")
        command = [sys.executable, "-m", "cyclegan_audio.prepare", *SONGS, *places, f"source.seed={seed}"]
        subprocess.run(command, check=True, capture_output=True)
    out = tmp_path / "out"
    run("train", out, "new", "--corpus", tmp_path / "train/corpus", "--seconds", "3", *TINY)
    run("train", out, "few", "--corpus", tmp_path / "train/corpus", "--batches", "4", *TINY)
    run("ceiling", out, "ceiling", "--corpus", tmp_path / "pairs/corpus", "--seconds", "1", *TINY)
    trained = json.loads((out / "new_3s_seed0/candidate.json").read_text())
    assert 3 <= trained["cpu_s"] < 4.5
    assert trained["batches"] > 2
    assert trained["overrides"] == list(TINY)
    assert "trained already" in run("train", out, "new", "--corpus", tmp_path, "--seconds", "3")
    score = (
        "score",
        out,
        out / "new_3s_seed0",
        out / "few_4b_seed0/checkpoints/batch_000002.ckpt",
        out / "ceiling_1s_seed0",
        "--corpus",
        tmp_path / "choose/corpus",
    )
    run(*score)
    assert run(*score).count("scored already") == 3
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert {one["name"] for one in records} == {"new", "few at 2", "ceiling", *BASELINES}
    assert len(records) == 6
    assert all(set(one["directions"]) == DIRECTIONS for one in records)
    scores = {one["name"]: one["directions"]["lofi to rnb"] for one in records}
    assert scores["paired truth"]["paired_error_db"]["mean"] == 0
    assert scores["paired truth"]["movement"]["mean"] == 1
    assert scores["untouched"]["chroma"]["mean"] == pytest.approx(1)
    assert scores["untouched"]["checkerboard_added_db"]["mean"] == 0
    assert "| new | 3 | 1 |" in run("table", out)
    run("spectrograms", out, out / "new_3s_seed0", "--corpus", tmp_path / "choose/corpus")
    for name in ("lofi_to_rnb", "rnb_to_lofi"):
        assert (out / f"spectrograms_{name}.png").stat().st_size > 10_000
    run("curves", out, "--name", "choose")
    assert (out / "curves_choose.png").stat().st_size > 10_000
