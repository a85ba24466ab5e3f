"""Every command of the README runs, in its order, in an empty directory; overrides make it small."""

import functools
import re
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cyclegan_audio.demo import corpus as demo_corpus
from cyclegan_audio.utils.hints import PROGRAM

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines() if line]
SET_UP = ("make demo", "make test", "source .venv/bin/activate")  # run before, or by, this test
SHORT_RUN = (
    "n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32", "callbacks.previews.clips=1",
    "precision=32-true",
)  # fmt: skip
SHORT_VOCODER = (
    "model.network.dim=16", "model.network.n_blocks=1", "model.periods=[7]", "model.fft_sizes=[256]",
    "data.segment_frames=8", "n_epochs=1", "n_epochs_decay=0", "precision=32-true",
)  # fmt: skip
FEW = {"songs_per_genre": 3, "paired_scores": 1, "seconds": 8}


@pytest.fixture(scope="module")
def place(tmp_path_factory, music) -> Path:
    """An empty directory with what the README's user brings: two folders of music, and a song."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(music / "low", folder / "music" / "lofi")
    shutil.copytree(music / "high", folder / "music" / "trap")
    noise = np.random.default_rng(0).normal(0, 0.1, (44100, 2))
    soundfile.write(folder / "song.mp3", noise, 44100)
    soundfile.write(folder / "song.wav", noise, 44100)
    return folder


def shrunk(verb: str, arguments: list[str], tiny: tuple[str, ...]) -> list[str]:
    if verb == "prepare":
        return [*arguments, "clip.seconds=1.0", "screening.voice.enabled=false"]
    if verb == "evaluate":
        return [*arguments, "--clips", "2"]
    if verb == "listening_test":
        return [*arguments, "--clips", "1", "--abx", "1"]
    if verb == "train" and not any(argument.startswith("resume=") for argument in arguments):
        return [*(a for a in arguments if not a.startswith("model=")), *tiny, *SHORT_RUN]
    if verb == "train":  # the short run has come to its end: one epoch more
        return [*arguments, "n_epochs=2"]
    if verb == "train_vocoder":
        return [*arguments, *SHORT_VOCODER]
    return arguments


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in SET_UP])
def test_command(line, place, tiny, monkeypatch, quick_classifiers):
    words = shlex.split(line, comments=True)
    assert words[0] == PROGRAM, f"the README has a command that this test cannot run: {line}"
    verb = words[1]
    module = import_module(f"cyclegan_audio.{verb}")
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", [verb, *shrunk(verb, words[2:], tiny)])
    small = functools.partial(demo_corpus.ensure_demo_corpus, **FEW)
    monkeypatch.setattr(demo_corpus, "ensure_demo_corpus", small)
    module.main()  # a command that fails exits, and so fails the test
    if verb == "translate":
        out, _ = soundfile.read(place / words[words.index("--to") - 1], always_2d=True)
        assert out.shape[1] == 2
        assert np.abs(out).max() > 0.01
    if verb == "evaluate":
        assert (place / "runs" / "mine" / "report" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "python"])
def test_python_block(block, place, monkeypatch):
    monkeypatch.chdir(place)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    if "fakes" in names:
        assert all(np.isfinite(fake).all() for fake in names["fakes"])
        assert len(names["fakes"]) == 20
        return
    out, _ = soundfile.read(place / "translated.wav")
    source, _ = soundfile.read(place / "song.wav")
    assert out.shape == source.shape
    assert np.abs(out - source).max() > 0.01


def test_places_that_the_readme_links_to_are_there():
    root = Path(__file__).parents[1]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (root / link).exists()] == []
    assert "@" not in README
