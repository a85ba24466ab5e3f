"""Files appear whole or not at all."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cyclegan_audio.utils.atomic import (
    MIN_STALE_S,
    AtomicFile,
    atomic_folder,
    atomic_path,
    atomic_write_bytes,
    atomic_write_files,
    atomic_write_text,
    delete_stale,
    temporary_path,
)


def test_a_temporary_path_is_hidden_and_keeps_folder_and_suffix(tmp_path):
    target = tmp_path / ("a" * 240 + ".flac")
    names = {temporary_path(target) for _ in range(3)}
    assert len(names) == 3
    for path in names:
        path.touch()  # also for the longest names
        assert path.parent == tmp_path
        assert path.name.startswith(".")
        assert path.suffix == ".flac"
    fixed = temporary_path(tmp_path / "last.ckpt", single_writer=True)
    assert fixed == temporary_path(tmp_path / "last.ckpt", single_writer=True)
    assert fixed.name == ".last.part.ckpt"


def test_the_target_changes_at_the_end_of_the_block(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def write_and_raise(path, error):
    path.write_text("half")
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as part:
        write_and_raise(part, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_single_writer_replaces_the_rest_of_a_killed_process(tmp_path):
    target = tmp_path / "last.ckpt"
    temporary_path(target, single_writer=True).write_bytes(b"half a checkpoint")
    with atomic_path(target, single_writer=True) as part:
        part.write_bytes(b"whole")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("fsync", [True, False])
def test_fsync_comes_before_the_rename(tmp_path, monkeypatch, fsync):
    calls = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    with atomic_path(tmp_path / "a", fsync=fsync) as part:
        part.write_bytes(b"1")
    assert calls == ["fsync"] * fsync + ["replace"]


def test_write_text_and_bytes(tmp_path):
    atomic_write_text(tmp_path / "a", "é\n")
    assert (tmp_path / "a").read_bytes() == "é\n".encode()
    atomic_write_bytes(tmp_path / "a", b"\0")
    assert (tmp_path / "a").read_bytes() == b"\0"
    with pytest.raises(OSError, match="No such file"):
        atomic_write_text(tmp_path / "missing" / "a", "")


def test_no_file_changes_before_all_are_written(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write_files({first: "new", second: "\ud800"})
    assert first.read_text() == "old"
    assert list(tmp_path.iterdir()) == [first]
    atomic_write_files({first: "new", second: "too"})
    assert (first.read_text(), second.read_text()) == ("new", "too")
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "kit"
    with pytest.raises(ValueError), atomic_folder(target) as part:  # noqa: PT011
        write_and_raise(part / "a", ValueError)
    assert list(target.parent.iterdir()) == []
    with atomic_folder(target) as part:
        (part / "b").touch()
        assert not target.exists()
    assert list(target.parent.iterdir()) == [target]
    assert [path.name for path in target.iterdir()] == ["b"]


def test_a_committed_file_survives_a_discard(tmp_path):
    file = AtomicFile(tmp_path / "a")
    file.temporary.touch()
    file.commit()
    file.discard()
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def unfinished_by(code: str, folder: Path) -> subprocess.Popen:
    """Start a process that writes `folder/a.wav` and waits in the middle; return when it waits."""
    begin = "import sys, time; from pathlib import Path; from cyclegan_audio.utils.atomic import *\n"
    command = [sys.executable, "-c", begin + code, str(folder / "a.wav")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    return process


WRITES = """
with atomic_path(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print("waits", flush=True)
    time.sleep(60)
"""


def test_only_files_of_dead_processes_are_stale(tmp_path):
    processes = [unfinished_by(WRITES, tmp_path) for _ in range(2)]
    temporary = sorted(tmp_path.iterdir())
    assert len(temporary) == 2
    for path in temporary:
        os.utime(path, (0, 0))
    delete_stale(tmp_path, [".wav"])
    assert sorted(tmp_path.iterdir()) == temporary
    processes[0].kill()
    processes[0].communicate()
    delete_stale(tmp_path, [".mp3"])
    assert sorted(tmp_path.iterdir()) == temporary
    delete_stale(tmp_path, [".wav"])
    assert len(list(tmp_path.iterdir())) == 1
    processes[1].kill()
    processes[1].communicate()
    delete_stale(tmp_path, [".wav"])
    assert list(tmp_path.iterdir()) == []
    delete_stale(tmp_path / "none", [".wav"])


def test_other_names_and_new_files_are_not_stale(tmp_path):
    kept = [".a.part.wav", f".{'g' * 32}.part.wav", f"{'0' * 32}.part.wav", f".{'0' * 32}.wav", "song.wav"]
    for name in kept:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    new = temporary_path(tmp_path / "a.WAV")
    new.touch()
    folder = temporary_path(tmp_path / "b.wav")
    folder.mkdir()
    delete_stale(tmp_path, [".wav"])
    assert {path.name for path in tmp_path.iterdir()} == {*kept, new.name, folder.name}
    os.utime(new, (time.time() - MIN_STALE_S - 1,) * 2)
    delete_stale(tmp_path, [".wav"])
    assert not new.exists()
