"""The tab Translate without a browser: what it says after a stop, and once a result was deleted."""

from types import SimpleNamespace
from typing import Any

import pytest

from cyclegan_audio.web.songs import StoppedError
from cyclegan_audio.web.state import PageState

gr = pytest.importorskip("gradio")
translate_tab = pytest.importorskip("cyclegan_audio.web.translate_tab")
VISITOR = SimpleNamespace(session_hash="one")


@pytest.fixture
def tab(tmp_path) -> Any:
    """Return the tab of a page without a server."""
    (tmp_path / "runs").mkdir()
    return translate_tab.TranslateTab(PageState(tmp_path / "runs", tmp_path), None)


def test_a_stop_is_confirmed_only_while_a_translation_runs(tab, tmp_path, monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr(translate_tab.gr, "Info", lambda text, **_: texts.append(text))
    tab.stop(VISITOR)
    assert texts == []

    def stopped_by_the_visitor(*_: Any) -> None:
        tab.stop(VISITOR)
        raise StoppedError

    monkeypatch.setattr(translate_tab, "translate_song", stopped_by_the_visitor)
    (tmp_path / "song.wav").touch()
    tab.translate(str(tmp_path / "song.wav"), "demo", "rnb", 1, 1, "mask", 1, VISITOR, print)
    tab.stop(VISITOR)
    assert texts == ["The translation is stopped; nothing of it is kept."]


def test_a_failed_translation_cannot_be_stopped(tab, tmp_path, monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr(translate_tab.gr, "Info", lambda text, **_: texts.append(text))
    (tmp_path / "song.wav").write_text("no music")
    with pytest.raises(gr.Error, match="cannot be read as audio"):
        tab.translate(str(tmp_path / "song.wav"), "demo", "rnb", 1, 1, "mask", 1, VISITOR, lambda *_: None)
    tab.stop(VISITOR)
    assert texts == []


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_result_that_was_deleted_is_one_line(suffix, tab, tmp_path):
    with pytest.raises(gr.Error, match="the song was deleted, as songs are after an hour; drop it again"):
        tab.convert(str(tmp_path / "song_to_rnb.wav"), suffix)
