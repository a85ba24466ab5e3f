"""The command `listening_test`: a test of untrained runs, and the analysis of invented answers."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.listening.listening_test import make_test
from cyclegan_audio.listening_test import main
from cyclegan_audio.utils.errors import UserError
from tests.page_text import page_text

MakeRun = Callable[..., Path]


def test_make_test_of_two_runs(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("with"), make_run("without", identity=0.0)]
    page = make_test(runs, out=tmp_path / "listening", clips=2, abx=2, vocoder="mask")
    design = json.loads((page.parent / "test.json").read_text())
    assert design["runs"] == ["identity=5", "identity=0"]
    assert len(design["trials"]) == 3 * 4 + 2
    assert not re.search("[{}]", page_text(page.read_text()))
    levels = []
    for path in (page.parent / "sounds").iterdir():
        samples, rate = soundfile.read(path, dtype="float32")
        meter = LoudnessMeter(rate)
        meter.push(torch.from_numpy(samples)[None])
        levels.append(meter.integrated_lufs())
    assert max(levels) - min(levels) < 0.2
    assert levels[0] == pytest.approx(design["loudness_lufs"], abs=0.2)


def test_bad_input(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    with pytest.raises(UserError, match="no run"):
        make_test([tmp_path / "nothing"], out=tmp_path / "listening")
    with pytest.raises(UserError, match="named twice"):
        make_test([run, run], out=tmp_path / "listening")
    with pytest.raises(UserError, match="1 to 6 runs, got 7"):
        make_test([run] * 7, out=tmp_path / "listening")
    with pytest.raises(UserError, match="unknown vocoder"):
        make_test([run], out=tmp_path / "listening", vocoder="magic")
    with pytest.raises(UserError, match="may contain answers"):
        make_test([run], out=tmp_path, clips=1, vocoder="mask")
    assert list(tmp_path.iterdir()) == []


def test_command_analyses_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = {"hidden": "source", "anchor": "another piece", "baselines": [], "is_screened": True}
    rating = {"question": "piece", "direction": "a to b", "item": "1"}
    scores = {"source": 95, "run": 50, "another piece": 5}
    answers = {
        "format": 2, "test": "t", "listener": "ann", "finished": "1", "runs": ["run"],
        "questions": {"piece": question}, "abx": [],
        "ratings": [{**rating, "system": system, "score": score} for system, score in scores.items()],
    }  # fmt: skip
    (tmp_path / "ann.json").write_text(json.dumps(answers))
    monkeypatch.setattr(sys, "argv", ["listening_test", "--analyse", str(tmp_path / "ann.json")])
    main()
    printed = capsys.readouterr().out
    assert "50.0" in printed
    assert "only 1 listener:" in printed
    analysis = json.loads((tmp_path / "analysis.json").read_text())
    assert [mean["score"]["mean"] for mean in analysis["means"][:3]] == [95, 50, 5]
    assert analysis["means"][0]["score"]["low"] is None  # one listener, one clip
    answers["ratings"] = [{**rating, "system": "source", "score": 10}]
    (tmp_path / "ann.json").write_text(json.dumps(answers))
    monkeypatch.setattr(sys, "argv", ["listening_test", "--analyse", str(tmp_path / "ann.json")])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("error: no listener is left")
