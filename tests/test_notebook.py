"""The Colab notebook runs at a tiny size, and a second session continues the first."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import soundfile
import torch
from nbclient import NotebookClient
from nbformat import NotebookNode

from cyclegan_audio.config import CONF_DIR
from tests.conftest import TINY, write_music

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "experiments" / "colab" / "train_your_own.ipynb"
KERNEL = "this_python"
GENRES = ("low", "rock & 'roll")
DRIVE = """
import os
from pathlib import Path

def mount(place):
    Path("mounted_at").write_text(place)
    os.rename("unmounted", "drive")  # files of the Drive exist after mounting
"""


def read() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def source(name: str) -> str:
    """Return the code of a cell by its id."""
    return next(cell.source for cell in read().cells if cell.id == name)


def parameters() -> dict[str, Any]:
    """Return the fields of the form with their values."""
    (cell,) = [cell for cell in read().cells if "parameters" in cell.metadata.get("tags", ())]
    values: dict[str, Any] = {}
    exec(cell.source, values)
    return {name: value for name, value in values.items() if not name.startswith("__")}


class Session:
    """Run the cells with a kernel of this Python, in a folder whose Drive is not mounted yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drive = folder / "drive" / "My Drive"
        self.results = self.drive / "my results"
        spec = folder / "kernels" / KERNEL / "kernel.json"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        write_text(spec, json.dumps({"argv": command, "display_name": KERNEL, "language": "python"}))
        write_text(folder / "fake" / "google" / "colab" / "__init__.py", "")
        write_text(folder / "fake" / "google" / "colab" / "drive.py", DRIVE)
        for genre, name in zip(("low", "high"), GENRES, strict=True):
            write_music(folder / "unmounted" / "My Drive" / name, genre, 4)

    def fill_in(self, **values: Any) -> NotebookNode:
        """Return the notebook with these values after those of the form, as papermill does."""
        notebook = read()
        folders = {f"folder_{key}": str(self.drive / name) for key, name in zip("ab", GENRES, strict=True)}
        genres = {f"genre_{key}": name for key, name in zip("ab", GENRES, strict=True)}
        values |= folders | genres | {"song": str(self.drive / "low" / "low_0.wav")}
        values |= {"results_folder": str(self.results)}
        assert values.keys() <= parameters().keys()
        cell = next(cell for cell in notebook.cells if cell.id == "parameters")
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
        return notebook

    def execute(self, notebook: NotebookNode, again: str) -> str:
        """Run all cells, then the cell `again` a second time; return the second output."""
        client = NotebookClient(
            notebook, kernel_name=KERNEL, timeout=300, resources={"metadata": {"path": str(self.folder)}}
        )
        with client.setup_kernel():
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
            number = [cell.id for cell in notebook.cells].index(again)
            return text_of(client.execute_cell(notebook.cells[number], number))

    def rows(self) -> list[dict[str, str]]:
        """Return the losses of the run on the Drive."""
        with (self.results / "run" / "losses.csv").open() as file:
            return list(csv.DictReader(file))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def text_of(cell: NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.fixture
def session(tmp_path, monkeypatch) -> Session:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "fake"), str(ROOT))))
    return Session(tmp_path)


def test_two_sessions_on_colab(session):
    """The second session has an empty disk and more minutes; it continues the run on the Drive."""
    tiny = " ".join((*TINY, "precision=32-true", "threads=1", "callbacks.previews.clips=1"))
    first = session.fill_in(minutes=0.02, extra_train_options=tiny, song_format="flac")
    output = session.execute(first, again="train")
    assert "has trained for" in output
    assert (session.folder / "mounted_at").read_text() == "/content/drive"
    before = session.rows()
    minutes = float(before[-1]["elapsed_s"]) / 60
    song, rate = soundfile.read(session.drive / "low" / "low_0.wav")
    translated, new_rate = soundfile.read(session.results / "low_0 as rock & 'roll.flac")
    assert (translated.shape, new_rate) == (song.shape, rate)
    assert np.abs(translated - song).max() > 0.01
    assert not (session.results / "run" / "report").exists()

    shutil.rmtree(session.folder / "work")
    (session.folder / "drive").rename(session.folder / "unmounted")
    second = session.fill_in(minutes=minutes + 0.03, song_becomes="first genre", evaluate_quality=True)
    session.execute(second, again="files")
    rows = session.rows()
    assert rows[: len(before)] == before
    assert int(rows[-1]["batch"]) > int(before[-1]["batch"])
    names = {path.name for path in session.results.iterdir()}
    assert names == {"corpus.html", "losses.png", "run", "low_0 as rock & 'roll.flac", "low_0 as low.mp3"}
    assert (session.results / "run" / "report" / "report.html").stat().st_size > 10_000
    outputs = {cell.id: cell.outputs for cell in second.cells if cell.cell_type == "code"}
    assert all("image/png" in output.data for name in ("losses", "grid") for output in outputs[name])
    assert "data:audio/mpeg" in outputs["listen"][0].data["text/html"]
    assert "kept" in "".join(output.text for output in outputs["prepare"])
    assert "\x1b" not in "".join(output.text for output in outputs["prepare"])


def test_the_notebook_is_valid_and_has_no_output():
    """It was never run, and its form and its code fit together."""
    notebook = read()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[] for _ in code]
    assert [cell.execution_count for cell in code] == [None for _ in code]
    for number, cell in enumerate(notebook.cells):
        assert cell.cell_type == "markdown" or notebook.cells[number - 1].cell_type == "markdown"
    text = "\n".join(cell.source for cell in code if cell.id != "parameters")
    assert [name for name in parameters() if name not in text] == []
    assert parameters()["package"] == "cyclegan-audio"
    form = source("parameters").splitlines()
    assert all("# @" in line for line in form)


def test_a_missing_song_is_reported_outside_colab(tmp_path):
    """A missing song is reported before the work starts."""
    names = {name: str(tmp_path) for name in ("folder_a", "folder_b", "results_folder")}
    names |= {"song": str(tmp_path / "no.mp3")}
    with pytest.raises(FileNotFoundError, match=r"no\.mp3' does not exist; correct it in the form"):
        exec(source("drive"), names)


@pytest.mark.parametrize(("has_gpu", "model"), [(True, "cyclegan"), (False, "cyclegan_small")])
def test_the_model_is_chosen_by_the_gpu(monkeypatch, has_gpu, model):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    names: dict[str, Any] = {}
    exec(source("gpu"), names)
    assert names["model"] == model
    assert (CONF_DIR / "model" / f"{model}.yaml").is_file()


def test_the_stop_button_waits_for_the_command(capfd):
    """The command gets one signal, and its last output is shown."""
    child = (
        "import os, signal, time\n"
        "stops = []\n"
        "signal.signal(signal.SIGINT, lambda *args: stops.append(1))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "while not stops: time.sleep(0.01)\n"
        "print('saved, stops:', len(stops)); raise SystemExit(130)\n"
    )
    names: dict[str, Any] = {}
    exec(source("helper"), names)
    with pytest.raises(RuntimeError, match="did not finish"):
        names["run_and_show"](sys.executable, "-c", child)
    assert "saved, stops: 1" in capfd.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def write_wheel(folder: Path, name: str, version: str, needs: str = "") -> Path:
    """Write a wheel with an empty package."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else ""))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.skipif(find_spec("ensurepip") is None, reason="this Python has no ensurepip")
def test_installing_does_not_change_torch(tmp_path, monkeypatch):
    """A package that needs another torch is refused, one that does not is installed, a change is detected."""
    wheels = tmp_path / "my wheels"
    for name, version in (("torch", "2.11.0"), ("torchaudio", "2.11.0"), ("numpy", "2.1.3")):
        write_wheel(wheels, name, version)
    write_wheel(wheels, "torch", "2.12.0")
    greedy = write_wheel(wheels, "cyclegan_audio", "2.0", "torch>=2.12")
    modest = write_wheel(wheels, "cyclegan_audio", "1.0", "torch>=2.11")
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", wheels.as_uri()), ("NO_CACHE_DIR", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    for name, value in (("PIP_CONFIG_FILE", os.devnull), ("PIP_CONSTRAINT", ""), ("PYTHONPATH", "")):
        monkeypatch.setenv(name, value)
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    packages = ["torch==2.11.0", "torchaudio", "numpy"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)

    def install(package: Path, before: str = "") -> subprocess.CompletedProcess[str]:
        cells = ("from pathlib import Path", source("helper"), before, source("install"))
        code = "\n".join((f"package = {str(package)!r}", *cells))
        return subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)

    failed = install(greedy)
    assert "did not finish" in failed.stderr
    assert "(constraint) torch==2.11.0" in failed.stdout  # pip names the conflict
    installed = install(modest)
    assert installed.returncode == 0, installed.stderr
    assert "torch 2.11.0, torchaudio 2.11.0, numpy 2.1.3" in installed.stdout
    assert "pip" not in install(greedy).stdout  # already installed
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "cyclegan_audio"], check=True)
    careless = "kept = run_and_show\ndef run_and_show(*command): kept(*command[:4], 'torch==2.12.0')"
    changed = install(modest, careless)
    assert "Choose Runtime > Disconnect and delete runtime" in changed.stderr
