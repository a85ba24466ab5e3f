"""The clock of the machine is set back and forward by a day while a run trains."""

import itertools
import time
from types import SimpleNamespace

from omegaconf import OmegaConf

from cyclegan_audio.training import sweep
from cyclegan_audio.training.sweep import SweepSummary
from tests.loss_table import rows

DAY_S = 86400.0


def jumping_clock():
    """Return a function like `time.time` that jumps by a day, back or forward, at each call."""
    real, jumps = time.time, itertools.cycle((-DAY_S, 0.0, DAY_S))
    return lambda: real() + next(jumps)


def test_a_run_ignores_jumps_of_the_clock(run, small, monkeypatch, tmp_path):
    monkeypatch.setattr(time, "time", jumping_clock())
    code, shown = run(
        *small, "logger=none", "vocoder=mask", "max_minutes=30", "n_epochs_decay=0", "run_dir=out",
        "callbacks.checkpoints.every_minutes=5",
    )  # fmt: skip
    assert code == 0, shown
    assert "trained 16 batches" in shown
    elapsed_s = [float(row["elapsed_s"]) for row in rows(tmp_path / "out")]
    assert elapsed_s == sorted(elapsed_s)
    assert elapsed_s[0] >= 0
    assert elapsed_s[-1] < 600


def test_the_estimate_of_a_sweep_ignores_jumps_of_the_clock(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(time, "time", jumping_clock())
    monkeypatch.setattr(sweep, "count_jobs", lambda config: 4)
    for name in ("0_a", "1_a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text('{"state": "done", "overrides": []}')
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    summary = SweepSummary()
    summary.on_multirun_start(config)
    summary.on_job_end(config, SimpleNamespace())
    assert capsys.readouterr().out == "2 of 4 jobs have ended, about 0 s left\n"
    summary.machine = "another"
    summary.on_job_end(config, SimpleNamespace())
    assert capsys.readouterr().out == "2 of 4 jobs have ended\n"
