"""Whole sweeps by the command, through each launcher that needs no cluster, and a search by Optuna."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(corpus, tiny, tmp_path):
    """Runs a sweep of one-epoch jobs; returns its exit code and what it printed."""

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


@pytest.mark.parametrize(
    ("launcher", "plugin"),
    [
        (None, "hydra"),
        ("joblib", "hydra_plugins.hydra_joblib_launcher"),
        ("submitit_local", "hydra_plugins.hydra_submitit_launcher"),
        ("ray", "hydra_plugins.hydra_ray_launcher"),
    ],
)
def test_a_launcher_ends_all_jobs_and_names_the_one_that_failed(sweep, tmp_path, launcher, plugin):
    if find_spec(plugin) is None:
        pytest.skip("needs the extra sweeps or ray")
    chosen = (f"launcher={launcher}",) if launcher else ()
    chosen += ("hydra.launcher.ray.remote.num_gpus=0",) if launcher == "ray" else ()
    code, shown = sweep(*chosen, "genre_pair.b=high,jazz", "model.loss_weights.identity=0,5")
    assert code != 0
    assert "2 of 4 jobs done" in shown
    assert shown.count("has no genre") + shown.count("jazz") >= 2
    records = {
        path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/job.json")
    }
    assert {name: record["state"] for name, record in records.items()} == {
        "0_low_high": "done", "1_low_high": "done", "2_low_jazz": "failed", "3_low_jazz": "failed",
    }  # fmt: skip
    assert all(records[name]["held_out"]["held_out/cycle_a"] > 0 for name in ("0_low_high", "1_low_high"))
    assert (tmp_path / "sweep" / "1_low_high" / "checkpoints" / "last.ckpt").is_file()


def test_optuna_searches_by_the_held_out_error(sweep, tmp_path):
    if find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        pytest.skip("needs the extra sweeps")
    code, shown = sweep("experiment=learning_rate_search", "hydra.sweeper.n_trials=3")
    assert code == 0, shown
    results = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    records = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/job.json")]
    scores = [record["held_out"]["held_out/score"] for record in records]
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
