"""Tests of preparing and updating a corpus: caching, errors, warnings, stored audio, blocks."""

import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from cyclegan_audio.audio import io
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.shards import Shard
from cyclegan_audio.corpus.preparation.writer import merge_shards, prepare_corpus, prepare_shard
from cyclegan_audio.corpus.screening import NearDuplicates, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.utils.errors import UserError
from tests.corpus.folder_state import folder_hashes, folder_state
from tests.corpus.noise_songs import write_genres, write_noise


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Return a list that collects the names of decoded files."""
    names: list[str] = []
    stream = io.stream_blocks

    def recording(path):
        names.append(Path(path).name)
        return stream(path)

    monkeypatch.setattr(io, "stream_blocks", recording)
    return names


def test_a_second_run_changes_nothing(tmp_path, settings, decoded):
    source = FolderSource(write_genres(tmp_path))
    rows = prepare_corpus(source, tmp_path / "out", settings())
    before = folder_state(tmp_path / "out")
    assert len(decoded) == 8
    assert prepare_corpus(source, tmp_path / "out", settings(workers=1)) == rows
    assert len(decoded) == 8
    assert folder_state(tmp_path / "out") == before


def test_an_added_file_is_the_only_one_decoded(tmp_path, settings, decoded):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings())
    before = folder_state(tmp_path / "out")
    decoded.clear()
    write_noise(tmp_path / "trap" / "deeper" / "new.wav", 3.1, seed=77)
    prepare_corpus(source, tmp_path / "out", settings())
    after = folder_state(tmp_path / "out")
    assert decoded == ["new.wav"]
    assert all(after[name] == before[name] for name in before if name != "manifest.parquet")
    assert len(after) == len(before) + 3
    corpus = Corpus.open(tmp_path / "out")
    clips = [
        c
        for split in ("train", "val", "test")
        for c in corpus.clips("trap", split)
        if c.source == "deeper/new.wav"
    ]
    assert [clip.start_s for clip in clips] == [0.0, 1.0, 2.0]


def test_changed_and_removed_files_update_the_corpus(tmp_path, settings, decoded):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings())
    decoded.clear()
    write_noise(tmp_path / "lofi" / "song 0.wav", 1.5, seed=5)
    (tmp_path / "trap" / "song 3.wav").unlink()
    prepare_corpus(source, tmp_path / "out", settings())
    assert decoded == ["song 0.wav"]
    prepare_corpus(source, tmp_path / "fresh", settings())
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "fresh")


def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, settings, monkeypatch, decoded):
    source = FolderSource(write_genres(tmp_path))
    recording = io.stream_blocks

    def failing(path):
        if len(decoded) == 5:
            raise KeyboardInterrupt
        return recording(path)

    monkeypatch.setattr(io, "stream_blocks", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare_corpus(source, tmp_path / "out", settings(workers=1))
    with pytest.raises(UserError, match="is not finished"):
        Corpus.open(tmp_path / "out")
    monkeypatch.setattr(io, "stream_blocks", recording)
    (tmp_path / "out" / "mels" / ".1.part.npy").write_bytes(b"of a killed run")
    prepare_corpus(source, tmp_path / "out", settings())
    assert len(decoded) == 8
    prepare_corpus(source, tmp_path / "undisturbed", settings(workers=1))
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "undisturbed")


def test_unreadable_files_are_rows_with_a_reason_and_a_warning(tmp_path, settings, caplog):
    genres = write_genres(tmp_path)
    (tmp_path / "lofi" / "no audio.mp3").write_text("a letter")
    write_noise(tmp_path / "lofi" / "short.flac", 0.4, seed=1)
    write_noise(tmp_path / "lofi" / "half silent.wav", 1.0, seed=2, rate=8000)
    sound, _ = soundfile.read(tmp_path / "lofi" / "half silent.wav")
    soundfile.write(
        tmp_path / "lofi" / "half silent.wav", np.concatenate([sound, 0 * sound, sound[::-1]]), 8000
    )
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings())
    by_source = {
        name: [row for row in rows if row["source"] == name] for name in {row["source"] for row in rows}
    }
    assert [(r["kept"], r["split"], r["index"]) for r in by_source["no audio.mp3"]] == [(False, "", -1)]
    assert "cannot be read as audio" in by_source["no audio.mp3"][0]["reason"]
    assert str(tmp_path) not in by_source["no audio.mp3"][0]["reason"]
    assert by_source["short.flac"][0]["reason"] == "shorter than a clip"
    assert by_source["short.flac"][0]["duration_s"] == pytest.approx(0.4, abs=1e-3)
    assert [(r["reason"], r["index"]) for r in by_source["half silent.wav"]] == [
        ("", 0),
        ("silence", -1),
        ("", 1),
    ]
    assert "no audio.mp3 is left out" in caplog.text
    assert "short.flac is left out: shorter than a clip" in caplog.text
    corpus = Corpus.open(tmp_path / "out")
    last = [
        c for s in ("train", "val", "test") for c in corpus.clips("lofi", s) if c.source == "half silent.wav"
    ][-1]
    assert last.start_s == 2.0
    assert corpus.audio(last).square().mean().sqrt() == pytest.approx(0.1, rel=0.1)


def test_other_settings_of_a_corpus_are_refused(tmp_path, settings, paper):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings())
    before = folder_state(tmp_path / "out")
    with pytest.raises(UserError, match="sample_rate 48000 against 44100"):
        prepare_corpus(source, tmp_path / "out", settings(mel=paper))
    with pytest.raises(UserError, match=r"clip.seconds 2.0, the corpus .* has 1.0"):
        prepare_corpus(source, tmp_path / "out", settings(clip_s=2.0))
    with pytest.raises(UserError, match="also has trap"):
        prepare_corpus(FolderSource(write_genres(tmp_path, ("lofi", "jazz"))), tmp_path / "out", settings())
    assert folder_state(tmp_path / "out") == before


def test_heldout_audio_is_that_of_held_out_tracks(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings(audio="heldout"))
    corpus = Corpus.open(tmp_path / "out")
    assert corpus.audio(corpus.clips("lofi", "test")[0]).shape == (44_100,)
    assert corpus.audio(corpus.clips("trap", "val")[1]).shape == (44_100,)
    with pytest.raises(UserError, match="audio=all"):
        corpus.audio(corpus.clips("lofi", "train")[0])
    prepare_corpus(source, tmp_path / "out", settings(audio="none"))
    assert not list((tmp_path / "out" / "audio").iterdir())
    prepare_corpus(source, tmp_path / "out", settings())
    prepare_corpus(source, tmp_path / "fresh", settings())
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "fresh")


def test_one_long_file_is_split_by_blocks(tmp_path, settings, caplog):
    write_noise(tmp_path / "mix" / "long.wav", 40.5, seed=1, rate=8000)
    genres = write_genres(tmp_path, ("trap",)) | {"mix": tmp_path / "mix"}
    prepare_corpus(FolderSource(genres), tmp_path / "out", settings())
    assert "mix has fewer than 3 different tracks" in caplog.text
    assert "trap has fewer" not in caplog.text
    corpus = Corpus.open(tmp_path / "out")
    starts = {
        split: [clip.start_s for clip in corpus.clips("mix", split)] for split in ("train", "val", "test")
    }
    assert {split: len(values) for split, values in starts.items()} == {"train": 28, "val": 4, "test": 4}
    held_out = {start for split in ("val", "test") for start in starts[split]}
    assert all(abs(start - other) > 1 for start in starts["train"] for other in held_out)  # a guard gap
    for split in ("val", "test"):
        assert starts[split][0] % 4 == 0
        assert np.diff(starts[split]).tolist() == [1, 1, 1]
    assert len(list((tmp_path / "out" / "mels").glob("mix-*"))) == 1


@pytest.mark.parametrize("kind", ["silent", "short", "no audio"])
def test_a_genre_without_clips_leaves_no_folder(tmp_path, settings, kind):
    genres = write_genres(tmp_path, ("lofi",)) | {"bad": tmp_path / "bad"}
    write_noise(
        tmp_path / "bad" / "a.wav",
        0.5 if kind == "short" else 2,
        seed=1,
        level=0 if kind == "silent" else 0.1,
    )
    if kind == "no audio":
        (tmp_path / "bad" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="bad: none of 1 files has a usable clip"):
        prepare_corpus(FolderSource(genres), tmp_path / "out", settings())
    assert not (tmp_path / "out").exists()


def test_unsuitable_corpus_folders_are_refused(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        prepare_corpus(source, tmp_path / "file", settings())
    with pytest.raises(UserError, match="cannot write the corpus"):
        prepare_corpus(source, tmp_path / "file" / "out", settings())
    with pytest.raises(UserError, match="not empty and not a corpus"):
        prepare_corpus(source, tmp_path / "lofi", settings())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_with_empty_parts_of_a_corpus_only_becomes_a_corpus(tmp_path, settings):
    """A full disk at the first write leaves one."""
    source = FolderSource(write_genres(tmp_path))
    for part in ("mels", "audio", "tracks"):
        (tmp_path / "out" / part).mkdir(parents=True)
    assert prepare_corpus(source, tmp_path / "out", settings())
    (tmp_path / "mine" / "mels").mkdir(parents=True)
    (tmp_path / "mine" / "mels" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and not a corpus"):
        prepare_corpus(source, tmp_path / "mine", settings())


@pytest.mark.parametrize("audio", ["all", "heldout", "none"])
def test_near_duplicates_are_searched_once(tmp_path, settings, monkeypatch, audio):
    searches = []
    find = NearDuplicates.find

    def counted(self, clips):
        searches.append(clips)
        return find(self, clips)

    monkeypatch.setattr(NearDuplicates, "find", counted)
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(audio=audio))
    assert len(searches) == 1


def test_a_damaged_manifest_is_rewritten(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings())
    before = folder_hashes(tmp_path / "out")
    (tmp_path / "out" / "manifest.parquet").write_bytes(b"PAR1")
    prepare_corpus(source, tmp_path / "out", settings())
    assert folder_hashes(tmp_path / "out") == before


def test_copies_of_a_song_are_in_the_same_split(tmp_path, settings):
    """Training keeps both, validation and test one of them."""
    genres = write_genres(tmp_path, tracks=6)
    for path in list(genres["lofi"].iterdir()):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", settings())
    lofi = [row for row in rows if row["genre"] == "lofi"]
    splits = {n: {row["split"] for row in lofi if f"song {n}" in row["source"]} for n in range(6)}
    assert sorted(map(sorted, splits.values())) == [["", "test"], ["", "val"], *[["train"]] * 4]
    assert {row["reason"] for row in lofi} == {"", "near-duplicate"}


class LoopSongs(NamedTuple):
    """Folders of songs by genre, and which loop plays at genre, source and start."""

    genres: dict[str, Path]
    loops: dict[tuple[str, str, float], int]


@pytest.fixture
def songs(tmp_path) -> LoopSongs:
    """Two genres of ten songs of three of 16 loops, at other levels, and a second of other music."""
    rng = np.random.default_rng(0)
    loops, uses = rng.normal(0, 0.1, (16, 8000)), {}
    for genre in ("lofi", "trap"):
        (tmp_path / genre).mkdir()
        for number in range(10):
            chosen = rng.choice(16, 3, replace=False)
            uses |= {(genre, f"{number}.wav", float(start)): int(loop) for start, loop in enumerate(chosen)}
            parts = [*(loops[chosen] * rng.uniform(0.3, 1, (3, 1))), rng.normal(0, 0.1, 8000)]
            soundfile.write(tmp_path / genre / f"{number}.wav", np.concatenate(parts).clip(-1, 1), 8000)
    return LoopSongs({genre: tmp_path / genre for genre in ("lofi", "trap")}, uses)


@pytest.mark.parametrize("max_alike", [1, 2, 3])
def test_loops_are_in_one_split_and_a_few_times_in_training(tmp_path, settings, songs, max_alike):
    rules = ScreeningRules(near_duplicates=NearDuplicates(max_alike=max_alike))
    rows = prepare_corpus(FolderSource(songs.genres), tmp_path / "out", settings(screening=rules))
    uses: dict[int, Counter] = defaultdict(Counter)
    for row in rows:
        loop = songs.loops.get((row["genre"], row["source"], row["start_s"]))
        if loop is not None and row["kept"]:
            uses[loop][row["split"], row["genre"]] += 1
        assert row["reason"] == ("" if row["kept"] else "near-duplicate")
        assert row["kept"] or loop is not None
    assert set(uses) == set(range(16))
    for counts in uses.values():
        assert len({split for split, _ in counts}) == 1
        assert counts.total() == 1 or {split for split, _ in counts} == {"train"}
    in_training = [n for counts in uses.values() for (split, _), n in counts.items() if split == "train"]
    assert max(in_training) == max_alike


def test_repeats_do_not_depend_on_how_a_corpus_was_prepared(tmp_path, settings, songs):
    source = FolderSource(songs.genres)
    path = songs.genres["lofi"] / "3.wav"
    path.rename(tmp_path / "3.wav")
    prepare_corpus(source, tmp_path / "out", settings())
    (tmp_path / "3.wav").rename(path)
    rows = prepare_corpus(source, tmp_path / "out", settings())
    assert prepare_corpus(source, tmp_path / "fresh", settings()) == rows
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "fresh")
    for number in range(2):
        prepare_shard(source, tmp_path / "sharded", settings(), Shard(number, 2))
    assert merge_shards(source, tmp_path / "sharded", settings(), 2) == rows
