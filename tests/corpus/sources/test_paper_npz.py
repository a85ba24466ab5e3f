"""Tests of published spectrogram arrays as a source, and of the paper's splits."""

from collections import Counter

import numpy as np
import pytest
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import read_manifest
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.corpus.sources.paper_npz import PaperNpzSource
from cyclegan_audio.corpus.splits import SplitSettings
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres

SHAPE = (128, 189)


@pytest.fixture
def arrays(tmp_path):
    """Two genres of 60 clips, 4 to 12 s apart and not in order, as a file."""
    rng = np.random.default_rng(0)
    values = {}
    for genre in ("lofi", "trap"):
        starts_s = np.cumsum(4 * rng.integers(1, 4, 60)).astype(np.float32)
        order = rng.permutation(60)
        values[genre] = rng.integers(0, 256, (60, *SHAPE), dtype=np.uint8)
        values[genre + "_start_s"] = starts_s[order]
    np.savez(tmp_path / "mels.npz", **values)
    return values


def test_grey_levels_become_db_and_start_times_stay(tmp_path, arrays, settings, paper):
    source = PaperNpzSource(tmp_path / "mels.npz", (-60.0, 40.0))
    rows = prepare_corpus(source, tmp_path / "out", settings(mel=paper, clip_s=4.0))
    assert {row["start_s"] for row in rows if row["genre"] == "trap"} == set(arrays["trap_start_s"].tolist())
    corpus = Corpus.open(tmp_path / "out")
    clip = corpus.clips("trap", "train")[3]
    index = arrays["trap_start_s"].tolist().index(clip.start_s)
    levels = torch.from_numpy(arrays["trap"][index].astype(np.float32))
    torch.testing.assert_close(corpus.mel_db(clip), levels / 255 * 100 - 60)
    assert clip.level_db is None
    with pytest.raises(UserError, match="has no audio"):
        corpus.audio(clip)


def test_blocks_of_time_are_split(tmp_path, arrays, settings, paper):
    split = SplitSettings(block_s=40.0)
    source = PaperNpzSource(tmp_path / "mels.npz")
    rows = prepare_corpus(source, tmp_path / "out", settings(mel=paper, clip_s=4.0, split=split))
    for genre in ("lofi", "trap"):
        kept = [row for row in rows if row["genre"] == genre and row["kept"]]
        block = {row["track"]: row["split"] for row in kept}
        assert {row["split"] for row in kept} == {"train", "val", "test"}
        assert all(block[row["track"]] == row["split"] for row in kept)
        assert all(int(row["track"][-4:]) == row["start_s"] // 40 for row in kept)


def test_a_second_run_changes_no_arrays(tmp_path, arrays, settings, paper):
    source = PaperNpzSource(tmp_path / "mels.npz")
    prepare_corpus(source, tmp_path / "out", settings(mel=paper, clip_s=4.0))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    prepare_corpus(source, tmp_path / "out", settings(mel=paper, clip_s=4.0, audio="heldout"))
    changed = {p.name for p, t in times.items() if p.stat().st_mtime_ns != t}
    assert changed == {"corpus.json"}
    assert read_manifest(tmp_path / "out")


def test_other_mels_and_invalid_files_are_refused(tmp_path, arrays, settings):
    with pytest.raises(UserError, match=r"128 x 189 bands and frames, the mel hifi has 128 x 86"):
        prepare_corpus(PaperNpzSource(tmp_path / "mels.npz"), tmp_path / "out", settings())
    for name in ("nowhere.npz", "text.npz"):
        (tmp_path / "text.npz").write_text("PK no archive")
        with pytest.raises(UserError, match="cannot be read"):
            PaperNpzSource(tmp_path / name).files()
    np.savez(tmp_path / "one.npz", lofi=arrays["lofi"], lofi_start_s=arrays["lofi_start_s"])
    with pytest.raises(UserError, match="two are needed"):
        PaperNpzSource(tmp_path / "one.npz").files()
    with pytest.raises(UserError, match=r"source\.file=FILE"):
        PaperNpzSource().files()
    with pytest.raises(UserError, match="range_db"):
        PaperNpzSource(range_db=(3.0, -3.0))


def test_max_clips_and_test_clips_limit_clips(tmp_path, settings):
    genres = write_genres(tmp_path, tracks=12, seconds=3.1)
    split = SplitSettings(max_clips=14, test_clips=4)
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings(split=split))
    for genre in genres:
        genre_rows = [row for row in rows if row["genre"] == genre]
        assert Counter(row["split"] for row in genre_rows) == {"train": 9, "val": 1, "test": 4, "": 22}
        assert {row["reason"] for row in genre_rows if not row["kept"]} == {"not sampled"}


def test_random_splits_log_a_warning(tmp_path, settings, caplog):
    genres = write_genres(tmp_path, tracks=4, seconds=5.1)
    split = SplitSettings(by="random", val=0.0, test_clips=4)
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings(split=split))
    assert "repeat the paper" in caplog.text
    lofi = [row for row in rows if row["genre"] == "lofi"]
    assert [row["split"] for row in lofi].count("test") == 4
    assert len({row["source"] for row in lofi if row["split"] == "test"}) > 1
    assert len({row["track"] for row in lofi}) == 20
