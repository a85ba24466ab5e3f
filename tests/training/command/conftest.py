"""A function that runs the train command in this process."""

import shutil
import sys
from pathlib import Path

import pytest

from cyclegan_audio import train as command


def train(*arguments: str) -> int | str | None:
    """Run the command in this process; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", *arguments])
        try:
            command.main()
        except SystemExit as stop:
            return stop.code
    return 0


@pytest.fixture
def run(corpus, tmp_path, monkeypatch, capsys):
    """Runs the command in this process on the test corpus; returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int | str | None, str]:
        code = train(*arguments)
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return call


@pytest.fixture(scope="session")
def short(corpus, tiny):
    """The overrides of a short run: eight batches an epoch, pools that are full in the first."""
    return (
        *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=2", "n_epochs_decay=1",
        "data.crop_frames=32", "model.pool_size=4", "callbacks.loss_log.every_batches=2", "precision=32-true",
    )  # fmt: skip


@pytest.fixture(scope="session")
def small(short):
    """The overrides of a short run without previews, which take half of its time."""
    return (*short, "~callbacks.previews")


@pytest.fixture(scope="session")
def pictured(short):
    """The overrides of a short run with previews at its end."""
    return (*short, "callbacks.previews.every_epochs=10", "callbacks.previews.clips=1")


@pytest.fixture(scope="session")
def one_epoch(small, tmp_path_factory) -> Path:
    """The folder of a run of one epoch; tests work on copies."""
    folder = tmp_path_factory.mktemp("one_epoch") / "run"
    assert train(*small, "n_epochs=1", "n_epochs_decay=0", "logger=none", f"run_dir={folder}") == 0
    return folder


@pytest.fixture
def out(run, one_epoch) -> Path:
    """Puts a copy of a run of one epoch in the folder `out`."""
    return shutil.copytree(one_epoch, Path("out"))
