"""Fixtures: a folder with music, a corpus, runs and reports, on which commands are limited or killed."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.attack.corpus_damages import Original, make_original
from tests.attack.processes import contents, run_command
from tests.conftest import TINY

TRAIN = (
    *TINY, "corpus=corpus", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=1", "n_epochs_decay=1",
    "data.crop_frames=32", "data.val_pairs=2", "precision=32-true", "threads=1", "logger=none",
    "callbacks.previews.clips=1", "callbacks.validation.every_epochs=1", "vocoder=mask",
)  # fmt: skip
PREPARE = (
    "clip.seconds=1.0", "screening.voice.enabled=false", "workers=1", "--genre", "low=music/low", "--genre",
    "high=music/high", "corpus=prepared",
)  # fmt: skip
HERE = ("--corpus", "corpus")  # a run keeps the absolute path of its corpus
COMMANDS = {  # what each writes has a name of its own
    "prepare": ("prepare", *PREPARE),
    "train": ("train", *TRAIN, "run_dir=trained"),
    "evaluate": ("evaluate", "run", "--clips", "2", *HERE),
    "export onnx": ("export", "run", "model.onnx"),
    "export pt2": ("export", "run", "model.pt2"),
    "translate wav": ("translate", "run", "music/low/low_0.wav", "out.wav", "--to", "high"),
    "translate flac": ("translate", "run", "music/low", "translated", "--suffix", "flac", "--to", "high"),
    "compare": ("compare", "run", "run2", *HERE),
    "listening_test": ("listening_test", "run", "--clips", "1", "--abx", "1", "--out", "listening", *HERE),
    "classify": ("classify", "corpus=corpus", "genre_pair.a=low", "genre_pair.b=high", "out=classified"),
}
GROWING = ("train", "prepare")  # they write files again and again: tables, corpus.json


@pytest.fixture(scope="session")
def quick_workplace(music: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `music` and a `corpus`; enough for `prepare`, `train` and the demo model."""
    folder = tmp_path_factory.mktemp("workplace") / "place"
    shutil.copytree(music, folder / "music")
    shutil.copytree(corpus, folder / "corpus")
    return folder


@pytest.fixture(scope="session")
def workplace(quick_workplace: Path) -> Path:
    """Return a folder as `quick_workplace` with two evaluated runs more; every command can start there."""
    folder = quick_workplace.with_name("full")
    shutil.copytree(quick_workplace, folder)
    for verb, *arguments in ((*COMMANDS["train"][:-1], "run_dir=run"), COMMANDS["evaluate"]):
        ended = run_command(verb, *arguments, folder=folder)
        assert ended.code == 0, ended.output
    shutil.rmtree(folder / "corpus" / "classifiers")  # so that `evaluate` writes them again
    shutil.copytree(folder / "run", folder / "run2")
    return folder


@pytest.fixture(scope="session")
def undisturbed(
    workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[dict[str, Any], float]]:
    """Return a function that runs one of `COMMANDS` undisturbed, once: contents of its folder, seconds."""

    @cache
    def run(name: str) -> tuple[dict[str, Any], float]:
        folder = tmp_path_factory.mktemp("undisturbed") / "place"
        shutil.copytree(workplace, folder)
        verb, *arguments = COMMANDS[name]
        ended = run_command(verb, *arguments, folder=folder)
        assert ended.code == 0, ended.output
        return contents(folder), ended.seconds

    return run


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Return a small whole corpus, with its music."""
    return make_original(tmp_path_factory.mktemp("original"))


@pytest.fixture
def damaged(original: Original, tmp_path: Path) -> Path:
    """Return a copy of the corpus, to be damaged."""
    return shutil.copytree(original.folder, tmp_path / "corpus")
