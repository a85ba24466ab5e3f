"""From arguments to evaluated runs; sweeps stand for their jobs."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.reports.comparison.runs import find_runs
from cyclegan_audio.utils.errors import UserError


def test_sweep_stands_for_its_finished_jobs(make_report: Callable[..., Path]) -> None:
    for name, state in (("sweep/10_b", "done"), ("sweep/9_a", "done"), ("sweep/11_c", "failed")):
        folder = make_report(name)
        (folder / "job.json").write_text(
            json.dumps({"state": state, "overrides": ["seed=1"], "error": "no room"})
        )
    os.utime(folder / "report" / "report.json", (0, 0))  # from an earlier attempt
    runs, notes = find_runs([folder.parent])
    assert [run.name for run in runs] == ["9_a", "10_b"]
    assert len(notes) == 1
    assert notes[0].startswith("failed: 11_c (no room); rerun it with: cyclegan-audio train seed=1 run_dir=")
    (folder / "report" / "report.json").touch()
    os.utime(folder / "job.json", (0, 0))
    assert len(find_runs([folder.parent])[0]) == 3  # finished by hand


def test_run_named_twice_counts_once(make_report: Callable[..., Path]) -> None:
    run = make_report("run")
    runs, _ = find_runs([run, run / "report", run / "report" / "report.json"])
    assert [one.name for one in runs] == ["run"]
    assert runs[0].settings["model.loss_weights.identity"] == 5


def test_run_without_report_is_evaluated(
    make_report: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_report("run")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    report = run / "report" / "report.json"
    text = report.read_text()
    report.unlink()
    calls = []

    def evaluate(folder: Path, *options: str) -> None:
        calls.append((folder, options))
        report.write_text(text)

    monkeypatch.setattr("cyclegan_audio.reports.comparison.runs.evaluate_run", evaluate)
    find_runs([run], corpus="songs")
    assert calls == [(run, ("--out", str(report.parent), "--corpus", "songs"))]


@pytest.mark.parametrize("text", ["{", "{}", '{"run": {"checkpoint": "x"}, "metrics": {}}', "[]"])
def test_damaged_report_is_a_user_error(make_report: Callable[..., Path], text: str) -> None:
    run = make_report("run")
    (run / "report" / "report.json").write_text(text)
    with pytest.raises(UserError, match="evaluate the run again"):
        find_runs([run])
    with pytest.raises(UserError, match="no run"):
        find_runs([run / "nothing"])
