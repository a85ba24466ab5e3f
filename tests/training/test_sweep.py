"""Jobs of a sweep: records, failures, reruns; whole sweeps by launchers and Optuna."""

import json
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from cyclegan_audio.config import compose
from cyclegan_audio.training import sweep
from cyclegan_audio.training.resume import TrainingCompleteError
from cyclegan_audio.training.sweep import evaluate_run
from cyclegan_audio.utils import locks
from cyclegan_audio.utils.errors import ReportedError, UserError


def config(**more):
    return OmegaConf.create(
        {
            "optimized_metric": ["held_out/x", "held_out/y"],
            "evaluate_jobs": False,
            "trainer": {"devices": 1},
            "logger": {},
            **more,
        }
    )


def test_a_job_returns_its_metric_and_writes_its_record(tmp_path, capsys):
    metrics = {"held_out/x": 1.0, "held_out/y": 0.25, "held_out/z": 9.0}
    value = sweep.run_job(lambda cfg, folder: metrics, config(), tmp_path / "job", ["seed=1"])
    assert value == 1.25
    record = json.loads((tmp_path / "job" / "job.json").read_text())
    assert record == {"overrides": ["seed=1"], "state": "done", "metrics": metrics}
    assert sweep.run_job(lambda cfg, folder: {"held_out/x": 1.0}, config(), tmp_path / "job", []) is None
    assert "optimized_metric=held_out/y was not measured; measured: held_out/x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "group"), [({"group": None}, "sweep"), ({"group": "own"}, "own"), ({}, None)]
)
def test_jobs_of_a_sweep_share_a_wandb_group(tmp_path, logger, group):
    groups = []

    def train(cfg, folder):
        groups.append(cfg.logger.get("group"))
        return {}

    sweep.run_job(train, config(logger=logger), tmp_path / "sweep" / "0_a", [])
    assert groups == [group]


@pytest.mark.parametrize("error", [UserError("mend me"), ZeroDivisionError("by zero")])
def test_a_job_that_fails_does_not_end_the_sweep(tmp_path, capsys, error):
    def train(cfg, folder):
        assert json.loads((folder / "job.json").read_text())["state"] == "running"
        raise error

    assert sweep.run_job(train, config(), tmp_path / "job", []) is None
    record = json.loads((tmp_path / "job" / "job.json").read_text())
    assert (record["state"], record["error"]) == ("failed", str(error))
    assert str(error) in capsys.readouterr().err


def test_a_failed_job_that_is_rerun_is_done(tmp_path, monkeypatch):
    folder = tmp_path / "job"
    sweep.run_job(lambda cfg, folder: 1 / 0, config(), folder, ["seed=1"])
    assert sweep.is_unfinished_job(folder)
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(UserError, match="its evaluation failed"):
        sweep.rerun_job(lambda cfg, folder: {}, config(evaluate_jobs=True), folder)
    assert "its evaluation failed" in sweep.failure_reason(folder)
    sweep.rerun_job(lambda cfg, folder: {"held_out/x": 1.0}, config(), folder)
    assert not sweep.is_unfinished_job(folder)
    assert sweep.failure_reason(folder) == ""
    assert sweep.read_record(folder)["overrides"] == ["seed=1"]
    (folder / "job.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        sweep.read_record(folder)


def test_a_job_that_failed_in_its_evaluation_keeps_its_metrics(tmp_path):
    folder, metrics = tmp_path / "job", {"held_out/x": 1.0}
    folder.mkdir()
    (folder / "job.json").write_text(
        json.dumps({"overrides": ["seed=1"], "state": "failed", "metrics": metrics})
    )

    def train(cfg, folder):
        raise TrainingCompleteError("all epochs are trained")

    sweep.rerun_job(train, config(), folder)
    assert json.loads((folder / "job.json").read_text()) == {
        "overrides": ["seed=1"],
        "state": "done",
        "metrics": metrics,
    }


@pytest.mark.parametrize(
    ("task", "sweeper", "count"),
    [
        (["seed=1,2,3", "model=cut,cyclegan", "n_epochs=1"], {}, 6),
        (["seed=range(4)"], {"params": {"seed": "0,1", "n_epochs": "1,2,3"}}, 12),
        (["seed=1"], {}, 1),
        (["genre_pair=glob(lofi*)", "seed=1,2"], {}, None),
        (["seed=range(4)"], {"_target_": "OptunaSweeper", "n_trials": 20}, 20),
        (["seed=range(4)"], {"_target_": "Other"}, None),
    ],
)
def test_the_jobs_of_a_sweep_are_counted_beforehand(task, sweeper, count):
    hydra = {"sweeper": {"_target_": "BasicSweeper", **sweeper}, "overrides": {"task": task}}
    assert sweep.count_jobs(OmegaConf.create({"hydra": hydra})) == count


def test_jobs_are_ordered_by_number(tmp_path):
    for name in ("10_a", "9_b", "x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").touch()
    assert [job.name for job in sweep.list_jobs(tmp_path)] == ["9_b", "10_a", "x"]
    assert sweep.list_jobs(tmp_path / "x") == []


def test_summary_lists_failed_jobs_with_their_commands(tmp_path, capsys):
    for name, record in {
        "0_a": {"overrides": [], "state": "done"},
        "1_b": {"overrides": ["corpus='my music'", "seed=1"], "state": "failed", "error": "no room"},
        "2_c": {"overrides": ["seed=2"], "state": "running"},
    }.items():
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "job.json").write_text(json.dumps(record))
    (tmp_path / "2_c" / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(SystemExit):
        sweep.SweepSummary().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    first, failed, killed = capsys.readouterr().out.splitlines()
    assert first.startswith("1 of 3 jobs done")
    assert "1_b (no room)" in failed
    assert shlex.split(failed.split("rerun it with: ")[1])[2:] == [
        "corpus='my music'", "seed=1", f"run_dir={tmp_path / '1_b'}",
    ]  # fmt: skip
    assert "killed" in killed
    assert killed.endswith(f"resume={tmp_path / '2_c'}")


def test_the_record_of_a_stranger_puts_no_shell_code_into_the_command(tmp_path):
    overrides = ["seed=$(touch x)", "; rm -r .", "\x1b[2J", "-c"]
    record = {"overrides": overrides, "state": "failed", "error": "x"}
    (tmp_path / "job.json").write_text(json.dumps(record))
    command = sweep.failure_reason(tmp_path).split("rerun it with: ")[1]
    shown = subprocess.run(["bash", "-c", command.replace("cyclegan-audio train", "printf '%s\\n'")],
                           capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert shown.stdout.splitlines() == [*overrides, f"run_dir={tmp_path}"]
    assert [file.name for file in tmp_path.iterdir()] == ["job.json"]
    for name, value in (("overrides", [{"a": 1}]), ("overrides", "x"), ("state", 1), ("metrics", {"a": "b"})):
        (tmp_path / "job.json").write_text(json.dumps({**record, name: value}))
        with pytest.raises(UserError, match=f"cannot be read .{name}"):
            sweep.read_record(tmp_path)


def test_each_job_has_its_own_gpu(tmp_path, monkeypatch):
    def clock(seconds):
        first.__exit__(None, None, None)  # while the third job waits, the first one ends

    first, second = sweep.claim_gpu(tmp_path, 2), sweep.claim_gpu(tmp_path, 2)
    assert (first.__enter__(), second.__enter__()) == (0, 1)
    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=lambda seconds: seconds and clock(seconds)))
    with sweep.claim_gpu(tmp_path, 2) as third:
        assert third == 0
    with sweep.claim_gpu(tmp_path, 1) as none:
        assert none is None


def test_the_ablation_has_the_jobs_of_the_paper():
    cfg = compose("train", ["experiment=identity_ablation"])
    assert cfg.evaluate_jobs is True
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from cyclegan_audio.config import CONF_DIR

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        whole = hydra_compose("train", ["experiment=identity_ablation"], return_hydra_config=True)
    params = [f"{key}={value}" for key, value in whole.hydra.sweeper.params.items()]
    overrides = OverridesParser.create().parse_overrides(params)
    jobs_in_all = 1
    for override in overrides:
        jobs_in_all *= len(list(override.sweep_iterator()))
    assert jobs_in_all == 12
    assert [override.key_or_group for override in overrides] == [
        "genre_pair", "model.loss_weights.identity", "seed",
    ]  # fmt: skip


@pytest.fixture
def run_sweep(corpus, tiny, tmp_path):
    """Run a sweep of one-epoch jobs; returns its exit code and output."""

    def run(*arguments: str) -> tuple[int, str]:
        once = (
            *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=1",
            "n_epochs_decay=0", "data.crop_frames=32", "precision=32-true", "threads=1", "logger=none",
            "callbacks.previews.clips=1", "hydra.sweep.dir=sweep",
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "cyclegan_audio.train", "-m", *once, *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "plugin"),
    [
        (None, "hydra"),
        ("joblib", "hydra_plugins.hydra_joblib_launcher"),
        ("submitit_local", "hydra_plugins.hydra_submitit_launcher"),
        ("ray", "hydra_plugins.hydra_ray_launcher"),
    ],
)
def test_a_launcher_runs_all_jobs_and_lists_failed_ones(run_sweep, tmp_path, launcher, plugin):
    if find_spec(plugin) is None:
        pytest.skip("needs the extra sweeps or ray")
    chosen = (f"launcher={launcher}",) if launcher else ()
    chosen += ("hydra.launcher.ray.remote.num_gpus=0",) if launcher == "ray" else ()
    code, shown = run_sweep(*chosen, "genre_pair.b=high,jazz", "model.loss_weights.identity=0,5")
    assert code != 0
    assert "2 of 4 jobs done" in shown
    assert shown.count("has no genre") + shown.count("jazz") >= 2
    records = {
        path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/job.json")
    }
    assert {name: record["state"] for name, record in records.items()} == {
        "0_low_high": "done", "1_low_high": "done", "2_low_jazz": "failed", "3_low_jazz": "failed",
    }  # fmt: skip
    assert all(records[name]["metrics"]["held_out/cycle_a"] > 0 for name in ("0_low_high", "1_low_high"))
    assert (tmp_path / "sweep" / "1_low_high" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_optuna_searches_by_the_held_out_error(run_sweep, tmp_path):
    if find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        pytest.skip("needs the extra sweeps")
    code, shown = run_sweep("experiment=learning_rate_search", "hydra.sweeper.n_trials=3")
    assert code == 0, shown
    results = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    records = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/job.json")]
    scores = [record["metrics"]["held_out/score"] for record in records]
    assert len(scores) == 3
    assert results["best_value"] == pytest.approx(min(scores))
    rates = {
        float(override.partition("=")[2])
        for record in records
        for override in record["overrides"]
        if override.startswith("model.optimizer.lr=")
    }
    assert len(rates) == 3
    assert results["best_params"]["model.optimizer.lr"] in rates


@pytest.mark.parametrize(("code", "kind"), [(2, ReportedError), (1, UserError), (-9, UserError)])
def test_an_evaluation_that_explained_its_failure_is_not_explained_again(monkeypatch, code, kind):
    monkeypatch.setattr(subprocess, "run", lambda command, **options: SimpleNamespace(returncode=code))
    with pytest.raises(UserError, match="its evaluation failed") as failed:
        evaluate_run(Path("run"))
    assert type(failed.value) is kind
