"""The player that switches between versions of the same music, also in a headless browser."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan_audio.reports.figures.spectrograms import mel_pngs
from cyclegan_audio.reports.html import Player, Version, encode_audio, player_page
from cyclegan_audio.reports.html.page import png_size

RATE, SECONDS = 16000, 2.0
ROBOT = (Path(__file__).parent / "player_robot.js").read_text()


def player(
    title: str = "a song", labels: tuple[str, ...] = ("before", "after"), loop: bool = False
) -> Player:
    torch.manual_seed(0)
    mels = [torch.randn(16, 40) for _ in labels]
    versions = []
    for label, png in zip(labels, mel_pngs(mels, 300, 64), strict=True):
        sound = encode_audio(label, 0.1 * torch.randn(round(RATE * SECONDS)), RATE)
        versions.append(Version(label, sound.content, sound.media_type, png))
    return Player(title, tuple(versions), SECONDS, loop)


def test_page_needs_no_other_file():
    page = player_page(player())
    assert not re.search(r"https?://|<link[^>]+stylesheet|src=\"(?!data:)", page)
    assert page.count("data:audio/mpeg;base64,") == page.count("data:image/png;base64,") == 2
    assert "prefers-color-scheme: dark" in page


def test_labels_and_titles_are_text():
    page = player_page(player("<b>song</b>\u202e", ('"a"', "<i>")))
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\u202e" not in page
    assert page.count("&lt;i&gt;") == 5  # the picture's text and label, the switch twice, the plain player


def test_pictures_have_common_colours_and_are_not_shown_larger():
    quiet, loud = torch.full((16, 40), -60.0), torch.zeros(16, 40)
    pngs = mel_pngs([quiet, loud], 300, 64)
    assert [png_size(png) for png in pngs] == [(300, 64)] * 2
    assert pngs[0] != pngs[1]
    assert pngs == mel_pngs([quiet, loud], 300, 64)
    assert "max-width: calc(300px" in player_page(player())
    with pytest.raises(ValueError, match="not a PNG"):
        png_size(b"GIF89a")


@pytest.mark.browser
def test_switch_keeps_the_place_and_a_click_seeks(tmp_path: Path, chromium: Any) -> None:
    page = tmp_path / "player.html"
    page.write_text(player_page(player()))
    with chromium.new_page() as tab:
        tab.goto(page.as_uri())
        result = tab.evaluate(ROBOT)
    assert result["started"] == "Pause"
    assert result["gains"] == [[1, 0], [0, 1]]
    before, after = result["switched"]
    assert before <= after < before + 1
    assert result["clicked"] == pytest.approx(0.75 * SECONDS, abs=0.2)
    assert result["heard_after_click"] == [True, False]
    assert result["paused"] == result["still"]
    assert result["home"] == 0
    assert result["value"] == "0.0"
    assert result["ended"] == [0, "Play"]
