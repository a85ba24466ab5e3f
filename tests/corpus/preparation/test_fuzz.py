from collections import Counter

import numpy as np
import pytest

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from tests.corpus.damaged_files import NAMES, make_seeds, write_damaged, write_odd
from tests.corpus.noise_songs import write_genres

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_neither_crash_nor_hang_and_are_rows_with_a_reason(tmp_path, settings, count):
    genres = write_genres(tmp_path, ("good",)) | {"bad": tmp_path / "bad"}
    write_damaged(genres["bad"], make_seeds(tmp_path / "seeds"), count)
    n_odd = write_odd(genres["bad"])
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings(workers=2))
    bad = [row for row in rows if row["genre"] == "bad"]
    by_file = {row["source"]: row for row in bad}
    assert len(by_file) == count + n_odd
    assert all(bool(row["reason"]) != row["kept"] for row in bad)
    reasons = Counter(row["reason"].partition(" (")[0] for row in bad)
    assert reasons["cannot be read as audio"] > count / 10
    assert all(by_file[f"{name}.flac"]["kept"] for name in NAMES)
    assert by_file["192000 Hz 8 ch.wav"]["kept"]
    assert by_file["one sample.wav"]["reason"] == "shorter than a clip"
    assert by_file["not finite 1.wav"]["reason"] == "non-finite samples"
    corpus = Corpus.open(tmp_path / "out")
    for clip in corpus.clips("bad", "train"):
        assert np.isfinite(corpus.mel_db(clip).numpy()).all()
    print(dict(reasons))
