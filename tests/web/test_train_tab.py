"""The tab Train without a browser: what it does with dropped files, corpora and runs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE
from cyclegan_audio.corpus.settings_file import SETTINGS_FILE
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.state import PageState

gr = pytest.importorskip("gradio")
train_tab = pytest.importorskip("cyclegan_audio.web.train_tab")
run_view = pytest.importorskip("cyclegan_audio.web.run_view")


@pytest.fixture
def tab(tmp_path) -> Any:
    """Return the tab of a page without a server."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "cache").mkdir()
    return train_tab.TrainTab(PageState(tmp_path / "runs", tmp_path / "cache"), None)


@pytest.fixture
def dropped(tab) -> list[str]:
    """Return dropped files, as the page stores them."""
    files = [tab.state.cache / name / "song.wav" for name in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text(file.parent.name)
    return list(map(str, files))


def refuse(*_: Any, **__: Any) -> None:
    raise UserError("train_mine is running")


@pytest.mark.parametrize(("name", "message"), [("Low", "both genres are called"), ("high", "is running")])
def test_a_refused_prepare_keeps_dropped_files(name, message, tab, dropped, monkeypatch):
    monkeypatch.setattr(tab.state.jobs, "start", refuse)
    with pytest.raises(gr.Error, match=message):
        tab.start_prepare("low", "", dropped[:1], name, "", dropped[1:])
    assert [Path(file).read_text() for file in dropped] == ["one", "two"]
    assert list(tab.state.cache.glob("music_*")) == []


def test_a_started_prepare_takes_dropped_files(tab, dropped, monkeypatch):
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(tab.state.jobs, "start", lambda *_, on_end: ends.append(on_end))
    status, *boxes = tab.start_prepare("low", "", dropped, "high", "", dropped[1:])  # one file in both boxes
    assert status.startswith("Preparing")
    assert boxes == [None, None]
    assert sorted(file.read_text() for file in tab.state.cache.glob("music_*/*/*")) == ["one", "two", "two"]
    assert not any(Path(file).exists() for file in dropped)
    ends[0]()
    assert list(tab.state.cache.glob("music_*")) == []


def test_dropped_files_that_are_gone_are_one_line(tab, dropped):
    Path(dropped[0]).unlink()
    with pytest.raises(gr.Error, match="the dropped files are gone; drop them again"):
        tab.start_prepare("low", "", dropped, "high", "", dropped)
    assert Path(dropped[1]).is_file()


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_corpus_without_its_end_is_deleted(is_finished, tab, dropped, monkeypatch):
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(tab.state.jobs, "start", lambda *_, on_end: ends.append(on_end))
    tab.start_prepare("low", "", dropped[:1], "high", "", dropped[1:])
    corpus = tab.state.runs / "corpora" / "low_high"
    (corpus / "audio").mkdir(parents=True)
    if is_finished:
        (corpus / MANIFEST_FILE).touch()
    ends[0]()
    assert corpus.exists() is is_finished


def test_damaged_losses_are_named_in_the_status(tab):
    run = tab.state.runs / "mine"
    tab.state.started.append(run)
    (run / "audio").mkdir(parents=True)
    (run / "audio" / "epoch_x_fake.wav").touch()
    (run / "losses.csv").write_text("no,table\n1\n")
    first = tab.view.refresh("mine", ())
    assert "losses.csv" in first[1]
    assert len(first[2]) == 0
    again = tab.view.refresh("mine", first[-1])
    assert again[1] == first[1]
    assert again[2] == gr.skip()


def test_music_is_not_deleted_while_a_command_may_read_it(tab, monkeypatch):
    corpus = tab.state.runs / "corpora" / "low_high"
    corpus.mkdir(parents=True)
    for name in (MANIFEST_FILE, SETTINGS_FILE):
        (corpus / name).touch()
    monkeypatch.setattr(tab.state.jobs, "running", lambda: "train mine")
    with pytest.raises(gr.Error, match="train mine is running and may read this music"):
        tab.delete_chosen("low_high")
    monkeypatch.setattr(tab.state.jobs, "running", lambda: None)
    tab.delete_chosen("low_high")
    assert not corpus.exists()


def test_names_in_toasts_are_text(tab, monkeypatch):
    texts: list[str] = []
    for module in (train_tab, run_view):
        monkeypatch.setattr(
            module, "gr", SimpleNamespace(Info=lambda text, **_: texts.append(text), Dropdown=dict)
        )
    corpus = tab.state.runs / "corpora" / "<b>"
    corpus.mkdir(parents=True)
    for name in (MANIFEST_FILE, SETTINGS_FILE):
        (corpus / name).touch()
    tab.delete_chosen("<b>")
    tab.state.started.append(tab.state.runs / "<i>")
    monkeypatch.setattr(run_view, "is_training", lambda *_: True)
    monkeypatch.setattr(run_view, "stop_training", lambda *_: None)
    tab.view.stop_run("<i>")
    assert [text for text in texts if "<" in text] == []
    assert ["&lt;b&gt;" in texts[0], "&lt;i&gt;" in texts[1]] == [True, True]
