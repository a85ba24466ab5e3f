"""Pages: words with their meanings, empty sections, and the size of a page."""

from cyclegan_audio.reports.html import Player, Section, Version, View, render
from cyclegan_audio.reports.html.glossary import WORDS, Glossary, definitions
from tests.page_text import EXTERNAL, visible_text
from tests.reports.html.test_player import player


def test_every_word_is_in_the_glossary():
    assert set(WORDS.values()) <= definitions().keys()


def test_words_are_explained_at_their_first_place_in_a_section():
    glossary = Glossary()
    glossary.begin_section()
    assert (
        str(glossary.mark("<mels> and mels")) == '&lt;<a class="tip" href="#word-mel">mels</a>&gt; and mels'
    )
    assert str(glossary.mark("a mel; melody; caramel; sub-mel")) == "a mel; melody; caramel; sub-mel"
    glossary.begin_section()
    assert 'href="#word-mel"' in glossary.mark("Mel")
    assert [term for _, term, _ in glossary.used] == ["mel"]


def test_empty_sections_are_left_out_and_their_reasons_are_named():
    sections = [
        Section("shown", "Shown", ["the vocoder"]),
        Section("none", "Nothing"),
        Section("lost", "Lost", ["an explanation"], missing="there is no music"),
        Section("first", "First", ["text"], is_open=True),
    ]
    page = render("title", "lead", sections)
    assert 'id="none"' not in page
    assert 'id="lost"' not in page
    assert "an explanation" not in page
    assert "Lost: there is no music" in visible_text(page)
    assert page.index('<section id="first"') < page.index('<details id="shown"')
    assert '<dd id="word-vocoder">' in page
    assert not EXTERNAL.search(page)


def test_a_page_stays_under_8_mb():
    one = player()
    large = tuple(Version(v.label, bytes(400_000), v.media_type, v.spectrogram_png) for v in one.versions)
    players = [Player(f"song {i}", large, 1.0) for i in range(12)]
    view = View("view", "headline", players[:3])
    page = render("title", "lead", [Section("sounds", "Sounds", players=players[3:])], [view])
    assert 6_000_000 < len(page) < 8_000_000
    assert [f"<h3>song {i}</h3>" in page for i in range(12)] == [True] * 6 + [False] * 6
    assert "6 more players" in visible_text(page)
