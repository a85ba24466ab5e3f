"""The corpus that a run is judged on: its genres."""

from dataclasses import replace
from pathlib import Path

import pytest

from cyclegan_audio.reports.evaluation.translations import open_corpus
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import pair, quieter


def test_the_pair_takes_on_the_spelling_of_the_corpus(corpus):
    a, b = corpus.genres[:2]
    trained = replace(pair("hifi", quieter), mel=corpus.mel, genres=(a.upper(), b.title()))
    opened = open_corpus(trained, corpus.folder, Path("run"))
    assert trained.genres == (a, b)
    assert opened.clips(trained.targets[0], "train")
    assert trained.direction(b.upper()) == "ab"


def test_a_corpus_without_the_genres_of_the_pair_is_refused(corpus):
    genres = (f"{corpus.genres[0]}x", corpus.genres[1])
    trained = replace(pair("hifi", quieter), mel=corpus.mel, genres=genres)
    with pytest.raises(
        UserError, match=rf"no genre '{genres[0]}' in .*; did you mean '{corpus.genres[0]}'\?"
    ):
        open_corpus(trained, corpus.folder, Path("run"))
    assert trained.genres == genres


def test_twins_may_spell_their_genres_otherwise_but_not_differ():
    twin = pair("hifi", quieter)
    assert twin.adopt_spelling(("OTHER", "Same"))
    assert twin.genres == ("OTHER", "Same")
    assert not twin.adopt_spelling(("same", "other"))
    assert twin.genres == ("OTHER", "Same")
