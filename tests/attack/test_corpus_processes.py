"""Several processes on one corpus: two `prepare`, shards, the demo's first use, eight trainings."""

import functools
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from cyclegan_audio import demo, prepare
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation import writer
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.shards import Shard
from cyclegan_audio.corpus.preparation.writer import (
    LOCK,
    CorpusSettings,
    merge_shards,
    prepare_corpus,
    prepare_shard,
)
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.demo.corpus import ensure_demo_corpus
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, UserError
from tests.attack.held_process import HeldProcess
from tests.corpus.folder_state import folder_hashes
from tests.corpus.noise_songs import load_mel, write_genres

SETTINGS = CorpusSettings(load_mel("hifi"), ClipSettings(1.0), workers=1)


def held_prepare(tmp_path: Path, shard: Shard | None = None) -> tuple[FolderSource, HeldProcess]:
    """Start to prepare a corpus of noise in `tmp_path / "out"`; return its source and the held process."""
    source, out = FolderSource(write_genres(tmp_path)), tmp_path / "out"
    if shard is None:
        action = functools.partial(prepare_corpus, source, out, SETTINGS)
    else:
        action = functools.partial(prepare_shard, source, out, SETTINGS, shard)
    process = HeldProcess(action, writer, "process_tracks")
    process.hold()
    return source, process


def test_a_second_prepare_is_refused_and_the_corpus_is_whole(tmp_path, monkeypatch, capsys):
    source, first = held_prepare(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    genres = (f"--genre={genre}={folder}" for genre, folder in source.genres.items())
    options = [word for genre in genres for word in genre.split("=", 1)]
    monkeypatch.setattr(sys, "argv", ["prepare", *options, f"corpus={tmp_path / 'out'}", "clip.seconds=1"])
    with pytest.raises(SystemExit) as ended:
        prepare.main()
    assert ended.value.code == USER_ERROR_EXIT_CODE
    error = capsys.readouterr().err
    assert error == (
        f"error: another process prepares the corpus {tmp_path / 'out'}; wait until it ends, or stop it, "
        "then try again\n"
    )
    first.release()
    prepare_corpus(source, tmp_path / "alone", SETTINGS)
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "alone")
    assert not (tmp_path / "out" / LOCK).exists()


def test_a_killed_prepare_blocks_nobody(tmp_path):
    source, first = held_prepare(tmp_path)
    first.process.kill()
    first.process.join()
    assert (tmp_path / "out" / LOCK).exists()
    prepare_corpus(source, tmp_path / "out", SETTINGS)
    assert Corpus.open(tmp_path / "out").n_clips == 16
    assert not (tmp_path / "out" / LOCK).exists()


def test_shards_work_side_by_side_but_not_beside_a_whole_prepare(tmp_path):
    source, first = held_prepare(tmp_path, Shard(0, 2))
    prepare_shard(source, tmp_path / "out", SETTINGS, Shard(1, 2))
    for action in (
        lambda: prepare_corpus(source, tmp_path / "out", SETTINGS),
        lambda: merge_shards(source, tmp_path / "out", SETTINGS, 2),
    ):
        with pytest.raises(UserError, match="another process prepares the corpus"):
            action()
    first.release()
    merge_shards(source, tmp_path / "out", SETTINGS, 2)
    prepare_corpus(source, tmp_path / "alone", SETTINGS)
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "alone")


def test_two_first_uses_of_the_demo_prepare_it_once(tmp_path, monkeypatch, capfd):
    def make(folder, settings, *, on_song=None):
        with (tmp_path / "calls.txt").open("a") as file:
            file.write("called\n")
        write_genres(folder, demo.GENRES, tracks=3, seconds=4.1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "make_demo_songs", make)
    use = functools.partial(ensure_demo_corpus, songs_per_genre=3, paired_scores=0)
    first = HeldProcess(use, demo, "make_demo_songs")
    first.hold()
    second = HeldProcess(use, demo, "make_demo_songs")
    assert not second.is_held.wait(0.5)
    assert second.process.is_alive()
    first.release()
    second.release()
    assert "another process writes data/demo/corpus; waiting for it\n" in capfd.readouterr().out
    assert (tmp_path / "calls.txt").read_text() == "called\n"
    assert Corpus.open(tmp_path / "data" / "demo" / "corpus").n_clips == 9
    assert {path.name for path in (tmp_path / "data" / "demo").iterdir()} == {"songs", "corpus"}


def test_reading_goes_on_while_prepare_updates_the_corpus(tmp_path):
    source = FolderSource(write_genres(tmp_path))
    prepare_corpus(source, tmp_path / "out", SETTINGS)
    corpus = Corpus.open(tmp_path / "out")
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips("lofi", split)]
    staying, leaving = clips[0], clips[-1]
    (tmp_path / "lofi" / leaving.source).unlink()
    prepare_corpus(source, tmp_path / "out", SETTINGS)
    assert corpus.mel_db(staying).equal(Corpus.open(tmp_path / "out").mel_db(staying))
    with pytest.raises(UserError, match=rf"lofi: {leaving.source} at \d s in .* is missing; run its prepare"):
        corpus.mel_db(leaving)


@pytest.mark.slow
def test_eight_trainings_on_one_corpus_end_well_and_leave_it_as_it_was(corpus, tiny, tmp_path):
    before = folder_hashes(corpus)
    options = ("n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32", "precision=32-true", "logger=none")
    command = [
        *(sys.executable, "-m", "cyclegan_audio.train", *tiny, *options),
        *(f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "threads=1", "vocoder=mask"),
    ]
    trainings = [
        subprocess.Popen([*command, f"run_dir=run_{number}", f"seed={number}"], cwd=tmp_path, stderr=PIPE)
        for number in range(8)
    ]
    for number, training in enumerate(trainings):
        _, errors = training.communicate(timeout=600)
        assert training.returncode == 0, f"run {number}: {errors.decode()}"
        assert (tmp_path / f"run_{number}" / "checkpoints" / "last.ckpt").is_file()
    assert folder_hashes(corpus) == before
