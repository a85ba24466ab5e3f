"""The commands of every guide run, its links lead somewhere, and it is short."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cyclegan_audio.cli.options import to_overrides
from cyclegan_audio.cli.override_errors import check_overrides
from cyclegan_audio.utils.hints import PROGRAM
from tests.commands import ROOT, broken_links, command_lines, fenced, run_command, write_inputs

GUIDES = sorted(
    page for room in ("cyclegan_audio", "conf", "experiments") for page in (ROOT / room).rglob("README.md")
)
RUNNABLE = [guide for guide in GUIDES if "experiments" not in guide.parts]
MAX_LINES = 150
BEFORE = (
    "cyclegan-audio prepare --genre lofi=music/lofi --genre trap=music/trap corpus=data/mine",
    "cyclegan-audio train corpus=data/mine genre_pair=lofi_trap run_dir=runs/mine logger=none",
)


def name_of(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, music, tiny) -> Path:
    """A directory with the music, the corpus and the run that guides start from."""
    folder = tmp_path_factory.mktemp("guides") / "prepared"
    folder.mkdir()
    write_inputs(folder, music)
    for line in BEFORE:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run_command(line, tiny, patch)
    return folder


@pytest.mark.parametrize("guide", RUNNABLE, ids=name_of)
def test_commands_run_in_their_order(guide, prepared, tmp_path, tiny, quick_classifiers):
    workspace = tmp_path / "workspace"
    shutil.copytree(prepared, workspace)
    for line in command_lines(guide):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace)
            run_command(line, tiny, patch)
    for block in fenced(guide, "python"):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace)
            names: dict[str, Any] = {}
            exec(compile(block, str(guide), "exec"), names)
            check_results(names, workspace)


def check_results(names: dict[str, Any], workspace: Path) -> None:
    """Check what the Python of a guide made, by the names that it gave."""
    if "fakes" in names:
        assert len(names["fakes"]) == 20
        assert all(np.isfinite(fake).all() for fake in names["fakes"])
    if "translated" in names:
        out, _ = soundfile.read(workspace / "translated.wav")
        source, _ = soundfile.read(workspace / "song.wav")
        assert out.shape == source.shape
        assert np.abs(out - source).max() > 0.01


@pytest.mark.parametrize("guide", RUNNABLE, ids=name_of)
def test_options_of_commands_that_do_not_run_here_exist(guide):
    """A text block shows commands for GPUs or clusters; their overrides are checked, not run."""
    text = "".join(fenced(guide, "text")).replace("\\\n", " ")
    for words in (shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(PROGRAM)):
        if words[1] in ("prepare", "classify", "train", "train_vocoder"):
            check_overrides(words[1], to_overrides(words[2:], ()))


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_links_lead_somewhere(guide):
    assert broken_links(guide) == []


@pytest.mark.parametrize("guide", RUNNABLE, ids=name_of)
def test_guides_are_short(guide):
    assert len(guide.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_promises_name_tests_that_exist():
    page = (ROOT / "cyclegan_audio" / "README.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.partition("## Promises")[2].partition("## How to add")[0].splitlines()
        if "`test_" in line
    ]
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    assert len(rows) > 15
    for row in rows:
        assert set(re.findall(r"`(test_\w+)`", row)) <= defined, row
