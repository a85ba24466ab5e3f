"""Tests of the corpus of the demo songs."""

import json
import sys

import pytest
from omegaconf import OmegaConf

from cyclegan_audio import demo, prepare
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.demo.corpus import ensure_demo_corpus
from cyclegan_audio.utils.errors import UserError
from tests.corpus.folder_state import folder_hashes
from tests.corpus.noise_songs import write_genres, write_noise


@pytest.fixture
def songs(monkeypatch, tmp_path) -> list[dict]:
    """Replace the songs by noise in the same folders; return the list of requested settings."""
    calls: list[dict] = []

    def make(folder, settings, *, on_song=None):
        calls.append(settings.to_dict())
        write_genres(folder, demo.GENRES, tracks=settings.songs_per_genre, seconds=4.1)
        for number, genre in enumerate(demo.GENRES):
            write_noise(folder / "paired" / genre / "score_000.wav", 4.1, seed=900 + number)

    monkeypatch.setattr(demo, "make_demo_songs", make)
    monkeypatch.chdir(tmp_path)
    return calls


def test_the_corpus_is_prepared_once_with_a_message(songs, capsys):
    folder = ensure_demo_corpus(songs_per_genre=3)
    assert "using the demo songs" in capsys.readouterr().out
    corpus = Corpus.open(folder)
    assert set(corpus.genres) == {"lofi", "trap", "rnb"}
    assert (corpus.mel.name, corpus.clip_s) == ("hifi", 4.0)
    assert len(corpus.paired_clips("lofi", "rnb")) == 1
    assert {len(corpus.clips("trap", split)) for split in ("train", "val", "test", "paired")} == {1}
    cfg = OmegaConf.load(CONF_DIR / "source" / "demo.yaml")
    settings = {key: cfg[key] for key in ("seed", "songs_per_genre", "paired_scores", "seconds")}
    assert songs == [settings | {"songs_per_genre": 3, "genres": list(demo.GENRES)}]
    assert ensure_demo_corpus(songs_per_genre=3) == folder
    assert len(songs) == 1


def test_an_older_format_is_made_again_but_only_of_the_demo_songs(songs):
    folder = ensure_demo_corpus(songs_per_genre=3)
    before = folder_hashes(folder)
    path = folder / "corpus.json"
    values = json.loads(path.read_text()) | {"format_version": 3}
    del values["crc32"]
    path.write_text(json.dumps(values))
    assert ensure_demo_corpus(songs_per_genre=3) == folder
    assert folder_hashes(folder) == before
    path.write_text(json.dumps(values | {"source": {"kind": "folders"}}))
    with pytest.raises(UserError, match="has corpus format 3, not 4; delete it and prepare it again"):
        ensure_demo_corpus(songs_per_genre=3)
    assert len(folder_hashes(folder)) == len(before)


def test_damaged_settings_are_written_again(songs):
    folder = ensure_demo_corpus(songs_per_genre=3)
    before = folder_hashes(folder)
    (folder / "corpus.json").write_text("{")
    ensure_demo_corpus(songs_per_genre=3)
    assert folder_hashes(folder) == before


def test_prepare_source_demo_writes_the_same_corpus(songs, tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["prepare", "source=demo", "source.songs_per_genre=3", "workers=1"])
    prepare.main()
    assert ensure_demo_corpus(songs_per_genre=3) == (tmp_path / "data" / "demo" / "corpus").relative_to(
        tmp_path
    )
    assert len(songs) == 1
