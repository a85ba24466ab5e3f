"""Commands without a working torchaudio: most work, the others explain what to install."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cyclegan_audio.audio import torchaudio_functional as owner
from cyclegan_audio.audio.io import save
from cyclegan_audio.utils.errors import UserError

PACKAGE = Path(owner.__file__).parents[1]
BROKEN = "raise OSError('libtorchaudio.so: undefined symbol: _ZNR5torch7Library4_defE\\nmore')\n"


@pytest.fixture
def broken_torchaudio(tmp_path) -> Path:
    """Return a folder with a torchaudio 2.11.0 whose compiled part does not load."""
    folder = tmp_path / "site"
    for name in ("torchaudio", "torchaudio-2.11.0.dist-info"):
        (folder / name).mkdir(parents=True)
    (folder / "torchaudio" / "__init__.py").write_text(BROKEN)
    (folder / "torchaudio-2.11.0.dist-info" / "METADATA").write_text("Name: torchaudio\nVersion: 2.11.0\n")
    return folder


@pytest.fixture
def command(broken_torchaudio, tmp_path):
    """Return a function that runs a command in a new process with the broken torchaudio."""
    path = os.pathsep.join([str(broken_torchaudio), str(PACKAGE.parent)])

    def run(verb: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", f"cyclegan_audio.{verb}", *map(str, arguments)]
        variables = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    return run


def test_training_and_translation_work_without_torchaudio(command, corpus, tiny, tmp_path):
    trained = command(
        "train", *tiny, f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "n_epochs=1",
        "n_epochs_decay=0", "data.crop_frames=32", "precision=32-true", "run_dir=run",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    save(tmp_path / "at_44100_hz.wav", torch.randn(2, 30000) * 0.1, 44100)
    completed = command("translate", "run", "at_44100_hz.wav", "out.wav", "--to", "high", "--device", "cpu")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out.wav").is_file()


def test_commands_that_need_torchaudio_are_refused_in_one_line(command, music, tmp_path):
    save(tmp_path / "at_48000_hz.wav", torch.zeros(2, 48000), 48000)
    translated = command("translate", "demo", "at_48000_hz.wav", "out.wav", "--to", "lofi")
    genres = [f"--genre={genre}={music / genre}" for genre in ("low", "high")]
    prepared = command("prepare", *genres, "corpus=corpus")
    for completed in (translated, prepared):
        assert completed.returncode == 2
        (line,) = [line for line in completed.stderr.splitlines() if "error" in line]
        assert "torchaudio 2.11.0 does not load beside torch" in line
        assert "pip install" in line
        assert "Traceback" not in completed.stderr
    assert not (tmp_path / "out.wav").exists()
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("torch_version", "torchaudio_version", "advice"),
    [
        ("2.11.0", "2.11.1", "'torchaudio==2.11.0'"),
        ("2.12.1", "2.11.1", "'torchaudio==2.11.0'"),
        ("2.13.0", "2.9.1", "'torchaudio>=2.11.1'"),
        ("2.15.0", "2.9.1", "'torchaudio>=2.11.1'"),
        ("2.13.0+cpu", "2.11.1", "this build of torch needs torchaudio from the same index; run: "
         "pip install --force-reinstall --no-deps "
         "'torchaudio>=2.11.1' --index-url https://download.pytorch.org/whl/cpu"),
        ("2.12.0+cu126", "2.11.1+cu126",
         "'torchaudio==2.11.0' --index-url https://download.pytorch.org/whl/cu126"),
    ],
)  # fmt: skip
def test_the_message_names_a_matching_torchaudio(monkeypatch, torch_version, torchaudio_version, advice):
    versions = {"torch": torch_version, "torchaudio": torchaudio_version}
    monkeypatch.setattr(owner, "version", versions.__getitem__)
    monkeypatch.setattr(owner, "find_spec", lambda name: name)
    message = error_message(monkeypatch)
    assert message.startswith(f"torchaudio {torchaudio_version} does not load beside torch {torch_version}")
    assert message.endswith(advice)
    assert "\n" not in message


def test_a_missing_torchaudio_is_named(monkeypatch):
    monkeypatch.setattr(owner, "find_spec", lambda name: None)
    assert error_message(monkeypatch).startswith("torchaudio is not installed; run: pip install 'torchaudio")


def test_torchaudio_is_imported_in_one_place():
    imported = re.compile(r"^ *(import|from) torchaudio\b", re.MULTILINE)
    importing = [path for path in PACKAGE.rglob("*.py") if imported.search(path.read_text())]
    assert importing == [Path(owner.__file__)]


def error_message(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the message if `torchaudio.functional` cannot be imported."""
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    with pytest.raises(UserError) as error_info:
        owner.torchaudio_functional.__wrapped__()
    return str(error_info.value)
