"""The commands of the README run in order in an empty directory, with small models; it is short."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.commands import ROOT, broken_links, command_lines, run_command, write_inputs

README = ROOT / "README.md"
SET_UP = ("make demo", "make setup", "source .venv/bin/activate")  # not run by this test


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, music) -> Path:
    """Return a directory with the files of the README's reader."""
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


def test_links_lead_somewhere():
    assert broken_links(README) == []
    assert "@" not in README.read_text()


def test_it_is_read_in_five_minutes():
    """Prose is all but code, tables and captions."""
    text = re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith("|")]
    assert max(map(len, lines)) <= 120
    assert len(" ".join(line for line in lines if not line.startswith(("*", "!"))).split()) < 900
