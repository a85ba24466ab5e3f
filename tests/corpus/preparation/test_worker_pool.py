"""Tests of parallel processing: crashes, killed runs, damaged files, shards, full disks."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyclegan_audio.config import compose
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.shards import Shard
from cyclegan_audio.corpus.preparation.track_processor import TrackProcessor
from cyclegan_audio.corpus.preparation.worker_pool import KILLED
from cyclegan_audio.corpus.preparation.writer import (
    build_settings,
    merge_shards,
    prepare_corpus,
    prepare_shard,
)
from cyclegan_audio.corpus.sources import FolderSource, MelRecording, SourceFile
from cyclegan_audio.utils.errors import UserError
from tests.corpus.folder_state import folder_hashes
from tests.corpus.noise_songs import write_genres, write_noise

CLIP = "clip.seconds=1"


@dataclass(frozen=True)
class CrashingRecording(MelRecording):
    """A file that crashes its decoder, as damaged files may crash FFmpeg."""

    parent: int = 0
    by: signal.Signals = signal.SIGSEGV

    def mels(self, mel, n_frames):
        assert os.getpid() != self.parent
        os.kill(os.getpid(), self.by)
        yield 0.0, None, ""


@dataclass(frozen=True)
class LoggedFile(SourceFile):
    """A file that logs each time it is hashed, in any process."""

    log: Path = Path()

    def digest(self):
        with self.log.open("a") as handle:
            handle.write(f"{self.genre}/{self.source}\n")
        return super().digest()


class LoggingSource(FolderSource):
    def files(self):
        log = self.genres["lofi"].parent / "hashed.txt"
        return [LoggedFile(f.genre, f.path, f.source, log=log) for f in super().files()]


class CrashingSource(FolderSource):
    by = signal.SIGSEGV

    def files(self):
        return [
            CrashingRecording(f.genre, f.path, f.source, parent=os.getpid(), by=self.by)
            if "1" in f.source
            else f
            for f in super().files()
        ]


@pytest.fixture
def sigterm_ignored():
    """Install a handler that forked workers must not inherit, or they outlive their pool."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


def test_processes_give_the_same_bytes_as_one(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "one", settings(workers=1))
    prepare_corpus(source, tmp_path / "three", settings(workers=3))
    assert folder_hashes(tmp_path / "one") == folder_hashes(tmp_path / "three")


@pytest.mark.parametrize("audio", ["all", "heldout", "none"])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_run_hashes_a_file_once(tmp_path, settings, audio, workers):
    source = LoggingSource(write_genres(tmp_path))
    everything = sorted(f"{file.genre}/{file.source}" for file in source.files())
    for _ in ("new", "done before"):
        prepare_corpus(source, tmp_path / "out", settings(audio=audio, workers=workers))
        hashed = (tmp_path / "hashed.txt").read_text().splitlines()
        assert sorted(hashed) == everything
        (tmp_path / "hashed.txt").unlink()


def test_a_shard_hashes_its_files_once(tmp_path, settings):
    n_files = prepare_shard(LoggingSource(write_genres(tmp_path)), tmp_path / "out", settings(), Shard(0, 2))
    assert len((tmp_path / "hashed.txt").read_text().splitlines()) == n_files > 0


def test_a_crash_costs_only_its_file(tmp_path, settings, sigterm_ignored):
    rows = prepare_corpus(CrashingSource(write_genres(tmp_path)), tmp_path / "out", settings(workers=2))
    reasons = {(row["genre"], row["source"]): row["reason"] for row in rows}
    crashed = {key for key, reason in reasons.items() if reason == "decoder crashed"}
    assert crashed == {("lofi", "song 1.wav"), ("trap", "song 1.wav")}
    assert set(reasons.values()) == {"", "decoder crashed"}


def test_a_worker_killed_for_lack_of_memory_costs_its_file_until_the_next_run(tmp_path, settings):
    genres = write_genres(tmp_path)
    prepare_corpus(FolderSource(genres), tmp_path / "undisturbed", settings(workers=2))
    source = CrashingSource(genres)
    source.by = signal.SIGKILL  # as the kernel does
    rows = prepare_corpus(source, tmp_path / "out", settings(workers=2))
    assert {row["reason"] for row in rows if row["source"] == "song 1.wav"} == {KILLED}
    prepare_corpus(FolderSource(genres), tmp_path / "out", settings(workers=2))
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "undisturbed")


def test_a_file_that_does_not_fit_into_memory_is_tried_again(tmp_path, settings, monkeypatch):
    genres = write_genres(tmp_path)
    prepare_corpus(FolderSource(genres), tmp_path / "undisturbed", settings())

    def no_memory(self, file, content, with_audio):
        raise UserError(f"{file.path} cannot be read as audio; give another file") from MemoryError()

    with monkeypatch.context() as patch:
        patch.setattr(TrackProcessor, "_process", no_memory)
        with pytest.raises(UserError, match="4 x not enough memory"):
            prepare_corpus(FolderSource(genres), tmp_path / "out", settings(workers=1))
    prepare_corpus(FolderSource(genres), tmp_path / "out", settings())
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "undisturbed")


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    genres = write_genres(tmp_path, tracks=4, seconds=24)
    settings = build_settings(compose("prepare", [CLIP, "workers=2"]))
    options = [f"--genre={name}={folder}" for name, folder in genres.items()]
    command = [sys.executable, "-m", "cyclegan_audio.prepare", *options, CLIP, "workers=2"]
    out = tmp_path / "killed"
    running = subprocess.Popen([*command, f"corpus={out}"], stderr=subprocess.DEVNULL)
    while running.poll() is None and len(list(out.glob("tracks/*.json"))) < 2:
        time.sleep(0.01)
    running.kill()
    running.wait()
    assert 2 <= len(list(out.glob("tracks/*.json"))) < 8
    with pytest.raises(UserError, match="is not finished"):
        Corpus.open(out)
    source = FolderSource(genres)
    prepare_corpus(source, out, settings)
    prepare_corpus(source, tmp_path / "undisturbed", settings)
    assert folder_hashes(out) == folder_hashes(tmp_path / "undisturbed")


def test_damaged_arrays_and_records_are_made_again(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", settings())
    before = folder_hashes(tmp_path / "out")
    for part, kept in (("mels", 1000), ("audio", 0), ("tracks", 40)):
        for path in sorted((tmp_path / "out" / part).iterdir())[:2]:
            os.truncate(path, kept)
    prepare_corpus(source, tmp_path / "out", settings())
    assert folder_hashes(tmp_path / "out") == before


def test_shards_merge_to_the_corpus_of_one_machine(tmp_path, settings):
    genres = write_genres(tmp_path)
    (tmp_path / "lofi" / "letter.mp3").write_text("no audio")
    source = FolderSource(genres)
    n_files = [prepare_shard(source, tmp_path / "out", settings(), Shard(n, 3)) for n in range(2)]
    with pytest.raises(UserError, match="not finished"):
        Corpus.open(tmp_path / "out")
    with pytest.raises(UserError, match="lacks the shards 2 of 3"):
        merge_shards(source, tmp_path / "out", settings(), 3)
    n_files.append(prepare_shard(source, tmp_path / "out", settings(), Shard(2, 3)))
    assert sum(n_files) == 9
    assert max(n_files) < 9
    prepare_corpus(source, tmp_path / "whole", settings())
    with pytest.raises(UserError, match="other settings"):
        merge_shards(source, tmp_path / "out", settings(clip_s=0.9), 3)
    merge_shards(FolderSource(), tmp_path / "out", settings(), 3)  # the source's files may be elsewhere
    described = {
        name: digest for name, digest in folder_hashes(tmp_path / "out").items() if name != "corpus.json"
    }
    assert described.items() <= folder_hashes(tmp_path / "whole").items()
    assert len(described) == len(folder_hashes(tmp_path / "whole")) - 1


def test_a_shard_that_lost_an_array_is_refused(tmp_path, settings):
    source = FolderSource(write_genres(tmp_path))
    for number in range(2):
        prepare_shard(source, tmp_path / "out", settings(), Shard(number, 2))
    next((tmp_path / "out" / "mels").iterdir()).unlink()
    with pytest.raises(UserError, match=r"files of .*, which shard \d made, are missing"):
        merge_shards(source, tmp_path / "out", settings(), 2)
    for numbers in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(UserError, match="must be an integer"):
            Shard(*numbers)


def test_a_full_disk_is_one_line_and_no_corpus(tmp_path, settings, monkeypatch):
    source = FolderSource(write_genres(tmp_path))
    write_noise(tmp_path / "lofi" / "x.wav", 1.2, seed=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cyclegan_audio.corpus.track_files.NpyAppender.append", full)
    with pytest.raises(UserError, match="No space left on device"):
        prepare_corpus(source, tmp_path / "out", settings(workers=2))
    with pytest.raises(UserError, match="is not finished"):
        Corpus.open(tmp_path / "out")
    assert not list((tmp_path / "out" / "mels").iterdir())
