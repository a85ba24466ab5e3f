"""The page of a listening test: its files, and a robot that clicks through it in a headless browser."""

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from cyclegan_audio.listening.page import write_test
from cyclegan_audio.listening.questions import (
    EQUALISER,
    LOW_PASSED,
    OTHER_PIECE,
    QUESTIONS,
    REAL_TARGET,
    SOURCE,
    VOCODED_SOURCE,
)
from cyclegan_audio.listening.responses import miss_rate, post_screen, read_responses
from cyclegan_audio.listening.stimuli import Item
from cyclegan_audio.utils.errors import UserError

RUNS, RATE, N_ABX = ("old </script>", "new"), 8000, 8
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
ROBOT = (Path(__file__).parent / "robot.js").read_text()
SHOW = "document.body.append(Object.assign(document.createElement('pre'), {id: 'robot_answers', textContent: "


def item(direction: str, number: int) -> Item:
    torch.manual_seed(number)
    names = (*RUNS, SOURCE, OTHER_PIECE, REAL_TARGET, EQUALISER, VOCODED_SOURCE, LOW_PASSED)
    sounds = {name: 0.1 * torch.randn(RATE) for name in names}
    return Item(
        *direction.split(" to "), f"song {number}", sounds, [0.1 * torch.randn(RATE) for _ in range(2)]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = [item("lofi to trap", 1), item("trap to lofi", 2)]
    return write_test(tmp_path_factory.mktemp("listening") / "test", items, RUNS, RATE, N_ABX).parent


def test_page_is_self_contained_and_blind(folder: Path) -> None:
    page, design = (folder / "index.html").read_text(), json.loads((folder / "test.json").read_text())
    assert not re.search(r"https?://|fetch\(|XMLHttp|src=", page)
    files = {
        s["file"] for t in design["trials"] for s in (*t.get("stimuli", ()), *(t[k] for k in "ab" if k in t))
    }
    examples = {file for t in design["trials"] for file in t.get("references", ())}
    assert files | examples == {f"sounds/{path.name}" for path in (folder / "sounds").iterdir()}
    assert len(files) == 2 * 8
    assert all(re.fullmatch(r"sounds/[0-9a-f]{12}\.wav", file) for file in files)
    assert len([t for t in design["trials"] if t["kind"] == "rate"]) == 2 * len(QUESTIONS)
    samples, rate = soundfile.read(folder / sorted(files)[0])
    assert (len(samples), rate) == (RATE, RATE)
    genre = next(t for t in design["trials"] if t.get("question") == "genre")
    assert genre["text"].startswith("How much does it sound like trap?")
    assert [s["system"] for s in genre["stimuli"]] == [REAL_TARGET, *RUNS, EQUALISER, SOURCE]


def test_answers_are_never_overwritten(folder: Path) -> None:
    with pytest.raises(UserError, match="may contain answers"):
        write_test(folder, [item("lofi to trap", 1)], RUNS, RATE, N_ABX)
    assert (folder / "index.html").is_file()


def test_abx_of_a_single_run_uses_source_and_vocoder(tmp_path: Path) -> None:
    page = write_test(tmp_path / "listening", [item("lofi to trap", 1)], RUNS[:1], RATE, 3)
    abx = [t for t in json.loads((page.parent / "test.json").read_text())["trials"] if t["kind"] == "abx"]
    assert [(t["a"]["system"], t["b"]["system"]) for t in abx] == [(SOURCE, VOCODED_SOURCE)] * 3


def robot_answers(folder: Path, listener: str) -> dict[str, Any]:
    """Return the robot's answers under a listener's name."""
    page = (folder / "index.html").read_text()
    script = f"<script>{ROBOT}\n{SHOW}$('answers').value}}));</script></body>".replace("Robot", listener)
    (folder / "robot.html").write_text(page.replace("</body>", script))
    assert BROWSER is not None
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder.with_name('profile')}",
        "--dump-dom",
        (folder / "robot.html").as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    match = re.search(r'<pre id="robot_answers">(.*?)</pre>', dom, re.DOTALL)
    assert match, "the robot did not reach the end"
    return dict(json.loads(html.unescape(match.group(1))))


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_listener_completes_the_test(folder: Path, tmp_path: Path) -> None:
    one, other = robot_answers(folder, "Zoë"), robot_answers(folder, "Max")
    (tmp_path / "zoe.json").write_text(json.dumps(one))
    (tmp_path / "max.json").write_text(json.dumps(other))
    answers, _ = read_responses([tmp_path / "zoe.json", tmp_path / "max.json"])
    assert [a.listener for a in answers] == ["Zoë Ü", "Max Ü"]
    assert len(post_screen(answers)[0]) == 2
    assert miss_rate(answers[0]) == 0
    for answer in answers:
        assert Counter((r.question, r.direction) for r in answer.ratings) == {
            (q.name, direction): 5 for q in QUESTIONS for direction in ("lofi to trap", "trap to lofi")
        }
        assert [trial.is_right for trial in answer.abx] == [True] * N_ABX
    order = [[(r["question"], r["item"], r["system"]) for r in result["ratings"]] for result in (one, other)]
    assert order[0] != order[1]
    assert sorted(order[0]) == sorted(order[1])
    assert 0 < sum(trial["x"] == "a" for result in (one, other) for trial in result["abx"]) < 2 * N_ABX
