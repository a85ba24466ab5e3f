"""The independent tagger in a comparison: runs that it did not hear, and unknown values."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.reports.comparison import tagging
from cyclegan_audio.reports.comparison.grouping import columns
from cyclegan_audio.reports.comparison.runs import find_runs
from cyclegan_audio.reports.comparison.summary import comparability_warnings
from cyclegan_audio.reports.figures.style_content import Panel
from cyclegan_audio.reports.html import Image

MakeReport = Callable[..., Path]


def change_metrics(run: Path, change: Callable[[dict], None]) -> None:
    """Change the metrics of both directions in the report of a run."""
    path = run / "report" / "report.json"
    report = json.loads(path.read_text())
    for name, numbers in report["metrics"].items():
        if " to " in name:
            change(numbers["metrics"])
    path.write_text(json.dumps(report))


def test_landmarks_are_of_the_first_run_with_a_tagger(
    make_report: MakeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Panel] = []

    def show(panels: list[Panel]) -> list[Image]:
        shown.extend(panels)
        return []

    monkeypatch.setattr(tagging, "style_content_images", show)
    unheard, heard = make_report("unheard"), make_report("heard", identity=0.0)
    change_metrics(unheard, lambda metrics: metrics.pop("tagger_share"))
    tagging.tagger_section(columns(find_runs([unheard, heard])[0]))
    assert [list(panel.series) for panel in shown] == [["identity=0"], ["identity=0"]]
    for panel in shown:
        assert panel.landmarks["input untouched"].style.mean == 0.1


def test_unknown_mean_of_the_untouched_input_is_left_out(make_report: MakeReport) -> None:
    runs = [make_report("one"), make_report("two", identity=0.0)]
    change_metrics(runs[0], lambda metrics: metrics["tagger_share"]["untouched"].update(mean=None))
    grouped = columns(find_runs(runs)[0])
    assert comparability_warnings(grouped) == []
    change_metrics(runs[1], lambda metrics: metrics["onset_f1"]["untouched"].update(mean=0.7))
    (warning,) = {text.split(": ")[1] for text in comparability_warnings(columns(find_runs(runs)[0]))}
    assert "different numbers for the untouched input" in warning
