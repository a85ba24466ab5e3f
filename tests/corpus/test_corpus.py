"""Tests of opening and reading a corpus."""

import os
import shutil

import pytest
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import COLUMNS, read_manifest
from cyclegan_audio.utils.checked_json import read_checked_json, write_checked_json
from cyclegan_audio.utils.errors import UserError


def test_a_mel_equals_that_of_its_audio(corpus):
    for clip in (corpus.clips("lofi", "train")[0], corpus.clips("trap", "test")[-1]):
        recomputed = corpus.mel.mel_db(corpus.audio(clip)[None])[0]
        mel = corpus.mel_db(clip)
        assert mel.shape == (128, corpus.mel.n_frames(44_100))
        loud = mel > mel.max() - 40  # the audio is kept with 16 bits
        assert torch.allclose(recomputed[loud], mel[loud], atol=0.05)
        assert (clip.min_db, clip.max_db) == (float(mel.min()), float(mel.max()))
        assert clip.level_db == pytest.approx(-20, abs=0.7)  # noise of 0.1 RMS, resampled


def test_clips_are_sorted_by_source_and_start(corpus):
    clips = corpus.clips("lofi", "train")
    assert [(clip.source, clip.start_s) for clip in clips] == sorted(
        (clip.source, clip.start_s) for clip in clips
    )
    assert {clip.start_s for clip in clips} == {0.0, 1.0}
    assert not torch.equal(corpus.mel_db(clips[0]), corpus.mel_db(clips[1]))


def test_splits_share_no_track_and_have_all(corpus):
    split_of_track: dict[str, str] = {}
    for genre in corpus.genres:
        for split in ("train", "val", "test", "paired"):
            clips = corpus.clips(genre, split)
            assert len(clips) == {"train": 16, "val": 2, "test": 2, "paired": 4}[split]
            assert all(split_of_track.setdefault(clip.track, split) == split for clip in clips)
    assert len(split_of_track) == 24


def test_paired_clips_share_score_and_time(corpus):
    pairs = corpus.paired_clips("trap", "lofi")
    assert len(pairs) == 4
    for one, other in pairs:
        assert (one.genre, other.genre) == ("trap", "lofi")
        assert one.score == other.score == one.source.removeprefix("../paired/trap/").removesuffix(".wav")
        assert one.start_s == other.start_s
    assert len({one.clip_id for one, _ in pairs}) == 4


def test_the_manifest_has_the_documented_columns(corpus):
    rows = read_manifest(corpus.folder)
    assert list(rows[0]) == list(COLUMNS)
    assert len({row["clip_id"] for row in rows}) == len(rows) == 48


def test_genres_resolve_case_insensitively_and_unknown_ones_are_refused(corpus):
    assert corpus.check_genres("LoFi", "trap") == ("lofi", "trap")
    with pytest.raises(UserError, match=r"no genre 'rnb' in the corpus .*\. There are: lofi, trap"):
        corpus.check_genres("lofi", "rnb")
    with pytest.raises(UserError, match=r"'tarp' in .*; did you mean 'trap'"):
        corpus.check_genres("lofi", "tarp")
    with pytest.raises(UserError, match="both genres are 'lofi'; choose two of lofi, trap"):
        corpus.check_genres("lofi", "Lofi")


def damage_settings(folder):
    (folder / "corpus.json").write_text("{")


def other_version(folder):
    values = read_checked_json(folder / "corpus.json")
    write_checked_json(folder / "corpus.json", values | {"format_version": 99})


def older_version(folder):
    (folder / "corpus.json").write_text('{"format_version": 3}')


def other_mel(folder):
    values = read_checked_json(folder / "corpus.json")
    values["mel"]["n_fft"] = 1024
    write_checked_json(folder / "corpus.json", values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "is not a corpus"),
        (lambda folder: (folder / "manifest.parquet").unlink(), "is not finished"),
        (
            lambda folder: (folder / "manifest.parquet").write_bytes(b"PAR1"),
            "manifest.parquet cannot be read",
        ),
        (damage_settings, "corpus.json cannot be read"),
        (other_version, "has corpus format 99, not 4; delete it and prepare it again"),
        (older_version, "has corpus format 3, not 4; delete it and prepare it again"),
        (other_mel, "do not match their hash"),
    ],
)
def test_damaged_and_unfinished_corpora_are_refused(corpus, tmp_path, damage, message):
    folder = tmp_path / "copy"
    shutil.copytree(corpus.folder, folder)
    damage(folder)
    with pytest.raises(UserError, match=message):
        Corpus.open(folder)


def test_missing_and_truncated_arrays_are_refused(corpus, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(corpus.folder, folder)
    clip = corpus.clips("lofi", "val")[0]
    (folder / "audio" / f"{clip.array}.npy").unlink()
    with pytest.raises(UserError, match="audio=all"):
        Corpus.open(folder).audio(clip)
    path = folder / "mels" / f"{clip.array}.npy"
    for size in (path.stat().st_size // 2, 0):
        os.truncate(path, size)
        with pytest.raises(UserError, match="is damaged: it has another size"):
            Corpus.open(folder)
