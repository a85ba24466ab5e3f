import json
import shlex
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from cyclegan_audio.config import compose
from cyclegan_audio.training import sweep
from cyclegan_audio.training.resume import NothingLeftError
from cyclegan_audio.utils import locks
from cyclegan_audio.utils.errors import UserError


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


def test_a_job_gives_its_objective_and_leaves_its_record(tmp_path, capsys):
    held_out = {"held_out/x": 1.0, "held_out/y": 0.25, "held_out/z": 9.0}
    value = sweep.run_job(lambda cfg, folder: held_out, config(), tmp_path / "job", ["seed=1"])
    assert value == 1.25
    record = json.loads((tmp_path / "job" / "job.json").read_text())
    assert record == {"overrides": ["seed=1"], "state": "done", "held_out": held_out}
    assert sweep.run_job(lambda cfg, folder: {"held_out/x": 1.0}, config(), tmp_path / "job", []) is None
    assert "optimized_metric=held_out/y was not measured (held_out/x)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "group"), [({"group": None}, "sweep"), ({"group": "own"}, "own"), ({}, None)]
)
def test_jobs_of_a_sweep_stand_together_in_wandb(tmp_path, logger, group):
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


def test_a_failed_job_that_is_run_again_alone_is_done(tmp_path, monkeypatch):
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


def test_a_job_that_failed_in_its_report_keeps_what_it_was_trained_to(tmp_path):
    folder, held_out = tmp_path / "job", {"held_out/x": 1.0}
    folder.mkdir()
    (folder / "job.json").write_text(
        json.dumps({"overrides": ["seed=1"], "state": "failed", "held_out": held_out})
    )

    def train(cfg, folder):
        raise NothingLeftError("all epochs are trained")

    sweep.rerun_job(train, config(), folder)
    assert json.loads((folder / "job.json").read_text()) == {
        "overrides": ["seed=1"],
        "state": "done",
        "held_out": held_out,
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


def test_jobs_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("10_a", "9_b", "x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").touch()
    assert [job.name for job in sweep.jobs_of(tmp_path)] == ["9_b", "10_a", "x"]
    assert sweep.jobs_of(tmp_path / "x") == []


def test_summary_names_what_failed_with_its_command(tmp_path, capsys):
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
    assert shlex.split(failed.split("again: ")[1])[2:] == [
        "corpus='my music'", "seed=1", f"run_dir={tmp_path / '1_b'}",
    ]  # fmt: skip
    assert "killed" in killed
    assert killed.endswith(f"resume={tmp_path / '2_c'}")


def test_each_job_has_a_gpu_of_its_own(tmp_path, monkeypatch):
    def clock(seconds):
        first.__exit__(None, None, None)  # while the third job waits, the first one ends

    first, second = sweep.claim_gpu(tmp_path, 2), sweep.claim_gpu(tmp_path, 2)
    assert (first.__enter__(), second.__enter__()) == (0, 1)
    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=lambda seconds: seconds and clock(seconds)))
    with sweep.claim_gpu(tmp_path, 2) as third:
        assert third == 0
    with sweep.claim_gpu(tmp_path, 1) as none:
        assert none is None


def test_the_ablation_is_the_papers():
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
