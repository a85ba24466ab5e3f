"""Run the commands of a Markdown page as its reader would, made small enough for a test."""

import functools
import re
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cyclegan_audio.demo import corpus as demo_corpus
from cyclegan_audio.utils.hints import PROGRAM

ROOT = Path(__file__).parents[1]
SHORT_RUN = (
    "n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32", "~callbacks.previews",
    "precision=32-true",
)  # fmt: skip
SHORT_VOCODER = (
    "model.network.dim=16", "model.network.n_blocks=1", "model.periods=[7]", "model.fft_sizes=[256]",
    "data.segment_frames=8", "n_epochs=1", "n_epochs_decay=0", "precision=32-true",
)  # fmt: skip
FEW = {"songs_per_genre": 3, "paired_scores": 1, "seconds": 8}


def fenced(page: Path, kind: str) -> list[str]:
    """List the blocks of a page that are fenced as `kind`."""
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def command_lines(page: Path) -> list[str]:
    """List the lines of a page's bash blocks, those that end in a backslash joined with the next."""
    text = "".join(fenced(page, "bash")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def write_inputs(folder: Path, music: Path) -> None:
    """Write what a reader brings: two folders of music, and a song."""
    shutil.copytree(music / "low", folder / "music" / "lofi")
    shutil.copytree(music / "high", folder / "music" / "trap")
    noise = np.random.default_rng(0).normal(0, 0.1, (44100, 2))
    soundfile.write(folder / "song.mp3", noise, 44100)
    soundfile.write(folder / "song.wav", noise, 44100)


def shrink(verb: str, arguments: list[str], tiny: tuple[str, ...]) -> list[str]:
    """Return a verb's arguments with what makes it quick."""
    if verb == "prepare":
        return [*arguments, "clip.seconds=1.0", "screening.voice.enabled=false"]
    if verb == "evaluate":
        return [*arguments, "--clips", "2"]
    if verb == "listening_test" and "--analyse" not in arguments:
        return [*arguments, "--clips", "1", "--abx", "1"]
    if verb == "train" and not any(argument.startswith("resume=") for argument in arguments):
        return [*(a for a in arguments if not a.startswith("model=")), *tiny, *SHORT_RUN]
    if verb == "train":  # the short run has come to its end: one epoch more
        return [*arguments, "n_epochs=2"]
    if verb == "train_vocoder":
        return [*arguments, *SHORT_VOCODER]
    return arguments


def run_command(line: str, tiny: tuple[str, ...], patch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    """Run a line of a page in this process and the current folder; return its verb and words.

    A command that fails exits, and so fails the test.
    """
    words = shlex.split(line, comments=True)
    assert words[0] == PROGRAM, f"the page has a command that this test cannot run: {line}"
    verb = words[1]
    module = import_module(f"cyclegan_audio.{verb}")
    patch.setattr(sys, "argv", [verb, *shrink(verb, words[2:], tiny)])
    small = functools.partial(demo_corpus.ensure_demo_corpus, **FEW)
    patch.setattr(demo_corpus, "ensure_demo_corpus", small)
    module.main()
    return verb, words


def broken_links(page: Path) -> list[str]:
    """List the links of a page to files that are not there."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
