"""The scripts of `experiments/gpu` are valid: their commands and options exist, and a tiny run is whole."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from cyclegan_audio.config import compose
from cyclegan_audio.inference.checkpoints import load_model

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "experiments" / "gpu"
SCRIPTS = ("tables.sh", "ablation.sh")
MAX_FILES, MAX_BYTES = 8, 16 << 20  # of the results of a script
COMPOSED = ("prepare", "train")
PARSED = ("evaluate", "compare")
RECORDER = """#!/bin/bash
printf '%s\\0' "$@" >"$(mktemp "$RECORD/XXXXXX")"
"""


def run_script(name: str, out: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the folder with these environment variables."""
    environment = os.environ | {"OUT": str(out), "PYTHON": sys.executable} | variables
    environment.pop("TINY", None)
    command = ["bash", str(FOLDER / name), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def load_script(path: Path) -> ModuleType:
    """Import an experiment's script; scripts beside it may be imported by name."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_command(words: list[str]) -> None:
    """Check that the arguments of a Python command exist; nothing runs.

    Raises:
        SystemExit, HydraException, ...: they do not.
    """
    if words[:2] == ["-m", "cProfile"]:
        words = words[4:]
    if words[0] == "-m" and words[1].startswith("cyclegan_audio."):
        verb, arguments = words[1].partition(".")[2], words[2:]
        if verb in COMPOSED:
            compose(verb, arguments)
        else:
            assert verb in PARSED
            import_module(words[1]).parser().parse_args(arguments)
    elif words[0].endswith(".py"):
        load_script(ROOT / words[0]).make_parser().parse_args(words[1:])
    else:
        assert words[0] == "-c" or words[:2] in (["-m", "pytest"], ["-m", "pip"])


@pytest.mark.parametrize("options", [(), ("--tiny",)], ids=["whole", "tiny"])
@pytest.mark.parametrize(("name", "n_commands"), [("tables.sh", 13), ("ablation.sh", 7)])
def test_every_command_has_options_that_exist(name, n_commands, options, tmp_path, monkeypatch):
    """An interpreter that only notes its arguments, in a file a call, stands in for Python."""
    recorder = tmp_path / "python"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    record = tmp_path / "record"
    record.mkdir()
    run_script(name, tmp_path / "out", *options, PYTHON=str(recorder), RECORD=str(record))
    commands = [file.read_text().removesuffix("\0").split("\0") for file in record.iterdir()]
    commands = [words for words in commands if words[:2] != ["-m", "pip"]]
    assert len(commands) == n_commands
    monkeypatch.syspath_prepend(ROOT / "experiments" / "003_speed")
    for words in commands:
        check_command(words)


def write_mels(path: Path, n_clips: int = 60) -> None:
    """Write random spectrograms of two genres in the layout of the paper's published ones."""
    arrays: dict[str, np.ndarray] = {}
    for number, genre in enumerate(("lofi", "trap")):
        rng = np.random.default_rng(number)
        slope = np.linspace(200, 60 + 60 * number, 128)[:, None]
        noise = rng.normal(0, 30, (n_clips, 128, 189))
        arrays[genre] = (slope + noise).clip(0, 255).astype(np.uint8)
        arrays[f"{genre}_start_s"] = 4.0 * np.arange(n_clips, dtype=np.float32)
    np.savez_compressed(path, **arrays)


def check_results(out: Path) -> list[str]:
    """Check number and sizes of a script's results, and return their names."""
    files = sorted(out.rglob("*"))
    assert len(files) <= MAX_FILES
    assert all(file.is_file() and file.stat().st_size <= MAX_BYTES for file in files)
    return [file.name for file in files]


@pytest.mark.slow
def test_tiny_tables_are_whole(tmp_path):
    done = run_script("tables.sh", tmp_path, "--tiny")
    assert done.returncode == 0, done.stdout
    names = check_results(tmp_path)
    assert names == ["log.txt", "profile.txt", "steps.csv", "tables.md", "translation.csv"]
    with (tmp_path / "steps.csv").open() as file:
        methods = {row["method"] for row in csv.DictReader(file) if float(row["seconds"]) > 0}
    assert {"reference", "auto", "auto, graphs", "fp32, graphs, else auto"} <= methods
    with (tmp_path / "translation.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"hybrid", "mask", "griffin_lim"}
    assert "translator.py" in (tmp_path / "profile.txt").read_text()


@pytest.mark.slow
def test_tiny_ablation_is_whole(tmp_path):
    write_mels(tmp_path / "mels.npz")
    out = tmp_path / "out"
    done = run_script("ablation.sh", out, "--tiny", MELS=str(tmp_path / "mels.npz"))
    assert done.returncode == 0, done.stdout + (out / "log.txt").read_text()
    assert check_results(out) == ["ablation.md", "log.txt", "reports.tar", "runs.tar", "weights.tar.00"]
    assert "| identity_0 |" in (out / "ablation.md").read_text()
    content = b"".join(part.read_bytes() for part in sorted(out.glob("weights.tar.*")))
    for file in (content, (out / "runs.tar").read_bytes(), (out / "reports.tar").read_bytes()):
        with tarfile.open(fileobj=BytesIO(file)) as tar:
            tar.extractall(tmp_path, filter="data")
    assert load_model(tmp_path / "lofi_trap_identity_5").genres == ("lofi", "trap")
    assert set(json.loads((tmp_path / "batches.json").read_text())) == {"identity_5", "identity_0"}
    assert (tmp_path / "grids" / "trap_to_lofi.png").stat().st_size > 10_000
    assert (tmp_path / "compared" / "compare.json").stat().st_size > 1000
    assert (tmp_path / "identity_0" / "report" / "report.json").stat().st_size > 1000


@pytest.mark.parametrize("name", ["reference", "auto"])
def test_steps_of_the_speed_experiment_train(monkeypatch, name):
    monkeypatch.syspath_prepend(ROOT / "experiments" / "003_speed")
    measure = import_module("measure")
    step = measure.make(name, (4, 1), torch.device("cpu"), 1)
    losses = step(*torch.rand(2, 1, 1, 32, 32))
    assert all(float(loss) > 0 for loss in losses.values())
    assert {"cycle_a", "disc_b"} <= set(losses)
