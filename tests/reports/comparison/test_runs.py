import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.reports.comparison.runs import gather
from cyclegan_audio.utils.errors import UserError


def test_a_sweep_stands_for_its_finished_jobs(make_report: Callable[..., Path]) -> None:
    for name, state in (("sweep/10_b", "done"), ("sweep/9_a", "done"), ("sweep/11_c", "failed")):
        folder = make_report(name)
        (folder / "job.json").write_text(
            json.dumps({"state": state, "overrides": ["seed=1"], "error": "no room"})
        )
    os.utime(folder / "report" / "report.json", (0, 0))  # of an earlier try
    runs, notes = gather([folder.parent])
    assert [run.name for run in runs] == ["9_a", "10_b"]
    assert len(notes) == 1
    assert notes[0].startswith("failed: 11_c (no room); rerun it by: cyclegan-audio train seed=1 run_dir=")
    (folder / "report" / "report.json").touch()
    os.utime(folder / "job.json", (0, 0))
    assert len(gather([folder.parent])[0]) == 3  # finished by hand


def test_runs_reports_and_the_same_twice(make_report: Callable[..., Path]) -> None:
    run = make_report("run")
    found, _ = gather([run, run / "report", run / "report" / "report.json"])
    assert [judged.name for judged in found] == ["run"]
    assert found[0].settings["model.loss_weights.identity"] == 5


def test_a_run_without_a_report_is_evaluated(
    make_report: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_report("run")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    report = run / "report" / "report.json"
    text = report.read_text()
    report.unlink()
    asked = []

    def evaluate(folder: Path, *options: str) -> None:
        asked.append((folder, options))
        report.write_text(text)

    monkeypatch.setattr("cyclegan_audio.reports.comparison.runs.evaluate_run", evaluate)
    gather([run], corpus="songs")
    assert asked == [(run, ("--out", str(report.parent), "--corpus", "songs"))]


@pytest.mark.parametrize("text", ["{", "{}", '{"run": {"checkpoint": "x"}, "measures": {}}', "[]"])
def test_damaged_reports_are_one_line(make_report: Callable[..., Path], text: str) -> None:
    run = make_report("run")
    (run / "report" / "report.json").write_text(text)
    with pytest.raises(UserError, match="evaluate the run again"):
        gather([run])
    with pytest.raises(UserError, match="no run"):
        gather([run / "nothing"])
