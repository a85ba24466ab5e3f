"""Every command of the README runs, in its order, in an empty directory; overrides make it small."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.commands import ROOT, broken_links, command_lines, fenced, run_command, write_inputs

README = ROOT / "README.md"
SET_UP = ("make demo", "make test", "source .venv/bin/activate")  # run before, or by, this test


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, music) -> Path:
    """An empty directory with what the README's reader brings."""
    folder = tmp_path_factory.mktemp("readme")
    write_inputs(folder, music)
    return folder


@pytest.mark.parametrize("line", [line for line in command_lines(README) if line not in SET_UP])
def test_command_runs(line, workspace, tiny, monkeypatch, quick_classifiers):
    monkeypatch.chdir(workspace)
    verb, words = run_command(line, tiny, monkeypatch)
    if verb == "translate":
        out, _ = soundfile.read(workspace / words[words.index("--to") - 1], always_2d=True)
        assert out.shape[1] == 2
        assert np.abs(out).max() > 0.01
    if verb == "evaluate":
        assert (workspace / "runs" / "mine" / "report" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("block", fenced(README, "python"))
def test_python_block_runs(block, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    if "fakes" in names:
        assert all(np.isfinite(fake).all() for fake in names["fakes"])
        assert len(names["fakes"]) == 20
        return
    out, _ = soundfile.read(workspace / "translated.wav")
    source, _ = soundfile.read(workspace / "song.wav")
    assert out.shape == source.shape
    assert np.abs(out - source).max() > 0.01


def test_links_lead_somewhere():
    assert broken_links(README) == []
    assert "@" not in README.read_text()
