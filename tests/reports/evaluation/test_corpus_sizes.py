"""`evaluate` on corpora with one and with very many held-out clips, and on damaged ones."""

import json
import shutil
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import read_manifest, write_manifest
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.screening import NearDuplicates, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.corpus.splits import SplitSettings
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.utils.errors import UserError
from tests.reports.evaluation.conftest import SECONDS, song, write_song

KEEP_LOOPS = ScreeningRules(near_duplicates=NearDuplicates(enabled=False))


def make_corpus(folder: Path, mel: MelSpectrogram, songs: int, clip_s: float, test: float = 0.1) -> Corpus:
    """Prepare two genres of `songs` songs of 8 s each."""
    for genre, hats in (("dull", 0.001), ("bright", 0.2)):
        for number in range(songs):
            rng = np.random.default_rng([number, genre == "dull"])
            waveform = song(rng, mel.sample_rate, hats)
            write_song(folder / genre / f"{genre}_{number}.wav", waveform, mel.sample_rate)
    source = FolderSource({genre: folder / genre for genre in ("dull", "bright")})
    settings = CorpusSettings(mel, ClipSettings(clip_s), KEEP_LOOPS, SplitSettings(test=test), workers=1)
    prepare_corpus(source, folder / "corpus", settings)
    return Corpus.open(folder / "corpus")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("songs", "clip_s", "test", "clips"),
    [
        pytest.param(3, 2 * SECONDS, 0.1, 1, id="one clip"),
        pytest.param(36, 0.25, 0.5, 500, id="500 clips"),
    ],
)
def test_any_number_of_held_out_clips_ends_well_without_warnings(
    tmp_path: Path,
    small_mel: MelSpectrogram,
    make_run: Callable[..., Path],
    songs: int,
    clip_s: float,
    test: float,
    clips: int,
) -> None:
    corpus = make_corpus(tmp_path, small_mel, songs, clip_s, test)
    assert min(len(corpus.clips(genre, "test")) for genre in corpus.genres) >= clips
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        page = evaluate(make_run(), corpus=corpus.folder, clips=clips, vocoder="mask")
    numbers = json.loads((page.parent / "report.json").read_text())
    for direction in ("dull to bright", "bright to dull"):
        scores = numbers["metrics"][direction]["metrics"]["genre_probability"]["model"]
        assert scores["n"] == clips
        assert 0 <= scores["mean"] <= 1


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_a_clip_with_an_impossible_level_is_named(
    tmp_path: Path, corpus: Corpus, make_run: Callable[..., Path], value: float
) -> None:
    folder = shutil.copytree(corpus.folder, tmp_path / "corpus")
    clip = corpus.clips("dull", "test")[0]
    path = folder / "mels" / f"{clip.array}.npy"
    mels_db = np.load(path)
    mels_db[clip.index, 3, 5] = value
    np.save(path, mels_db)
    row = mels_db[clip.index].tobytes()
    rows = [
        row_of | {"mel_crc32": zlib.crc32(row)} if row_of["clip_id"] == clip.clip_id else row_of
        for row_of in read_manifest(folder)
    ]
    write_manifest(folder, rows)
    with pytest.raises(UserError, match=f"dull: {clip.source} at .* has levels that are not finite"):
        evaluate(make_run(), corpus=folder, clips=4, vocoder="mask")
