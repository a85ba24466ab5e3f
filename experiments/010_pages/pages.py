"""Take screenshots of report pages, measure them, and do what a first visitor does in the first minute.

python experiments/010_pages/pages.py OUT report=DIR/report.html compare=DIR/compare.html ...

Needs Chromium. OUT gets NAME_light.png, NAME_dark.png and NAME_phone.png; the numbers are printed as a table.
"""

import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DESKTOP, PHONE = (1280, 900), (390, 844)
COLOURS = 64
VIEWS = {"light": (*DESKTOP, "light"), "dark": (*DESKTOP, "dark"), "phone": (*PHONE, "light")}
PLAYER = "document.querySelectorAll('.view .player')[{}].player"
FIRST_SOUND = """(async () => {{
  const player = {player}, began = performance.now();
  player.button.click();
  const frame = () => new Promise(requestAnimationFrame);
  while (!player.sound.running || player.sound.position <= player.sound.at) await frame();
  return performance.now() - began;
}})()"""
SWITCH = """(async () => {{
  const player = {player}, before = player.sound.position, began = performance.now();
  player.inputs[1].click();
  const {{ gains }} = player.sound.running;
  while (gains[1].gain.value < 0.99) await new Promise(requestAnimationFrame);
  return [before, player.sound.position, performance.now() - began];
}})()"""


def main() -> None:
    """Photograph and measure all pages; try the first minute on each page whose players switch."""
    out, *named = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    print("| page | MB | loaded in s | first sound after s | scrolls sideways on a phone |")
    print("|---|---|---|---|---|")
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        tab = browser.new_page()
        for name, page in (text.split("=", 1) for text in named):
            measure(tab, Path(out), name, Path(page).resolve())
        for name, page in (text.split("=", 1) for text in named):
            open_page(tab, Path(page).resolve(), *DESKTOP)
            if tab.evaluate("document.querySelectorAll('.view .player .switch:not([hidden])').length > 2"):
                print(f"\nFirst minute with {name}:")
                first_minute(tab)


def open_page(tab: Page, page: Path, width: int, height: int) -> None:
    """Load a page in a window of this size in CSS pixels."""
    tab.set_viewport_size({"width": width, "height": height})
    tab.goto(page.as_uri())


def measure(tab: Page, out: Path, name: str, page: Path) -> None:
    """Print a row of the table, and write the screenshots."""
    for view, (width, height, scheme) in VIEWS.items():
        tab.emulate_media(color_scheme=scheme)
        open_page(tab, page, width, height)
        photograph(tab, out / f"{name}_{view}.png")
    sideways = tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    began = time.perf_counter()
    open_page(tab, page, *DESKTOP)
    loaded_s = time.perf_counter() - began
    has_players = tab.evaluate("document.querySelector('.view .player') !== null")
    first_sound = FIRST_SOUND.format(player=PLAYER.format(0))
    sound = f"{tab.evaluate(first_sound) / 1000:.2f}" if has_players else "no sounds"
    size = page.stat().st_size / 1e6
    print(f"| `{name}.html` | {size:.1f} | {loaded_s:.2f} | {sound} | {'yes' if sideways else 'no'} |")


def photograph(tab: Page, path: Path) -> None:
    """Write what the window shows as a small PNG."""
    shot = Image.open(io.BytesIO(tab.screenshot()))
    shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def first_minute(tab: Page) -> None:
    """Do what a visitor does, and print what happens."""
    print("- sentence:", tab.evaluate("document.querySelector('.lead').textContent"))
    print("- headline:", tab.evaluate("document.querySelector('.headline').textContent"))
    fold = tab.evaluate("document.querySelector('.view .players').getBoundingClientRect().bottom")
    print(f"- players end {fold:.0f} px from the top of 900, the scorecard", end=" ")
    print(f"{tab.evaluate('document.querySelector(`.scores`).getBoundingClientRect().bottom'):.0f} px")
    first, last = (PLAYER.format(number) for number in (0, 2))
    print(f"- Play: sound after {tab.evaluate(FIRST_SOUND.format(player=first)):.0f} ms")
    before, after, took = tab.evaluate(SWITCH.format(player=first))
    print(f"- after: switched in {took:.0f} ms, at {before:.2f} s before and {after:.2f} s after")
    tab.evaluate(FIRST_SOUND.format(player=last))
    print(f"- Play of the third: the first plays on: {tab.evaluate(f'{first}.sound.running !== null')}")
    tab.evaluate("document.querySelector('.score .tip').click()")
    print("- Genre moves:", tab.evaluate("document.getElementById('tip').textContent"))
    tab.evaluate("document.getElementById('view-2').click()")
    print("- other direction:", tab.evaluate("document.querySelectorAll('.headline')[1].textContent"))
    print("- a sound still plays:", tab.evaluate(f"{last}.sound.running !== null"))
    titles = "[...document.querySelectorAll('summary')].map(one => one.textContent).join('; ')"
    print("- folded:", tab.evaluate(titles))


if __name__ == "__main__":
    main()
