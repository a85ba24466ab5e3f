"""Measure how long a first visitor of the page waits: for the page, a translation, and its first sound.

python experiments/010_pages/first_song.py OUT [REPEATS]

Needs Chromium. It starts `cyclegan-audio app` anew for each repeat, takes the first example song and leaves
all else as it is. OUT gets app_NAME.png of the last repeat, light and dark, wide and on a phone.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PORT, WAIT_MS = 7899, 300_000
STEPS = ("the page answers after the command", "it can be used", "the translation is there", "first sound")
VIEWS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light"),
         "phone_dark": (390, 844, "dark")}  # fmt: skip


def main() -> None:
    """Print the seconds of each step after the one before it."""
    out, repeats = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    out.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        rows = [measure(browser, out) for _ in range(repeats)]
    for name, values in zip(STEPS, zip(*rows, strict=True), strict=True):
        print(f"| {name} | {statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f}) |")


def measure(browser: Any, out: Path) -> list[float]:
    """Return the seconds of `STEPS`, each after the one before."""
    with tempfile.TemporaryDirectory() as runs:
        times = [time.perf_counter()]
        command = [sys.executable, "-m", "cyclegan_audio.app", "--runs", runs, "--port", str(PORT)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while "http" not in process.stdout.readline():
                assert process.poll() is None
            times.append(time.perf_counter())
            try:
                times += visit(browser, out)
            finally:
                process.terminate()
    return [after - before for before, after in pairwise(times)]


def visit(browser: Any, out: Path) -> list[float]:
    """Return the times at which the page could be used, the translation was there, and it sounded."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.goto(f"http://127.0.0.1:{PORT}")
    page.wait_for_selector("#start")
    times = [time.perf_counter()]
    page.get_by_role("button", name="Example: lo-fi").click()
    page.wait_for_selector("#song button[aria-label='Clear']")
    page.click("#start")
    frame = wait_for_player(page)
    times.append(time.perf_counter())
    frame.click(".play")
    frame.wait_for_function("document.querySelector('.player').player.sound.position > 0")
    times.append(time.perf_counter())
    for name, (width, height, scheme) in VIEWS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)
        page.screenshot(path=out / f"app_{name}.png")
    page.close()
    return times


def wait_for_player(page: Page) -> Any:
    """Return the frame of the player, when it can play."""
    page.wait_for_selector("#player iframe")
    handle = page.locator("#player iframe").element_handle()
    frame = handle and handle.content_frame()
    assert frame is not None
    frame.wait_for_selector(".player.ready")
    return frame


if __name__ == "__main__":
    main()
