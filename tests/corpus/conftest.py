"""Fixtures: corpus settings, and a small corpus of noise."""

from collections.abc import Callable

import pytest

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from tests.corpus.noise_songs import write_genres, write_noise


@pytest.fixture(scope="session")
def settings(hifi) -> Callable[..., CorpusSettings]:
    """Return a function that builds settings with clips of one second, with changes."""

    def build(clip_s: float = 1.0, **changes) -> CorpusSettings:
        return CorpusSettings(**{"mel": hifi, "clip": ClipSettings(clip_s), "workers": 1} | changes)

    return build


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, settings) -> Corpus:
    """Two genres of ten tracks with two clips each, and two paired scores. Read only."""
    folder = tmp_path_factory.mktemp("corpus")
    genres = write_genres(folder, tracks=10)
    for number, name in enumerate(genres):
        for score in range(2):
            write_noise(
                folder / "paired" / name / f"score_{score:03d}.wav", 2.2, seed=1000 + 10 * number + score
            )
    prepare_corpus(FolderSource(genres, folder / "paired"), folder / "out", settings())
    return Corpus.open(folder / "out")
