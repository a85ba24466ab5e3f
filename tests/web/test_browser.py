"""The page in a real browser: drop a song, hear it before and after, cancel, train the smallest model."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.conftest import write_music

pytestmark = pytest.mark.browser
WAIT_MS = 120_000
SECONDS = 6.0


@pytest.fixture
def tab(chromium, served) -> Iterator[Any]:
    """Open the page in a new window, and check at the end that it asked this machine only."""
    window = chromium.new_context(viewport={"width": 1280, "height": 900})
    window.set_default_timeout(WAIT_MS)
    page = window.new_page()
    asked, problems = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(served.address)
    page.wait_for_selector("#start")
    yield page
    window.close()
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {f"127.0.0.1:{served.port}"}
    assert problems == []


@pytest.fixture(scope="session")
def song(tmp_path_factory) -> Path:
    """Write a stereo song of `SECONDS`, as MP3."""
    path = tmp_path_factory.mktemp("song") / "my song & co.mp3"
    time_s = np.arange(int(SECONDS * 44100)) / 44100
    chord = sum(np.sin(2 * np.pi * pitch * time_s) for pitch in (220, 277, 330)) / 12
    hits = np.random.default_rng(0).normal(0, 0.1, time_s.shape) * (time_s % 0.5 < 0.05)
    soundfile.write(path, np.stack([chord + hits, chord - 0.5 * hits]).T, 44100)
    return path


def drop(page: Any, song: Path) -> None:
    """Give the page a song."""
    page.locator("#song input[type=file]").set_input_files(str(song))
    page.wait_for_selector("#song button[aria-label='Clear']")


def choose(page: Any, box: str, text: str) -> None:
    """Choose an entry of a list."""
    page.locator(f"{box} input").click()
    page.get_by_role("option", name=text).first.click()


def toast(page: Any) -> str:
    """Return the text of the line that the page shows, and close it."""
    line = page.locator(".toast-body").first
    line.wait_for()
    text = str(line.inner_text())
    line.locator("button").click()
    line.wait_for(state="detached")
    return text


def player(page: Any) -> Any:
    """Return the frame of the player, when it is there."""
    page.wait_for_selector("#player iframe")
    frame = page.locator("#player iframe").element_handle().content_frame()
    frame.wait_for_selector(".player.ready")
    return frame


def position(frame: Any) -> float:
    return float(frame.evaluate("document.querySelector('.player').player.sound.position"))


def test_a_dropped_song_is_heard_before_and_after_at_one_place(tab, song, tmp_path):
    drop(tab, song)
    tab.get_by_label("lofi").first.check()
    tab.click("#start")
    frame = player(tab)
    frame.click(".play")
    frame.wait_for_function("document.querySelector('.player').player.sound.position > 0.3")
    before, clicked = position(frame), time.monotonic()
    frame.locator(".switch label").nth(1).click()
    assert before <= position(frame) < before + time.monotonic() - clicked + 0.5
    frame.wait_for_function(f"document.querySelector('.player').player.sound.position > {before + 0.3}")
    sounds = frame.evaluate(
        """document.querySelector('.player').player.sound.buffers.then((buffers) => buffers.map((b) =>
             [b.duration, b.numberOfChannels, b.getChannelData(0).reduce((m, x) => Math.max(m, x), 0)]))"""
    )
    assert [channels for _, channels, _ in sounds] == [2, 2]
    assert all(abs(duration - SECONDS) < 0.2 for duration, _, _ in sounds)
    assert all(peak > 0.02 for _, _, peak in sounds)
    for suffix in ("wav", "flac", "mp3", "m4a"):
        tab.get_by_label(suffix.upper(), exact=True).check()
        tab.wait_for_selector(f"#download >> text=Download {suffix.upper()}")
        with tab.expect_download() as download:
            tab.click("#download")
        target = tmp_path / f"translated.{suffix}"
        download.value.save_as(target)
        assert download.value.suggested_filename.endswith(f"to_lofi.{suffix}")
        assert target.stat().st_size > 20_000
    samples, rate = soundfile.read(tmp_path / "translated.wav")
    assert (samples.shape[1], rate) == (2, 44100)
    assert abs(len(samples) / rate - SECONDS) < 0.1


def test_presets_set_the_numbers_and_a_number_leaves_the_preset(tab):
    tab.get_by_text("Numbers").click()
    tab.get_by_label("Draft").check()
    tab.get_by_label("Subtle").check()
    tab.wait_for_function(
        "document.querySelector('input[aria-label^=\"number input for Shifts\"]').value === '1'"
    )
    drums = tab.get_by_label("number input for Amount for drums")
    wait_until(lambda: drums.input_value() == "0.5")
    drums.fill("0.9")
    drums.press("Enter")
    tab.wait_for_function(
        "![...document.querySelectorAll('input[type=radio]:checked')].some(i => i.value === 'Subtle')"
    )
    assert tab.get_by_label("Draft").is_checked()


def test_bad_songs_are_one_line(tab, tmp_path):
    text = tmp_path / "<u>&lt; words.mp3"
    text.write_text("la la la\n" * 100)
    drop_and_start = [(text, " words.mp3 cannot be read as audio")]
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((44100, 2)), 44100)
    drop_and_start.append((silent, "silent.wav is silent; give another song"))
    long = tmp_path / "long.wav"
    soundfile.write(long, np.random.default_rng(0).normal(0, 0.1, 8000 * 601), 8000, subtype="PCM_U8")
    drop_and_start.append((long, "long.wav is longer than 10 minutes"))
    tab.click("#start")
    assert "there is no song yet" in toast(tab)
    for song, message in drop_and_start:
        tab.locator("#song input[type=file]").set_input_files(str(song))
        tab.wait_for_selector("#song button[aria-label='Clear']")
        tab.click("#start")
        assert message in toast(tab)
        tab.click("#song button[aria-label='Clear']")
        tab.wait_for_selector("#song input[type=file]", state="attached")


def test_a_second_user_waits_and_a_translation_is_cancelled(tab, chromium, served, tmp_path):
    long = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (44100 * 240, 2))
    soundfile.write(long, noise, 44100)
    drop(tab, long)
    tab.click("#start")
    tab.wait_for_selector("text=/ left|measuring|loading/")
    other_window = chromium.new_context()
    other = other_window.new_page()
    other.set_default_timeout(WAIT_MS)
    other.goto(served.address)
    other.click("#example_lofi")
    other.wait_for_selector("#song button[aria-label='Clear']")
    other.click("#start")
    other.wait_for_selector("text=/queue/i")
    start = time.monotonic()
    tab.click("#cancel")
    assert "stopped" in toast(tab)
    other.wait_for_selector("#player iframe")
    assert time.monotonic() - start < 90
    n_visitors = len(list(served.cache.glob("session_*")))
    other_window.close()
    wait_until(lambda: len(list(served.cache.glob("session_*"))) < n_visitors)  # with all its sounds
    assert list(served.cache.glob("session_*/*/long_to_*")) == []


def test_two_folders_become_a_corpus_and_a_run_that_translates(tab, served, song, tmp_path):
    for genre in ("low", "high"):
        write_music(tmp_path / genre, genre, 3, seconds=8.5)
    tab.get_by_role("tab", name="Train").click()
    tab.fill("#genre_1 input, #genre_1 textarea", "<b>low")
    tab.click("#prepare")
    assert "'<b>low' cannot be the name of a genre" in toast(tab)
    for number, genre in enumerate(("low", "high"), 1):
        tab.fill(f"#genre_{number} input, #genre_{number} textarea", genre)
    tab.fill("#folder_1 input, #folder_1 textarea", str(tmp_path / "low"))
    tab.locator("#files_2 input[type=file]").set_input_files(sorted(map(str, (tmp_path / "high").iterdir())))
    tab.wait_for_selector("#files_2 >> text=high_2")
    tab.click("#prepare")
    tab.wait_for_selector("#kept >> text=minutes of high")
    kept = tab.inner_text("#kept")
    assert "kept" in kept
    assert "Warning" in kept
    assert str(served.runs / "corpora" / "low_high") in kept
    choose(tab, "#size", "Tiny, for tests")
    tab.click("#train_start")
    tab.wait_for_selector("#run_status >> text=/training:/")
    tab.wait_for_selector("#grids img")
    tab.wait_for_selector("#losses canvas, #losses svg")
    tab.click("#stop_run")
    assert "writes a checkpoint" in toast(tab)
    tab.wait_for_selector("#run_status >> text=/finished/")
    assert (served.runs / "high_low" / "checkpoints" / "last.ckpt").is_file()
    choose(tab, "#clips", "clip 1")
    tab.wait_for_selector("#clip iframe")
    batches = batches_of(served.runs / "high_low")
    tab.click("#go_on")
    tab.wait_for_selector("#run_status >> text=/training:/")
    wait_until(lambda: batches_of(served.runs / "high_low") > batches + 2)
    tab.click("#stop_run")
    toast(tab)
    tab.wait_for_selector("#run_status >> text=/finished/")
    tab.get_by_role("tab", name="Translate").click()
    choose(tab, "#model", "high_low (your run)")
    tab.wait_for_selector("text=/after .* training batches/")
    drop(tab, song)
    tab.get_by_label("Draft").check()
    tab.click("#start")
    player(tab)
    tab.get_by_role("tab", name="Train").click()
    tab.click("#delete")
    tab.click("#confirm")
    assert "is deleted" in toast(tab)
    assert not (served.runs / "corpora" / "low_high").exists()
    assert list(served.cache.glob("music_*")) == []


SPY = """<!doctype html><title>report</title><p id="first">A report.</p><script>
const say = (name, value) => { document.body.dataset[name] = value; };
try { say("parent", parent.document.title); } catch (error) { say("parent", "refused"); }
fetch("/gradio_api/upload", { method: "POST", body: new FormData() })
  .then((answer) => say("post", answer.status), () => say("post", "refused"));
</script>"""


def test_a_report_is_shown_and_cannot_use_the_page(tab, served):
    report = served.runs / "spy" / "report" / "report.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(SPY)
    tab.get_by_role("tab", name="Runs").click()
    choose(tab, "#report", "spy/report/report.html")
    tab.wait_for_selector("#report_page iframe")
    frame = tab.locator("#report_page iframe").element_handle().content_frame()
    frame.wait_for_selector("#first")
    frame.wait_for_function("'post' in document.body.dataset")
    assert frame.evaluate("[document.body.dataset.parent, document.body.dataset.post]") == [
        "refused",
        "refused",
    ]
    opened = tab.context.new_page()  # the address alone, without a frame
    opened.goto(f"{served.address}/gradio_api/file={report}")
    opened.wait_for_function("'post' in document.body.dataset")
    assert opened.evaluate("[self.origin, document.body.dataset.post]") == ["null", "refused"]
    opened.close()


def batches_of(run: Path) -> int:
    rows = (run / "losses.csv").read_text().splitlines()
    match = re.match(r"\d+", rows[-1])
    return int(match[0]) if match else 0


def wait_until(condition: Any, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.3)
