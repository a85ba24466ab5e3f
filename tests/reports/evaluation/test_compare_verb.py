"""The whole verb on two untrained runs: page, numbers, figure 1.8, and what bad input is told."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.compare import main
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.reports.comparison.run import compare
from cyclegan_audio.reports.evaluation.metric_tables import measures_section
from cyclegan_audio.reports.evaluation.provenance import run_section
from cyclegan_audio.reports.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.reports.evaluation.run import evaluate
from tests.page_text import page_text

SECTIONS = (measures_section, reconstruction_section, run_section)


@pytest.fixture
def runs(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """With and without identity loss, judged on two clips a genre; the same weights."""
    monkeypatch.setattr("cyclegan_audio.reports.evaluation.run.SECTIONS", SECTIONS)
    found = [make_run("with"), make_run("without", identity=0.0)]
    for run in found:
        evaluate(run, clips=2, vocoder="mask")
    return found


def test_page_and_numbers(
    runs: list[Path], corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = compare(runs, out=tmp_path / "out")
    text, numbers = page.read_text(), json.loads((page.parent / "compare.json").read_text())
    assert page == tmp_path / "out" / "compare.html"
    assert numbers["settings"] == {"model.loss_weights.identity": [5.0, 0.0]}
    assert [column["name"] for column in numbers["columns"]] == ["identity=5", "identity=0"]
    cycle = next(row for row in numbers["table"] if row["measure"] == "cycle_db")
    assert cycle["columns"]["identity=5"]["mean"] == pytest.approx(cycle["columns"]["identity=0"]["mean"])
    assert cycle["contrasts"]["identity=0"]["p"] == 1
    assert cycle["columns"]["identity=5"]["mean"] > 0
    said = capsys.readouterr().out
    assert "nothing can be said for certain from" in said
    assert said.endswith(f"\nnext: cyclegan-audio listening_test {runs[0]} {runs[1]}\n")
    assert text.count("data:image/png") == 2 * 2  # both directions: differences, and figure 1.8
    assert text.count("<audio") == 2 * 2 * 4  # directions, clips, and source, vocoder, two runs
    assert not re.search(r"https?://|<script", text)
    assert not re.search("[{}]", page_text(text))


def test_without_checkpoints_there_is_no_figure(runs: list[Path], tmp_path: Path) -> None:
    (runs[1] / "checkpoints" / "last.ckpt").rename(tmp_path / "gone")
    text = compare([run / "report" for run in runs]).read_text()
    assert "not shown: no run" in text
    assert "Mel-spectrograms" not in text


def test_command_shows_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "nothing")])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("error: no run")
