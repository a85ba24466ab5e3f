"""The command `compare` on two untrained runs: page, numbers, figure 1.8, and errors."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.compare import main
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.reports.comparison.compare import compare
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.metric_tables import metrics_section
from cyclegan_audio.reports.evaluation.provenance import provenance_section
from cyclegan_audio.reports.evaluation.reconstruction import reconstruction_section
from tests.page_text import EXTERNAL, page_text, visible_text

SECTIONS = (metrics_section, reconstruction_section, provenance_section)


@pytest.fixture
def runs(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two runs with the same weights, evaluated on two clips of each genre; one without identity loss."""
    monkeypatch.setattr("cyclegan_audio.reports.evaluation.evaluate.SECTIONS", SECTIONS)
    runs = [make_run("with"), make_run("without", identity=0.0)]
    for run in runs:
        evaluate(run, clips=2, vocoder="mask")
    return runs


def test_compare_writes_page_and_numbers(
    runs: list[Path], corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = compare(runs, out=tmp_path / "out")
    text, numbers = page.read_text(), json.loads((page.parent / "compare.json").read_text())
    assert page == tmp_path / "out" / "compare.html"
    assert numbers["settings"] == {"model.loss_weights.identity": [5.0, 0.0]}
    assert [column["name"] for column in numbers["columns"]] == ["identity=5", "identity=0"]
    cycle = next(row for row in numbers["table"] if row["metric"] == "cycle_db")
    assert cycle["columns"]["identity=5"]["mean"] == pytest.approx(cycle["columns"]["identity=0"]["mean"])
    assert cycle["contrasts"]["identity=0"]["p"] == 1
    assert cycle["columns"]["identity=5"]["mean"] > 0
    printed = capsys.readouterr().out
    assert "tracks or sections are too few for a significant result" in printed
    assert printed.endswith(f"\nnext: cyclegan-audio listening_test {runs[0]} {runs[1]}\n")
    figures = 2 * 2 + ("Style moved over content kept" in text)  # directions: differences, figure 1.8
    assert text.count("<figure>") == figures
    assert text.count("<audio") == 2 * 2 * 4  # directions, clips, and source, vocoder, two runs
    assert not EXTERNAL.search(text)
    body = text[text.index("<body>") :]
    marks = [
        'class="lead"',
        'class="headline"',
        'class="player many"',
        'class="scores"',
        '<section id="figures"',
    ]
    assert [body.index(mark) for mark in marks] == sorted(body.index(mark) for mark in marks)
    for column in ("identity=5", "identity=0"):
        assert f'<strong class="verdict">{column}</strong>' in body
    assert "2 runs on the same held-out music: identity=0 against identity=5" in visible_text(body)
    assert not re.search("[{}]", page_text(text))


def test_missing_checkpoint_leaves_out_figure(runs: list[Path], tmp_path: Path) -> None:
    (runs[1] / "checkpoints" / "last.ckpt").rename(tmp_path / "gone")
    text = visible_text(compare([run / "report" for run in runs]).read_text())
    assert "not shown: no run" in text
    assert "Mel-spectrograms" not in text


def test_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "nothing")])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("error: no run")
