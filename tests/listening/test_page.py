"""The page as a listener uses it: a robot clicks through it in a headless browser."""

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

from cyclegan_audio.listening.page import write_kit
from cyclegan_audio.listening.questions import EQUALISER, LOW_PASSED, OTHER, QUESTIONS, REAL, SOURCE, VOCODER
from cyclegan_audio.listening.responses import miss_rate, post_screen, read
from cyclegan_audio.listening.stimuli import Item
from cyclegan_audio.utils.errors import UserError

RUNS, RATE, N_ABX = ("old </script>", "new"), 8000, 8
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
ROBOT = (Path(__file__).parent / "robot.js").read_text()
SHOW = "document.body.append(Object.assign(document.createElement('pre'), {id: 'said', textContent: "


def item(way: str, number: int) -> Item:
    torch.manual_seed(number)
    names = (*RUNS, SOURCE, OTHER, REAL, EQUALISER, VOCODER, LOW_PASSED)
    sounds = {name: 0.1 * torch.randn(RATE) for name in names}
    return Item(*way.split(" to "), f"song {number}", sounds, [0.1 * torch.randn(RATE) for _ in range(2)])


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = [item("lofi to trap", 1), item("trap to lofi", 2)]
    return write_kit(tmp_path_factory.mktemp("kit") / "test", items, RUNS, RATE, N_ABX).parent


def test_the_kit_is_whole_and_tells_nothing(kit: Path) -> None:
    page, design = (kit / "index.html").read_text(), json.loads((kit / "test.json").read_text())
    assert not re.search(r"https?://|fetch\(|XMLHttp|src=", page)
    files = {
        s["file"] for t in design["trials"] for s in (*t.get("stimuli", ()), *(t[k] for k in "ab" if k in t))
    }
    examples = {file for t in design["trials"] for file in t.get("references", ())}
    assert files | examples == {f"sounds/{path.name}" for path in (kit / "sounds").iterdir()}
    assert len(files) == 2 * 8
    assert all(re.fullmatch(r"sounds/[0-9a-f]{12}\.wav", file) for file in files)
    assert len([t for t in design["trials"] if t["kind"] == "rate"]) == 2 * len(QUESTIONS)
    samples, rate = soundfile.read(kit / sorted(files)[0])
    assert (len(samples), rate) == (RATE, RATE)
    genre = next(t for t in design["trials"] if t.get("question") == "genre")
    assert genre["text"].startswith("How much does it sound like trap?")
    assert [s["system"] for s in genre["stimuli"]] == [REAL, *RUNS, EQUALISER, SOURCE]


def test_answers_are_never_overwritten(kit: Path) -> None:
    with pytest.raises(UserError, match="there already"):
        write_kit(kit, [item("lofi to trap", 1)], RUNS, RATE, N_ABX)
    assert (kit / "index.html").is_file()


def test_one_run_alone_is_told_from_the_source(tmp_path: Path) -> None:
    page = write_kit(tmp_path / "kit", [item("lofi to trap", 1)], RUNS[:1], RATE, 3)
    abx = [t for t in json.loads((page.parent / "test.json").read_text())["trials"] if t["kind"] == "abx"]
    assert [(t["a"]["system"], t["b"]["system"]) for t in abx] == [(SOURCE, VOCODER)] * 3


def said(kit: Path, listener: str) -> dict[str, Any]:
    """What the robot's answers are under a name."""
    page = (kit / "index.html").read_text()
    script = f"<script>{ROBOT}\n{SHOW}$('answers').value}}));</script></body>".replace("Robot", listener)
    (kit / "robot.html").write_text(page.replace("</body>", script))
    assert BROWSER is not None
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        (kit / "robot.html").as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'<pre id="said">(.*?)</pre>', shown, re.DOTALL)
    assert found, "the robot did not reach the end"
    return dict(json.loads(html.unescape(found.group(1))))


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_a_listener_clicks_through(kit: Path, tmp_path: Path) -> None:
    one, other = said(kit, "Zoë"), said(kit, "Max")
    (tmp_path / "zoe.json").write_text(json.dumps(one))
    (tmp_path / "max.json").write_text(json.dumps(other))
    answers, _ = read([tmp_path / "zoe.json", tmp_path / "max.json"])
    assert [a.listener for a in answers] == ["Zoë Ü", "Max Ü"]
    assert len(post_screen(answers)[0]) == 2
    assert miss_rate(answers[0]) == 0
    for answer in answers:
        assert Counter((r.question, r.way) for r in answer.ratings) == {
            (q.name, way): 5 for q in QUESTIONS for way in ("lofi to trap", "trap to lofi")
        }
        assert [trial.is_right for trial in answer.abx] == [True] * N_ABX
    order = [[(r["question"], r["item"], r["system"]) for r in result["ratings"]] for result in (one, other)]
    assert order[0] != order[1]
    assert sorted(order[0]) == sorted(order[1])
    assert 0 < sum(trial["x"] == "a" for result in (one, other) for trial in result["abx"]) < 2 * N_ABX
